//! The layout of a box: what its dimensions are, and whether its numbers are a picture.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ACTION_MASK, BoxSpace, Dtype, Space};
use crate::EnvError;

/// A box of bytes in two dimensions, or of `f32` in three, whose picture would have a shorter side is plain
/// numbers.
const SMALLEST_SIDE: usize = 8;

/// A table of `f32` with a shorter side is plain numbers without a question.
const LARGE_TABLE: usize = 16;

/// So many channels may be more than half of a picture's sides.
const FEW_CHANNELS: usize = 4;

/// The meaning of a box's dimensions. A box has the layout that [`BoxLayout::of_shape`] finds, until its
/// world or a wrapper declares another ([`BoxSpace::with_layout`]). Wrappers and networks go by the layout
/// alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxLayout {
    /// Plain numbers, no picture.
    Numbers,
    /// A picture without an axis for channels: `[height, width]`.
    #[serde(alias = "gray")]
    Grey,
    /// A picture, `[channels, height, width]`.
    ChannelsFirst,
    /// A picture, `[height, width, channels]`.
    ChannelsLast,
    /// Perhaps a picture: the shape does not say. Bytes are refused where it matters; `f32` are plain
    /// numbers, with a warning.
    #[serde(skip_deserializing)]
    Unclear,
}

/// The sides of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureShape {
    /// In pixels.
    pub height: usize,
    /// In pixels.
    pub width: usize,
    /// Numbers per pixel.
    pub channels: usize,
    /// True if the numbers run over channels, height, width; otherwise over height, width, channels.
    pub channels_first: bool,
}

impl BoxLayout {
    /// The layout of a box whose world declares none:
    ///
    /// * Bytes in two dimensions, both of at least 8, are a grey picture.
    /// * Bytes in three dimensions are a picture. Two neighbouring sides of one length are its height and
    ///   width, and the third one counts channels. Where all sides differ, channels are the smaller one of
    ///   the first and the last side, if it is the smallest of all, and at most 4 or at most half of the
    ///   others. Else it is unclear.
    /// * `f32` in three dimensions are a picture by the same rule, if its height and width are at least 8.
    /// * `f32` in two dimensions, both of at least 16, and boxes of more dimensions, two of which are at
    ///   least 8, are unclear.
    /// * Everything else is numbers.
    pub fn of_shape(shape: &[usize], dtype: Dtype) -> Self {
        let is_large = |side: &usize| *side >= SMALLEST_SIDE;
        match (dtype, shape) {
            (Dtype::U8, &[height, width]) if is_large(&height) && is_large(&width) => Self::Grey,
            (Dtype::F32, &[rows, columns]) if rows.min(columns) >= LARGE_TABLE => Self::Unclear,
            (Dtype::U8, &[first, second, third]) => by_sides(first, second, third),
            (Dtype::F32, &[first, second, third]) => match by_sides(first, second, third) {
                Self::ChannelsFirst if !(is_large(&second) && is_large(&third)) => Self::Numbers,
                Self::ChannelsLast if !(is_large(&first) && is_large(&second)) => Self::Numbers,
                Self::Unclear if shape.iter().filter(|side| is_large(side)).count() < 2 => Self::Numbers,
                layout => layout,
            },
            _ if shape.len() > 3 && shape.iter().filter(|side| is_large(side)).count() >= 2 => Self::Unclear,
            _ => Self::Numbers,
        }
    }

    /// The dimensions that a box of this layout has; `None` for any number.
    fn dimensions(self) -> Option<usize> {
        match self {
            Self::Grey => Some(2),
            Self::ChannelsFirst | Self::ChannelsLast => Some(3),
            Self::Numbers | Self::Unclear => None,
        }
    }
}

/// The layout of a picture with three dimensions of these lengths.
fn by_sides(first: usize, second: usize, third: usize) -> BoxLayout {
    let counts_channels =
        |side: usize, others: usize| side < others && (side <= FEW_CHANNELS || 2 * side <= others);
    let is_first = (second == third && first != second) || counts_channels(first, second.min(third));
    let is_last = (first == second && second != third) || counts_channels(third, first.min(second));
    match (is_first, is_last) {
        (true, false) => BoxLayout::ChannelsFirst,
        (false, true) => BoxLayout::ChannelsLast,
        _ => BoxLayout::Unclear,
    }
}

impl fmt::Display for BoxLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Numbers => "numbers",
            Self::Grey => "grey",
            Self::ChannelsFirst => "channels_first",
            Self::ChannelsLast => "channels_last",
            Self::Unclear => "unclear",
        })
    }
}

impl BoxSpace {
    /// The same box with this layout, which its world or the user declares.
    ///
    /// # Errors
    /// [`EnvError::Contract`] for a layout of another number of dimensions.
    pub fn with_layout(mut self, layout: BoxLayout) -> Result<Self, EnvError> {
        let have = self.shape.len();
        match layout.dimensions() {
            Some(wanted) if wanted != have => Err(EnvError::Contract(format!(
                "a box of shape {:?} cannot be `{layout}`, which has {wanted} dimensions, not {have}: give `numbers` or a \
                 layout that fits",
                self.shape
            ))),
            _ => {
                self.layout = layout;
                Ok(self)
            }
        }
    }

