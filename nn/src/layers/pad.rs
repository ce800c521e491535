//! Padding at the ends of sequences and the edges of images.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::item::{Built, Item, Short, Site};
use super::pair::Pair;
use super::{at_least, is_zero, takes, unfit, wrong_input};
use crate::{Module, NnError, Pass};

/// The numbers that a padding consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PadMode {
    /// Zeros.
    #[default]
    Zeros,
    /// The mirrored input without its outermost number: `c b | a b c | b a`.
    Reflect,
    /// The outermost number: `a a | a b c | c c`.
    Replicate,
    /// The input from its other end: `b c | a b c | a b`.
    Circular,
}

impl PadMode {
    /// The name in libtorch.
    fn name(self) -> &'static str {
        match self {
            Self::Zeros => "constant",
            Self::Reflect => "reflect",
            Self::Replicate => "replicate",
            Self::Circular => "circular",
        }
    }

    /// The most numbers that it has for a side of this size; `None` without a limit.
    fn most(self, size: i64) -> Option<i64> {
        match self {
            Self::Zeros | Self::Replicate => None,
            Self::Reflect => Some(size - 1),
            Self::Circular => Some(size),
        }
    }
}

/// Padding of sequences, as PyTorch's `nn.ZeroPad1d`, `nn.ReflectionPad1d`, `nn.ReplicationPad1d` and
/// `nn.CircularPad1d`. In a list of layers: `{ pad1d = 2 }` for zeros at both ends, or `{ pad1d = { after =
/// 64, mode = "reflect" } }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pad1d {
    /// Number of steps before the sequence.
    #[serde(skip_serializing_if = "is_zero")]
    pub before: i64,
    /// Number of steps after the sequence.
    #[serde(skip_serializing_if = "is_zero")]
    pub after: i64,
    /// The numbers that the padding consists of.
    #[serde(skip_serializing_if = "is_zeros")]
    pub mode: PadMode,
}

/// Padding of images, as PyTorch's `nn.ZeroPad2d`, `nn.ReflectionPad2d`, `nn.ReplicationPad2d` and
/// `nn.CircularPad2d`. In a list of layers: `{ pad2d = 2 }` for zeros at all four edges, or `{ pad2d = {
/// before = [1, 0], after = 2, mode = "reflect" } }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pad2d {
    /// Number of rows above and of columns on the left.
    #[serde(skip_serializing_if = "Pair::is_zero")]
    pub before: Pair,
    /// Number of rows below and of columns on the right.
    #[serde(skip_serializing_if = "Pair::is_zero")]
    pub after: Pair,
    /// The numbers that the padding consists of.
    #[serde(skip_serializing_if = "is_zeros")]
    pub mode: PadMode,
}

impl Default for Pad2d {
    fn default() -> Self {
        Self { before: Pair::zero(), after: Pair::zero(), mode: PadMode::Zeros }
    }
}

// serde asks by reference.
fn is_zeros(mode: &PadMode) -> bool {
    *mode == PadMode::Zeros
}

impl Pad1d {
    /// So many zeros at both ends.
    pub const fn zeros(count: i64) -> Self {
        Self { before: count, after: count, mode: PadMode::Zeros }
    }

    fn edges(&self) -> Edges {
        Edges { before: vec![self.before], after: vec![self.after], mode: self.mode }
    }
}

impl Pad2d {
    /// So many zeros at all four edges.
    pub const fn zeros(count: i64) -> Self {
        Self { before: Pair::both(count), after: Pair::both(count), mode: PadMode::Zeros }
    }

    fn edges(&self) -> Edges {
        Edges { before: self.before.sizes().into(), after: self.after.sizes().into(), mode: self.mode }
    }
}

/// A padding; each list has one number for each dimension of space or time.
struct Edges {
    before: Vec<i64>,
    after: Vec<i64>,
    mode: PadMode,
}

impl Edges {
    fn takes(&self) -> &'static str {
        takes(self.before.len())
    }

    /// The shape of one sample that comes out for one of `[channels, sizes ...]`.
    fn output(&self, shape: &[i64]) -> Result<Vec<i64>, NnError> {
        if shape.len() != 1 + self.before.len() {
            return Err(unfit(self.takes(), shape));
        }
        let mut output = vec![shape[0]];
        for (index, &size) in shape[1..].iter().enumerate() {
            for (name, count) in [("before", self.before[index]), ("after", self.after[index])] {
                at_least(name, count, 0)?;
                if let Some(most) = self.mode.most(size).filter(|&most| count > most) {
                    return Err(NnError::Config(format!(
                        "{name} is {count}: give at most {most}, since it gets samples of shape {shape:?}, \
                         or another mode"
                    )));
                }
            }
            output.push(size + self.before[index] + self.after[index]);
        }
        Ok(output)
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, NnError> {
        let size = x.size();
        if size.len() != 2 + self.before.len() {
            return Err(wrong_input("a padding", format!("a batch of {}", self.takes()), x));
        }
        self.output(&size[1..])?;
        // libtorch begins with the last dimension.
        let sides = self.before.iter().zip(&self.after).rev();
        let counts: Vec<i64> = sides.flat_map(|(&before, &after)| [before, after]).collect();
        Ok(x.f_pad(counts, self.mode.name(), None)?)
    }
}

macro_rules! paddings {
    ($($layer:ident, $count:expr, $forward:literal;)*) => {$(
        impl Module for $layer {
            #[doc = $forward]
            fn forward(&self, _: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
                self.edges().forward(x)
            }
        }

        impl Item for $layer {
            fn from_short(short: Short) -> Option<Self> {
                short.whole().map(Self::zeros)
            }

            fn to_short(&self) -> Option<Short> {
                let count = $count(self);
                (*self == Self::zeros(count)).then_some(Short::Whole(count))
            }

            fn build(&self, _: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
                Ok(Built::new(*self, self.edges().output(shape)?))
            }
        }
    )*};
}

paddings! {
    Pad1d, |layer: &Pad1d| layer.before,
    "From `[batch, channels, steps]` to `[batch, channels, before + steps + after]`.";
    Pad2d, |layer: &Pad2d| layer.before.height,
    "From `[batch, channels, height, width]` to the same with more rows and columns.";
}
