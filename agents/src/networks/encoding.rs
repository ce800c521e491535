//! From observations as environments write them to the numbers that a network takes.

use std::ops::Range;
use std::sync::Arc;

use pavlov_envs::{ACTION_MASK, BoxSpace, Dtype, ObsLayout, ObsRef, PictureShape, Space, is_bound};
use pavlov_nn::{Image, NnError, divide_bytes};
use serde::Serialize;
use tch::{Kind, Tensor};

use super::layout::refuse_unclear;
use super::observation::{ObservationPart, PartKind};
use super::{ImageConfig, NetConfig};

/// Flattens an observation into one row of `f32`: boxes of `f32` and bits as they are, bytes divided by the
/// largest that their box allows (as are pictures of `f32` from 0 to more than 1), each discrete number as a
/// one-hot code or, for networks that embed it, as itself. A dict's entries follow one another.
///
/// The entry [`ACTION_MASK`] of a dict is no input: it says which of the discrete actions make sense.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoder {
    parts: Vec<Code>,
    /// The same as a network sees them.
    seen: Arc<[ObservationPart]>,
    width: usize,
    plain: bool,
    mask: Option<Range<usize>>,
}

/// The code in which discrete numbers of an observation reach a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiscreteCode {
    /// A row of zeros with a one in the number's place.
    #[default]
    OneHot,
    /// The number itself: a token that the network embeds.
    Token,
}

/// The way of some numbers of an observation into the row, in the order in which they stand there. Bytes are
/// taken from the observation's bytes, all others from its floats.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// So many numbers as they are.
    Floats(usize),
    /// Bytes that are divided by the largest one.
    Bytes {
        /// The number of bytes.
        count: usize,
        /// The number that they are divided by.
        largest: f32,
    },
    /// Numbers of a picture that are divided by the largest one.
    Scaled {
        /// The number of numbers.
        count: usize,
        /// The number that they are divided by.
        largest: f32,
    },
    /// A discrete number as so many zeros with a one in its place.
    OneHot(usize),
    /// So many discrete numbers as they are.
    Tokens(usize),
    /// Numbers that are no input.
    Skipped(usize),
}

impl Encoder {
    /// The encoder of observations from `space`, discrete numbers as one-hot codes.
    pub fn new(space: &Space) -> Self {
        Self::with_discrete(space, DiscreteCode::OneHot)
    }

    /// The encoder of observations from `space` for these networks.
    ///
    /// # Errors
    /// [`NnError::Config`] where `net.layout` does not fit the observations, or has to say what their shape
    /// does not.
    pub fn for_networks(space: &Space, net: &NetConfig) -> Result<Self, NnError> {
        let space = net.layout.apply(space)?;
        // Without convolutions a picture is a row of numbers, wherever its channels are.
        if net.cnn != ImageConfig::Off {
            refuse_unclear(&space)?;
        }
        Ok(Self::with_discrete(&space, net.discrete_code()))
    }

    /// The encoder of observations from `space`, with the layouts that it declares.
    pub fn with_discrete(space: &Space, code: DiscreteCode) -> Self {
        let mut collected = Collected { code, parts: Vec::new(), seen: Vec::new(), width: 0 };
        collected.add("", space);
        let Collected { parts, seen, width, .. } = collected;
        let mask = mask_entry(space)
            .and_then(|_| ObsLayout::new(space).leaf(ACTION_MASK).map(|leaf| leaf.range.clone()));
        let plain = parts.iter().all(|part| matches!(part, Code::Floats(_) | Code::Tokens(_)));
        Self { width, plain, parts, seen: seen.into(), mask }
    }

    /// The parts of an encoded observation as a network sees them, in order.
    pub fn parts(&self) -> &Arc<[ObservationPart]> {
        &self.seen
    }

