//! A batch of observations as a backbone sees it: by its parts, each in its own shape.

use pavlov_nn::{Image, NnError};
use tch::{Kind, Tensor};

/// One part of an observation: the entry of a dict, or the whole observation where it is no dict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservationPart {
    /// The entry's key; of a dict in a dict `outer.inner`, empty where the observation is no dict.
    pub key: String,
    /// The kind of numbers that the part holds.
    pub kind: PartKind,
    /// Where the part begins in an encoded row.
    pub begin: i64,
}

/// The kind of numbers of a part of an observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// Numbers: f32 `[batch, shape...]`.
    Numbers {
        /// The shape of one observation's numbers.
        shape: Vec<i64>,
    },
    /// An image, its bytes scaled to 0..1: f32 `[batch, channels, height, width]`.
    Image(Image),
    /// Discrete numbers to embed: i64 `[batch, count]`.
    Tokens {
        /// The number of them.
        count: i64,
        /// Each is from 0 to less than this.
        vocabulary: i64,
    },
}

impl PartKind {
    /// A row of so many numbers.
    pub(super) fn numbers(count: usize) -> Self {
        Self::Numbers { shape: vec![count as i64] }
    }

    /// The number of numbers of an encoded row that the part takes.
    pub fn width(&self) -> i64 {
        match self {
            Self::Numbers { shape } => shape.iter().product(),
            Self::Image(image) => image.len(),
            Self::Tokens { count, .. } => *count,
        }
    }

    /// The shape of one observation's part, without the batch: of an image channels, height, width.
    pub fn shape(&self) -> Vec<i64> {
        match self {
            Self::Numbers { shape } => shape.clone(),
            Self::Image(image) => vec![image.channels, image.height, image.width],
            Self::Tokens { count, .. } => vec![*count],
        }
    }
}

/// A batch of encoded observations.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    rows: &'a Tensor,
    parts: &'a [ObservationPart],
}

impl<'a> Observation<'a> {
    /// The batch of these rows, f32 `[batch, width]`, which consist of these parts.
    ///
    /// # Errors
    /// [`NnError::Shape`] for rows of another width or type.
    pub fn new(rows: &'a Tensor, parts: &'a [ObservationPart]) -> Result<Self, NnError> {
        let width: i64 = parts.iter().map(|part| part.kind.width()).sum();
        if rows.dim() == 2 && rows.size()[1] == width && rows.kind() == Kind::Float {
            return Ok(Self { rows, parts });
        }
        let (have, kind) = (rows.size(), rows.kind());
        Err(NnError::Shape(format!(
            "encoded observations are f32 [batch, {width}], the input is {kind:?} {have:?}"
        )))
    }

    /// The whole rows, f32 `[batch, width]`, all parts one after the other.
    pub fn rows(&self) -> &'a Tensor {
        self.rows
    }

    /// The number of observations.
    pub fn batch(&self) -> i64 {
        self.rows.size()[0]
    }

    /// The parts of the observation.
    pub fn parts(&self) -> &'a [ObservationPart] {
        self.parts
    }

    /// Part number `index` in the shape and type that its [`PartKind`] says.
    ///
    /// # Errors
    /// [`NnError::Shape`] where there is no such part.
    pub fn part(&self, index: usize) -> Result<Tensor, NnError> {
        let Some(ObservationPart { kind, begin, .. }) = self.parts.get(index) else {
            let count = self.parts.len();
            return Err(NnError::Shape(format!("part {index} of an observation that has {count} of them")));
        };
        let numbers = self.rows.f_narrow(1, *begin, kind.width())?;
        match kind {
            PartKind::Numbers { shape } if shape.len() == 1 => Ok(numbers),
            PartKind::Numbers { shape } => {
                let whole: Vec<i64> = [self.batch()].iter().chain(shape).copied().collect();
                Ok(numbers.f_reshape(whole)?)
            }
            PartKind::Image(image) => image.view(&numbers),
            PartKind::Tokens { .. } => Ok(numbers.f_to_kind(Kind::Int64)?),
        }
    }

    /// The entry of this key of a dict.
    ///
    /// # Errors
    /// [`NnError::Shape`] where there is none, with the keys that there are.
    pub fn get(&self, key: &str) -> Result<Tensor, NnError> {
        self.part(part_index(self.parts, key)?)
    }
}

/// The number of the part with this key.
///
/// # Errors
/// [`NnError::Config`] where there is none, with the keys that there are.
pub fn part_index(parts: &[ObservationPart], key: &str) -> Result<usize, NnError> {
    parts.iter().position(|part| part.key == key).ok_or_else(|| {
        let keys = || parts.iter().map(|part| part.key.as_str());
        let hint = pavlov_common::did_you_mean(key, keys());
        let known = keys().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        NnError::Config(format!("the observation has no entry `{key}`{hint}; there are: {known}"))
    })
}
