//! Wrappers that change pictures: grey instead of colour, another size, channels first. They go by the layout
//! that the box declares.

use super::check_size;
use super::leaf::{Leaf, LeafMap, LeafMut};
use crate::render::AreaFilter;
use crate::{BoxLayout, BoxSpace, Dtype, EnvError, PictureShape, Space};

/// Luminance weights of red, green and blue, those of Gymnasium's wrapper.
const LUMINANCE: [f64; 3] = [0.2125, 0.7154, 0.0721];

/// A grey picture, `[height, width]`, of one with three channels of bytes, rounded down as Gymnasium's is.
pub(super) struct Grayscale {
    channels_first: bool,
}

impl Grayscale {
    pub fn new(space: &Space) -> Result<(Self, Space), EnvError> {
        let (space, picture) = bytes_of(space, "be made grey")?;
        let PictureShape { height, width, channels: 3, channels_first } = picture else {
            return Err(EnvError::Option(format!(
                "only pictures of three channels, [height, width, 3] or [3, height, width], can be made grey, not of \
                 {:?}, {}",
                space.shape, space.layout
            )));
        };
        // The weighted mean is rounded down, which may fall below the smallest byte.
        let space = uniform(0.0, largest(space), &[height, width])?.with_layout(BoxLayout::Grey)?;
        Ok((Self { channels_first }, Space::Box(space)))
    }
}

pub(crate) fn gray([red, green, blue]: [u8; 3]) -> u8 {
    let [r, g, b] = LUMINANCE;
    (r * f64::from(red) + g * f64::from(green) + b * f64::from(blue)) as u8
}

impl LeafMap for Grayscale {
    type State = ();

    fn map(&mut self, from: Leaf<'_>, to: LeafMut<'_>, _start: bool) {
        let (Leaf::Bytes(from), LeafMut::Bytes(to)) = (from, to) else { return };
        if self.channels_first {
            let (red, rest) = from.split_at(to.len());
            let (green, blue) = rest.split_at(to.len());
            let pixels = red.iter().zip(green).zip(blue);
            to.iter_mut().zip(pixels).for_each(|(out, ((&r, &g), &b))| *out = gray([r, g, b]));
        } else {
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
/// INTER_AREA. Channels that come first, a stack of frames, are resized one by one.
pub(super) struct Resize {
    filter: AreaFilter,
    /// Pictures one after the other.
    planes: usize,
}

impl Resize {
    pub fn new(space: &Space, height: usize, width: usize) -> Result<(Self, Space), EnvError> {
        check_size("resize", (height, width))?;
        let (space, picture) = bytes_of(space, "be resized")?;
        let from = (picture.height, picture.width);
        let (planes, channels, shape) = match space.layout {
            BoxLayout::ChannelsLast => (1, picture.channels, vec![height, width, picture.channels]),
            BoxLayout::ChannelsFirst => (picture.channels, 1, vec![picture.channels, height, width]),
            _ => (1, 1, vec![height, width]),
        };
        let filter = AreaFilter::new(from, (height, width), channels)?;
        let smallest = space.low.iter().copied().fold(255.0, f32::min);
        let resized = uniform(smallest, largest(space), &shape)?.with_layout(space.layout)?;
        Ok((Self { filter, planes }, Space::Box(resized)))
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

/// A picture of `[height, width, channels]`, of bytes or `f32`, as `[channels, height, width]`.
pub(super) struct ChannelsFirst {
    channels: usize,
}

impl ChannelsFirst {
    pub fn new(space: &Space) -> Result<(Self, Space), EnvError> {
        let refuse = |why: String| Err(EnvError::Option(format!("channels_first: {why}")));
        let Space::Box(space) = space else {
            return refuse(format!(
                "only a picture of bytes or f32 has channels to be moved to the front, not {space}"
            ));
        };
        let shape = &space.shape;
        let &[height, width, channels] = shape.as_slice() else {
            return refuse(format!(
                "{shape:?} has no channels to be moved to the front: leave the wrapper out"
            ));
        };
        // Where the shape does not say which side counts channels, the wrapper does.
        if space.layout == BoxLayout::ChannelsFirst {
            return refuse(format!(
                "the channels of {shape:?} are first already: leave the wrapper out, or declare the picture before it with \
                 {{ kind = \"layout\", layout = \"channels_last\" }}"
            ));
        }
        // Each bound goes where its number goes.
        let (mut low, mut high) = (space.low.clone(), space.high.clone());
        planes(&space.low, &mut low, channels);
        planes(&space.high, &mut high, channels);
        let moved = BoxSpace::new(low, high, &[channels, height, width], space.dtype)?;
        Ok((Self { channels }, Space::Box(moved.with_layout(BoxLayout::ChannelsFirst)?)))
    }
}

/// Writes each channel of `from`, where channels come last, as a plane.
pub(super) fn planes<T: Copy>(from: &[T], to: &mut [T], channels: usize) {
    let plane = (to.len() / channels.max(1)).max(1);
    for (channel, plane) in to.chunks_exact_mut(plane).enumerate() {
        let values = from.iter().skip(channel).step_by(channels);
        plane.iter_mut().zip(values).for_each(|(out, value)| *out = *value);
    }
}

impl LeafMap for ChannelsFirst {
    type State = ();

    fn map(&mut self, from: Leaf<'_>, to: LeafMut<'_>, _start: bool) {
        match (from, to) {
            (Leaf::Bytes(from), LeafMut::Bytes(to)) => planes(from, to, self.channels),
            (Leaf::Floats(from), LeafMut::Floats(to)) => planes(from, to, self.channels),
            _ => {}
        }
    }

    fn state(&self) {}

    fn set_state(&mut self, (): ()) -> Result<(), EnvError> {
        Ok(())
    }
}

/// Bytes between these bounds.
fn uniform(low: f32, high: f32, shape: &[usize]) -> Result<BoxSpace, EnvError> {
    let count = shape.iter().product();
    BoxSpace::new(vec![low; count], vec![high; count], shape, Dtype::U8)
}

fn largest(space: &BoxSpace) -> f32 {
    space.high.iter().copied().fold(0.0, f32::max)
}

/// A picture of bytes, and its sides.
fn bytes_of<'a>(space: &'a Space, what: &str) -> Result<(&'a BoxSpace, PictureShape), EnvError> {
    let refuse = |why: &str| {
        let message = format!("only a picture of bytes from 0 to 255 can {what}, not {space}{why}");
        Err(EnvError::Option(message))
    };
    match space {
        Space::Box(bytes) if bytes.dtype == Dtype::U8 => match bytes.picture() {
            Some(picture) => Ok((bytes, picture)),
            None => refuse(DECLARE),
        },
        _ => refuse(""),
    }
}

/// The remedy for a box that is no picture by its shape alone.
pub(super) const DECLARE: &str = ", whose layout is not known: declare it before with the wrapper { kind = \"layout\", \
                                  layout = \"channels_first\" }, \"channels_last\", \"grey\" or \"numbers\"";