    /// The actions that make sense, 1 for those that do, `[actions]`; `None` where the environment does not
    /// say, or where none would: a world that is over has no choices left, and its mask means nothing.
    pub fn mask<'a>(&self, observation: ObsRef<'a>) -> Option<&'a [f32]> {
        let mask = &observation.floats[self.mask.clone()?];
        mask.contains(&1.0).then_some(mask)
    }

    /// For how many actions there is a mask; 0 without one.
    pub fn mask_width(&self) -> usize {
        self.mask.as_ref().map_or(0, Range::len)
    }

    /// The codes of an observation's numbers, in order.
    pub fn codes(&self) -> &[Code] {
        &self.parts
    }

    /// The place of the mask among an observation's floats.
    pub fn mask_range(&self) -> Option<Range<usize>> {
        self.mask.clone()
    }

    /// The number of numbers of an encoded observation.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The number of those that come from numbers that are no bytes.
    pub fn numbers_width(&self) -> usize {
        self.width - self.bytes_width()
    }

    /// The number of those that come from bytes.
    pub fn bytes_width(&self) -> usize {
        let bytes = |part: &Code| matches!(part, Code::Bytes { .. }).then(|| part.width());
        self.parts.iter().filter_map(bytes).sum()
    }

    /// Writes what comes from the floats of an observation, [`Encoder::numbers_width`] numbers; bytes are
    /// left out.
    pub fn encode_numbers(&self, floats: &[f32], row: &mut [f32]) {
        if self.plain {
            row.copy_from_slice(floats);
            return;
        }
        let (mut floats, mut row) = (floats, row);
        for part in &self.parts {
            if !matches!(part, Code::Bytes { .. }) {
                let (head, tail) = row.split_at_mut(part.width());
                floats = part.encode_floats(floats, head);
                row = tail;
            }
        }
    }

    /// The encoded observations of numbers that [`Encoder::encode_numbers`] wrote, f32 `[batch,
    /// numbers_width]`, and of bytes, u8 with the batch first, on one device: f32 `[batch, width]`, the
    /// numbers that [`Encoder::encode`] writes.
    ///
    /// # Errors
    /// [`NnError::Torch`] when libtorch fails.
    pub fn assemble(&self, numbers: &Tensor, bytes: &Tensor) -> Result<Tensor, NnError> {
        let shape = [numbers.size()[0], self.width as i64];
        let out = Tensor::f_empty(shape, (Kind::Float, numbers.device()))?;
        self.assemble_into(numbers, bytes, &out)?;
        Ok(out)
    }

    /// As [`Encoder::assemble`], into `out`, f32 `[batch, width]`, on one device.
    ///
    /// # Errors
    /// [`NnError::Torch`] when libtorch fails.
    pub fn assemble_into(&self, numbers: &Tensor, bytes: &Tensor, out: &Tensor) -> Result<(), NnError> {
        let bytes = bytes.f_reshape([out.size()[0], -1])?;
        let (mut number, mut byte) = (0, 0);
        for part in &self.parts {
            let width = part.width() as i64;
            let mut room = out.f_narrow(1, number + byte, width)?;
            if let Code::Bytes { largest, .. } = part {
                divide_bytes(&bytes.f_narrow(1, byte, width)?, *largest, &room)?;
                byte += width;
            } else {
                room.f_copy_(&numbers.f_narrow(1, number, width)?)?;
                number += width;
            }
        }
        Ok(())
    }

    /// Writes the encoded observation into `row`, which has [`Encoder::width`] numbers.
    pub fn encode(&self, observation: ObsRef<'_>, row: &mut [f32]) {
        if self.plain {
            row.copy_from_slice(observation.floats);
            return;
        }
        let (mut floats, mut bytes, mut row) = (observation.floats, observation.bytes, row);
        for part in &self.parts {
            let (head, tail) = row.split_at_mut(part.width());
            if let Code::Bytes { count, largest, .. } = part {
                head.iter_mut().zip(bytes).for_each(|(out, &byte)| *out = f32::from(byte) / largest);
                bytes = &bytes[*count..];
            } else {
                floats = part.encode_floats(floats, head);
            }
            row = tail;
        }
    }
}

fn image_of(space: &BoxSpace) -> Option<Image> {
    let PictureShape { height, width, channels, channels_first } = space.picture()?;
    let [height, width, channels] = [height, width, channels].map(|count| count as i64);
    Some(Image { height, width, channels, channels_first })
}

/// The number by which a picture of `f32` is divided: the largest one, if all are from 0 to more than 1.
fn scale_of(space: &BoxSpace) -> Option<f32> {
    let largest = space.high.iter().copied().fold(0.0, f32::max);
    let positive = space.low.iter().all(|low| *low >= 0.0);
    (positive && largest > 1.0 && is_bound(largest)).then_some(largest)
}

/// The parts of a space, collected entry by entry.
struct Collected {
    code: DiscreteCode,
    parts: Vec<Code>,
    seen: Vec<ObservationPart>,
    width: usize,
}

