//! The wrapper that shows the rendered picture as the observation.

use super::pictures::gray;
use super::{Wrapper, check_size};
use crate::render::AreaFilter;
use crate::render::{Frame, Picture};
use crate::{ACTION_MASK, Action, BoxLayout, BoxSpace, Dtype, Env, EnvError, ObsBatch, ObsMut, Space, Step};

/// Shows the rendered picture, `[channels, height, width]` bytes, in place of the world's own observation: 1
/// channel for grey, 3 for colour. An action mask stays an entry of its own beside `pixels`.
pub(super) struct RenderPixels {
    grayscale: bool,
    size: (usize, usize),
    space: Space,
    before: ObsBatch,
    /// The mask's place in the old observation.
    mask: Option<std::ops::Range<usize>>,
    /// Made for the size of the pictures that the world renders.
    filter: Option<((usize, usize), AreaFilter)>,
    resized: Vec<u8>,
}

impl RenderPixels {
    pub fn new(inner: &dyn Env, height: usize, width: usize, grayscale: bool) -> Result<Self, EnvError> {
        check_size("render_pixels", (height, width))?;
        let before = ObsBatch::new(inner.observation_space(), 1);
        let shape = [if grayscale { 1 } else { 3 }, height, width];
        let count = shape.iter().product();
        let pixels = BoxSpace::new(vec![0.0; count], vec![255.0; count], &shape, Dtype::U8)?;
        let pixels = Space::Box(pixels.with_layout(BoxLayout::ChannelsFirst)?);
        let mask = before.layout().leaf(ACTION_MASK).map(|leaf| leaf.range.clone());
        let space = match &mask {
            None => pixels,
            Some(range) => Space::Dict(vec![
                ("pixels".into(), pixels),
                (ACTION_MASK.into(), Space::MultiBinary(range.len())),
            ]),
        };
        let resized = vec![0; height * width * 3];
        Ok(Self { grayscale, size: (height, width), space, before, mask, filter: None, resized })
    }

    fn write(&mut self, inner: &dyn Env, to: ObsMut<'_>) -> Result<(), EnvError> {
        let Some(Picture::Frame(frame)) = inner.render() else {
            return Err(EnvError::Contract(
                "render_pixels needs a world that renders images: it gave none".into(),
            ));
        };
        let (height, width) = self.size;
        let from = (frame.height, frame.width);
        if self.filter.as_ref().is_none_or(|(size, _)| *size != from) {
            self.filter = Some((from, AreaFilter::new(from, self.size, 3)?));
        }
        let Some((_, filter)) = &mut self.filter else { return Ok(()) };
        let Frame { pixels, .. } = frame;
        filter.apply(&pixels, &mut self.resized);
        let (resized, _) = self.resized.as_chunks::<3>();
        if self.grayscale {
            to.bytes.iter_mut().zip(resized).for_each(|(out, pixel)| *out = gray(*pixel));
        } else {
            for (channel, plane) in to.bytes.chunks_exact_mut(height * width).enumerate() {
                plane.iter_mut().zip(resized).for_each(|(out, pixel)| *out = pixel[channel]);
            }
        }
        if let Some(mask) = &self.mask {
            to.floats.copy_from_slice(&self.before.floats()[mask.clone()]);
        }
        Ok(())
    }
}

impl Wrapper for RenderPixels {
    type State = ();

    fn observation_space<'a>(&'a self, _inner: &'a dyn Env) -> &'a Space {
        &self.space
    }

    fn reset(
        &mut self,
        inner: &mut dyn Env,
        seed: Option<u64>,
        observation: ObsMut<'_>,
    ) -> Result<(), EnvError> {
        inner.reset(seed, self.before.row_mut(0))?;
        self.write(inner, observation)
    }

    fn step(
        &mut self,
        inner: &mut dyn Env,
        action: Action<'_>,
        observation: ObsMut<'_>,
    ) -> Result<Step, EnvError> {
        let step = inner.step(action, self.before.row_mut(0))?;
        self.write(inner, observation)?;
        Ok(step)
    }

    fn state(&self) {}

    fn set_state(&mut self, (): ()) -> Result<(), EnvError> {
        Ok(())
    }
}
