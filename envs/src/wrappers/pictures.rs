//! Wrappers that change pictures: grey instead of colour, another size, channels first.

use super::check_size;
use super::leaf::{Leaf, LeafMap, LeafMut};
use crate::render::AreaFilter;
use crate::{EnvError, Space};

/// Luminance weights of red, green and blue, those of Gymnasium's wrapper.
const LUMINANCE: [f64; 3] = [0.2125, 0.7154, 0.0721];

/// A last dimension beyond this is a width, not channels.
const MAX_CHANNELS: usize = 4;

/// A grey picture of `[height, width, 3]` bytes: `[height, width]`, rounded down as Gymnasium's is.
pub(super) struct Grayscale;

impl Grayscale {
    pub fn new(space: &Space) -> Result<(Self, Space), EnvError> {
        match shape_of(space, "be made grey")? {
            [height, width, 3] => Ok((Self, Space::pixels(&[*height, *width]))),
            shape => Err(EnvError::Option(format!(
                "only pictures of [height, width, 3] can be made grey, not of {shape:?}"
            ))),
        }
    }
}

pub(crate) fn gray([red, green, blue]: [u8; 3]) -> u8 {
    let [r, g, b] = LUMINANCE;
    (r * f64::from(red) + g * f64::from(green) + b * f64::from(blue)) as u8
}

impl LeafMap for Grayscale {
    type State = ();

    fn map(&mut self, from: Leaf<'_>, to: LeafMut<'_>, _start: bool) {
        if let (Leaf::Bytes(from), LeafMut::Bytes(to)) = (from, to) {
            let (pixels, _) = from.as_chunks();
            to.iter_mut().zip(pixels).for_each(|(out, pixel)| *out = gray(*pixel));
        }
    }

    fn state(&self) {}

    fn set_state(&mut self, (): ()) -> Result<(), EnvError> {
        Ok(())
    }
}

/// A picture of bytes in another size, each new pixel the mean of the area that it covers, as OpenCV's
/// INTER_AREA.
///
/// `[height, width]`, `[height, width, channels]` with up to 4 channels, or else `[channels, height, width]`:
/// a stack of frames is resized frame by frame.
pub(super) struct Resize {
    filter: AreaFilter,
    /// Pictures one after the other.
    planes: usize,
}

impl Resize {
    pub fn new(space: &Space, height: usize, width: usize) -> Result<(Self, Space), EnvError> {
        check_size("resize", (height, width))?;
        let (planes, from, channels, shape) = match *shape_of(space, "be resized")? {
            [h, w] => (1, (h, w), 1, vec![height, width]),
            [h, w, channels] if channels <= MAX_CHANNELS => {
                (1, (h, w), channels, vec![height, width, channels])
            }
            [planes, h, w] => (planes, (h, w), 1, vec![planes, height, width]),
            ref shape => {
                return Err(EnvError::Option(format!(
                    "only pictures of [height, width], [height, width, channels] or [channels, height, width] can be \
                     resized, not of {shape:?}"
                )));
            }
        };
        let filter = AreaFilter::new(from, (height, width), channels)?;
        Ok((Self { filter, planes }, Space::pixels(&shape)))
    }
}

impl LeafMap for Resize {
    type State = ();

    fn map(&mut self, from: Leaf<'_>, to: LeafMut<'_>, _start: bool) {
        let (Leaf::Bytes(from), LeafMut::Bytes(to)) = (from, to) else { return };
        let (old, new) = ((from.len() / self.planes).max(1), (to.len() / self.planes).max(1));
        for (from, to) in from.chunks_exact(old).zip(to.chunks_exact_mut(new)) {
            self.filter.apply(from, to);
        }
    }

    fn state(&self) {}

    fn set_state(&mut self, (): ()) -> Result<(), EnvError> {
        Ok(())
    }
}

/// A picture of `[height, width, channels]` as `[channels, height, width]`, which convolutions take.
pub(super) struct ChannelsFirst {
    channels: usize,
}

impl ChannelsFirst {
    pub fn new(space: &Space) -> Result<(Self, Space), EnvError> {
        let &[height, width, channels] = shape_of(space, "have its channels moved")? else {
            return Err(EnvError::Option(format!("{space} has no channels to be moved to the front")));
        };
        Ok((Self { channels }, Space::pixels(&[channels, height, width])))
    }
}

impl LeafMap for ChannelsFirst {
    type State = ();

    fn map(&mut self, from: Leaf<'_>, to: LeafMut<'_>, _start: bool) {
        let (Leaf::Bytes(from), LeafMut::Bytes(to)) = (from, to) else { return };
        let plane = to.len() / self.channels;
        for (channel, plane) in to.chunks_exact_mut(plane.max(1)).enumerate() {
            let values = from.iter().skip(channel).step_by(self.channels);
            plane.iter_mut().zip(values).for_each(|(out, byte)| *out = *byte);
        }
    }

    fn state(&self) {}

    fn set_state(&mut self, (): ()) -> Result<(), EnvError> {
        Ok(())
    }
}

/// The shape of a picture of bytes from 0 to 255.
fn shape_of<'a>(space: &'a Space, what: &str) -> Result<&'a [usize], EnvError> {
    match space {
        Space::Box(picture) if *space == Space::pixels(&picture.shape) => Ok(&picture.shape),
        other => {
            Err(EnvError::Option(format!("only a picture of bytes from 0 to 255 can {what}, not {other}")))
        }
    }
}
