//! Two sizes of an image's layer.

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A size along an image's height and one along its width. In a file: a number for both, or `[height,
/// width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Along the height.
    pub height: i64,
    /// Along the width.
    pub width: i64,
}

impl Pair {
    /// The same size along both.
    pub const fn both(size: i64) -> Self {
        Self { height: size, width: size }
    }

    /// Height, then width, as libtorch takes them.
    pub const fn sizes(self) -> [i64; 2] {
        [self.height, self.width]
    }

    pub(super) fn is_zero(&self) -> bool {
        *self == Self::both(0)
    }

    pub(super) fn is_one(&self) -> bool {
        *self == Self::both(1)
    }

    pub(super) const fn zero() -> Self {
        Self::both(0)
    }

    pub(super) const fn one() -> Self {
        Self::both(1)
    }
}

impl From<i64> for Pair {
    fn from(size: i64) -> Self {
        Self::both(size)
    }
}

impl From<[i64; 2]> for Pair {
    fn from([height, width]: [i64; 2]) -> Self {
        Self { height, width }
    }
}

impl Serialize for Pair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.height == self.width {
            true => self.height.serialize(serializer),
            false => self.sizes().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrTwo;

        impl<'de> Visitor<'de> for OneOrTwo {
            type Value = Pair;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a whole number, or two of them: [height, width]")
            }

            fn visit_i64<E: Error>(self, size: i64) -> Result<Pair, E> {
                Ok(size.into())
            }

            fn visit_u64<E: Error>(self, size: u64) -> Result<Pair, E> {
                i64::try_from(size).map(Pair::both).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, sizes: A) -> Result<Pair, A::Error> {
                <[i64; 2]>::deserialize(SeqAccessDeserializer::new(sizes)).map(Pair::from)
            }
        }

        deserializer.deserialize_any(OneOrTwo)
    }
}