impl Collected {
    fn add(&mut self, key: &str, space: &Space) {
        match space {
            Space::Discrete(n) => self.add_discrete(key, &[*n]),
            Space::MultiDiscrete(counts) => self.add_discrete(key, counts),
            Space::MultiBinary(n) => self.push(key, Code::Floats(*n), PartKind::numbers(*n)),
            Space::Box(space @ BoxSpace { dtype: Dtype::F32, .. }) => {
                let count = space.len();
                match image_of(space) {
                    Some(image) => {
                        let scaled = |largest| Code::Scaled { count, largest };
                        let part = scale_of(space).map_or(Code::Floats(count), scaled);
                        self.push(key, part, PartKind::Image(image));
                    }
                    None => {
                        let shape = space.shape.iter().map(|&side| side as i64).collect();
                        self.push(key, Code::Floats(count), PartKind::Numbers { shape });
                    }
                }
            }
            Space::Box(space) => {
                let largest = space.high.iter().copied().fold(1.0, f32::max);
                let kind = match image_of(space) {
                    Some(image) => PartKind::Image(image),
                    None => PartKind::numbers(space.len()),
                };
                self.push(key, Code::Bytes { count: space.len(), largest }, kind);
            }
            Space::Dict(entries) => entries.iter().for_each(|(name, entry)| match entry {
                Space::MultiBinary(n) if name == ACTION_MASK => self.parts.push(Code::Skipped(*n)),
                entry if key.is_empty() => self.add(name, entry),
                entry => self.add(&format!("{key}.{name}"), entry),
            }),
        }
    }

    fn add_discrete(&mut self, key: &str, counts: &[i64]) {
        match self.code {
            DiscreteCode::Token => {
                let vocabulary = counts.iter().copied().max().unwrap_or(1);
                let kind = PartKind::Tokens { count: counts.len() as i64, vocabulary };
                self.push(key, Code::Tokens(counts.len()), kind);
            }
            DiscreteCode::OneHot => {
                let kind = PartKind::numbers(counts.iter().sum::<i64>() as usize);
                let begin = self.width;
                counts.iter().for_each(|&n| self.parts.push(Code::OneHot(n as usize)));
                self.width += kind.width() as usize;
                self.seen.push(ObservationPart { key: key.to_string(), kind, begin: begin as i64 });
            }
        }
    }

    fn push(&mut self, key: &str, part: Code, kind: PartKind) {
        let begin = self.width as i64;
        self.width += part.width();
        self.parts.push(part);
        self.seen.push(ObservationPart { key: key.to_string(), kind, begin });
    }
}

impl Code {
    /// The number of numbers of its code.
    fn width(&self) -> usize {
        match self {
            Self::Floats(n) | Self::OneHot(n) | Self::Tokens(n) => *n,
            Self::Bytes { count, .. } | Self::Scaled { count, .. } => *count,
            Self::Skipped(_) => 0,
        }
    }

    /// Writes what a part that is no bytes makes of the first of these floats; gives the others.
    fn encode_floats<'f>(&self, floats: &'f [f32], row: &mut [f32]) -> &'f [f32] {
        match self {
            Self::Floats(n) | Self::Tokens(n) => {
                row.copy_from_slice(&floats[..*n]);
                &floats[*n..]
            }
            Self::Scaled { count, largest } => {
                row.iter_mut().zip(floats).for_each(|(out, number)| *out = number / largest);
                &floats[*count..]
            }
            Self::OneHot(n) => {
                row.fill(0.0);
                row[(floats[0] as usize).min(n - 1)] = 1.0;
                &floats[1..]
            }
            Self::Skipped(n) => &floats[*n..],
            Self::Bytes { .. } => floats,
        }
    }
}