    /// The sides of the picture, if the layout is that of one.
    pub fn picture(&self) -> Option<PictureShape> {
        let (height, width, channels, channels_first) = match (self.layout, self.shape.as_slice()) {
            (BoxLayout::Grey, &[height, width]) => (height, width, 1, true),
            (BoxLayout::ChannelsFirst, &[channels, height, width]) => (height, width, channels, true),
            (BoxLayout::ChannelsLast, &[height, width, channels]) => (height, width, channels, false),
            _ => return None,
        };
        Some(PictureShape { height, width, channels, channels_first })
    }
}

impl Space {
    /// The boxes that are pictures, or may be, each in words.
    pub fn pictures(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.collect_pictures("", &mut found);
        found
    }

    fn collect_pictures(&self, name: &str, found: &mut Vec<String>) {
        let of = if name.is_empty() { String::new() } else { format!("`{name}`: ") };
        match self {
            Self::Dict(entries) => {
                entries.iter().filter(|(key, _)| key != ACTION_MASK).for_each(|(key, entry)| {
                    let path = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                    entry.collect_pictures(&path, found);
                })
            }
            Self::Box(space) => match (space.picture(), space.layout) {
                (Some(picture), layout) => found.push(format!("{of}{picture}, {layout}")),
                (None, BoxLayout::Unclear) => {
                    found.push(format!("{of}perhaps a picture: {:?} does not say its layout", space.shape));
                }
                (None, _) => {}
            },
            _ => {}
        }
    }
}

impl fmt::Display for PictureShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { height, width, channels, .. } = self;
        let plural = if *channels == 1 { "" } else { "s" };
        write!(f, "a picture of {height} x {width} pixels with {channels} channel{plural}")
    }
}

/// Bounds from here on, and infinite ones, say nothing: many worlds write the largest number there is where
/// they mean none, and the width of such a box exceeds what f32 holds.
pub const NO_BOUND: f32 = 1e15;

/// True for a bound that says something.
pub fn is_bound(bound: f32) -> bool {
    bound.abs() < NO_BOUND
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(shape: &[usize], dtype: Dtype) -> BoxLayout {
        BoxLayout::of_shape(shape, dtype)
    }

    #[test]
    fn the_layout_of_bytes_is_found_or_left_open() {
        use BoxLayout::{ChannelsFirst, ChannelsLast, Grey, Numbers, Unclear};
        let cases: &[(&[usize], BoxLayout)] = &[
            (&[84, 84], Grey),
            (&[8, 200], Grey),
            (&[3, 3], Numbers),
            (&[4, 128], Numbers),
            (&[128], Numbers),
            (&[84, 84, 3], ChannelsLast),
            (&[210, 160, 3], ChannelsLast),
            (&[3, 210, 160], ChannelsFirst),
            (&[84, 84, 1], ChannelsLast),
            (&[1, 84, 84], ChannelsFirst),
            (&[12, 96, 84], ChannelsFirst),
            (&[7, 7, 3], ChannelsLast),
            (&[10, 10, 16], ChannelsLast),
            (&[16, 10, 10], ChannelsFirst),
            (&[4, 6, 3], ChannelsLast),
            (&[10, 10, 10], Unclear),
            (&[84, 96, 100], Unclear),
            (&[10, 12, 6], Unclear),
            (&[4, 84, 4], Unclear),
            (&[84, 3, 96], Unclear),
            (&[4, 84, 84, 3], Unclear),
            (&[2, 3, 3, 2], Numbers),
        ];
        for (shape, expected) in cases {
            assert_eq!(layout(shape, Dtype::U8), *expected, "{shape:?}");
        }
    }

    #[test]
    fn f32_are_a_picture_where_they_are_large_and_clear() {
        use BoxLayout::{ChannelsFirst, ChannelsLast, Numbers, Unclear};
        let cases: &[(&[usize], BoxLayout)] = &[
            (&[3, 84, 84], ChannelsFirst),
            (&[64, 48, 3], ChannelsLast),
            (&[84, 84], Unclear),
            (&[4, 84], Numbers),
            (&[12, 12], Numbers),
            (&[3, 5, 5], Numbers),
            (&[6, 7, 2], Numbers),
            (&[10, 10, 10], Unclear),
            (&[4, 84, 84, 3], Unclear),
            (&[7056], Numbers),
            (&[], Numbers),
        ];
        for (shape, expected) in cases {
            assert_eq!(layout(shape, Dtype::F32), *expected, "{shape:?}");
        }
    }

    #[test]
    fn a_declared_layout_counts_if_it_fits() {
        let cube = || BoxSpace::new(vec![0.0; 1000], vec![1.0; 1000], &[10, 10, 10], Dtype::U8).unwrap();
        assert_eq!(cube().picture(), None);
        let last = cube().with_layout(BoxLayout::ChannelsLast).unwrap().picture();
        assert_eq!(last, Some(PictureShape { height: 10, width: 10, channels: 10, channels_first: false }));
        let message = cube().with_layout(BoxLayout::Grey).unwrap_err().to_string();
        assert!(message.contains("cannot be `grey`, which has 2 dimensions, not 3"), "{message}");
        assert_eq!(cube().with_layout(BoxLayout::Numbers).unwrap().picture(), None);
    }

    #[test]
    fn the_largest_numbers_are_no_bounds() {
        for bound in [f32::INFINITY, f32::MAX, f32::MIN, 1e20, -1e15] {
            assert!(!is_bound(bound), "{bound}");
        }
        assert!(is_bound(0.0) && is_bound(-1e9));
    }
}