fn mask_entry(space: &Space) -> Option<usize> {
    let Space::Dict(entries) = space else { return None };
    entries.iter().find_map(|(key, entry)| match entry {
        Space::MultiBinary(n) if key == ACTION_MASK => Some(*n),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dict_becomes_one_row_in_the_order_of_its_entries() {
        let pixels = BoxSpace::new(vec![0.0; 2], vec![255.0; 2], &[2], Dtype::U8).unwrap();
        let space = Space::Dict(vec![
            ("choice".into(), Space::Discrete(3)),
            ("pixels".into(), Space::Box(pixels)),
            ("bits".into(), Space::MultiBinary(2)),
        ]);
        let encoder = Encoder::new(&space);
        let mut row = [9.0; 7];
        encoder.encode(ObsRef { floats: &[2.0, 1.0, 0.0], bytes: &[255, 51] }, &mut row);
        assert_eq!(row, [0.0, 0.0, 1.0, 1.0, 0.2, 1.0, 0.0]);
    }

    #[test]
    fn a_mask_is_no_input_and_says_nothing_where_nothing_is_left() {
        let space = Space::Dict(vec![
            ("place".into(), Space::unbounded(&[1])),
            (ACTION_MASK.into(), Space::MultiBinary(3)),
            ("goal".into(), Space::unbounded(&[1])),
        ]);
        let encoder = Encoder::new(&space);
        assert_eq!((encoder.width(), encoder.mask_width()), (2, 3));
        let observation = ObsRef { floats: &[5.0, 0.0, 1.0, 0.0, 7.0], bytes: &[] };
        let mut row = [0.0; 2];
        encoder.encode(observation, &mut row);
        assert_eq!(row, [5.0, 7.0]);
        assert_eq!(encoder.mask(observation), Some(&[0.0, 1.0, 0.0][..]));
        assert_eq!(encoder.mask(ObsRef { floats: &[5.0, 0.0, 0.0, 0.0, 7.0], bytes: &[] }), None);
        assert_eq!(Encoder::new(&Space::MultiBinary(3)).mask_width(), 0);
    }

    #[test]
    fn what_is_put_together_later_is_what_is_encoded_at_once() {
        let pixels = |shape: &[usize]| {
            Space::Box(BoxSpace::new(vec![0.0; 4], vec![255.0; 4], shape, Dtype::U8).unwrap())
        };
        let mixed = Space::Dict(vec![
            ("choice".into(), Space::Discrete(3)),
            ("left".into(), pixels(&[4])),
            (ACTION_MASK.into(), Space::MultiBinary(2)),
            ("numbers".into(), Space::unbounded(&[2])),
            ("right".into(), pixels(&[1, 2, 2])),
        ]);
        for (space, floats) in [(mixed, vec![1.0, 0.0, 1.0, -2.5, 7.0]), (pixels(&[2, 2]), vec![])] {
            let encoder = Encoder::new(&space);
            let bytes: Vec<u8> =
                (0..encoder.bytes_width()).map(|index| (250 - 37 * index % 200) as u8).collect();
            let mut whole = vec![0.0; encoder.width()];
            encoder.encode(ObsRef { floats: &floats, bytes: &bytes }, &mut whole);
            let mut numbers = vec![0.0; encoder.numbers_width()];
            encoder.encode_numbers(&floats, &mut numbers);
            let numbers = Tensor::from_slice(&numbers).reshape([1, -1]);
            let assembled = encoder.assemble(&numbers, &Tensor::from_slice(&bytes).reshape([1, -1])).unwrap();
            assert_eq!(Vec::<f32>::try_from(assembled.reshape([-1])).unwrap(), whole);
        }
    }

    #[test]
    fn a_network_sees_the_parts_by_their_keys() {
        let pixels = BoxSpace::new(vec![0.0; 75], vec![255.0; 75], &[5, 5, 3], Dtype::U8).unwrap();
        let space = Space::Dict(vec![
            ("word".into(), Space::MultiDiscrete(vec![3, 4])),
            (ACTION_MASK.into(), Space::MultiBinary(2)),
            ("camera".into(), Space::Box(pixels)),
            ("body".into(), Space::Dict(vec![("joints".into(), Space::unbounded(&[2, 3]))])),
        ]);
        let kinds = |code| {
            let encoder = Encoder::with_discrete(&space, code);
            let parts = encoder.parts().iter().map(|part| (part.key.clone(), part.begin, part.kind.width()));
            (encoder.width(), parts.collect::<Vec<_>>())
        };
        let of = |word: i64| {
            let begins = [0, word, word + 75];
            let keys = ["word", "camera", "body.joints"].map(String::from);
            keys.into_iter().zip(begins).zip([word, 75, 6]).map(|((key, begin), width)| (key, begin, width))
        };
        assert_eq!(kinds(DiscreteCode::OneHot), (88, of(7).collect()));
        assert_eq!(kinds(DiscreteCode::Token), (83, of(2).collect()));
        let mut row = [0.0; 83];
        let floats = [2.0, 3.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5];
        let observation = ObsRef { floats: &floats, bytes: &[0; 75] };
        Encoder::with_discrete(&space, DiscreteCode::Token).encode(observation, &mut row);
        assert_eq!(row[..3], [2.0, 3.0, 0.0]);
    }

    #[test]
    fn bytes_are_scaled_by_what_their_box_allows() {
        let bits = BoxSpace::new(vec![0.0; 2], vec![1.0; 2], &[2], Dtype::U8).unwrap();
        let mut row = [9.0; 2];
        Encoder::new(&Space::Box(bits)).encode(ObsRef { floats: &[], bytes: &[1, 0] }, &mut row);
        assert_eq!(row, [1.0, 0.0]);
    }
}
