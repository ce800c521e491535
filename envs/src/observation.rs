//! Observations in buffers that the caller owns, for single environments and batches.
//!
//! An observation of any space, a dict included, is laid out as one row of `f32` and one row of `u8`: the
//! leaves of the space stand one after the other, each in the row of its type. So a batch of observations is
//! two flat arrays, a row of it is two slices, and neither a dict nor a picture ever costs an allocation or a
//! copy per leaf.

use std::ops::Range;
use std::sync::Arc;

use crate::{BoxLayout, Dtype, Space};

/// One leaf of an observation space: a box, or the number(s) of a discrete space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObsLeaf {
    /// The path of keys in the dict, joined with `.`; empty for a space that is no dict.
    pub name: String,
    /// The row in which the leaf stands.
    pub dtype: Dtype,
    /// The leaf's shape, without the batch dimension.
    pub shape: Vec<usize>,
    /// The meaning of the dimensions.
    pub layout: BoxLayout,
    /// The leaf's place in its row.
    pub range: Range<usize>,
}

/// The layout of a space's observations in their two rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObsLayout {
    /// The leaves in the order of the space.
    pub leaves: Vec<ObsLeaf>,
    /// The length of a row of `f32`.
    pub floats: usize,
    /// The length of a row of `u8`.
    pub bytes: usize,
}

impl ObsLayout {
    /// The layout of observations from `space`. Discrete numbers stand as `f32`, boxes in their own type.
    pub fn new(space: &Space) -> Self {
        let mut layout = Self { leaves: Vec::new(), floats: 0, bytes: 0 };
        layout.add(String::new(), space);
        layout
    }

    fn add(&mut self, name: String, space: &Space) {
        if let Space::Dict(entries) = space {
            for (key, entry) in entries {
                let path = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                self.add(path, entry);
            }
            return;
        }
        let (dtype, shape, layout) = match space {
            Space::Box(space) => (space.dtype, space.shape.clone(), space.layout),
            Space::MultiDiscrete(counts) => (Dtype::F32, vec![counts.len()], BoxLayout::Numbers),
            Space::MultiBinary(n) => (Dtype::F32, vec![*n], BoxLayout::Numbers),
            Space::Discrete(_) | Space::Dict(_) => (Dtype::F32, vec![1], BoxLayout::Numbers),
        };
        let length = shape.iter().product::<usize>();
        let end = match dtype {
            Dtype::F32 => &mut self.floats,
            Dtype::U8 => &mut self.bytes,
        };
        let range = *end..*end + length;
        *end = range.end;
        self.leaves.push(ObsLeaf { name, dtype, shape, layout, range });
    }

    /// The leaf of this name.
    pub fn leaf(&self, name: &str) -> Option<&ObsLeaf> {
        self.leaves.iter().find(|leaf| leaf.name == name)
    }
}

/// One observation, to be written by an environment.
#[derive(Debug)]
pub struct ObsMut<'a> {
    /// The `f32` leaves, one after the other.
    pub floats: &'a mut [f32],
    /// The `u8` leaves, one after the other.
    pub bytes: &'a mut [u8],
}

impl ObsMut<'_> {
    /// The same buffers, borrowed for a shorter time: for a wrapper that passes them on.
    pub fn reborrow(&mut self) -> ObsMut<'_> {
        ObsMut { floats: self.floats, bytes: self.bytes }
    }

    /// The same observation, to be read.
    pub fn as_ref(&self) -> ObsRef<'_> {
        ObsRef { floats: self.floats, bytes: self.bytes }
    }

    /// Overwrites the observation with `source`, which has the same layout.
    pub fn copy_from(&mut self, source: ObsRef<'_>) {
        self.floats.copy_from_slice(source.floats);
        self.bytes.copy_from_slice(source.bytes);
    }
}

/// One observation, to be read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ObsRef<'a> {
    /// The `f32` leaves, one after the other.
    pub floats: &'a [f32],
    /// The `u8` leaves, one after the other.
    pub bytes: &'a [u8],
}

/// A batch of observations of one space: `rows` rows of `f32` and `rows` rows of `u8`, each contiguous.
#[derive(Clone, Debug, PartialEq)]
pub struct ObsBatch {
    layout: Arc<ObsLayout>,
    rows: usize,
    floats: Vec<f32>,
    bytes: Vec<u8>,
}

impl ObsBatch {
    /// A batch of `rows` observations of `space`, all zero.
    pub fn new(space: &Space, rows: usize) -> Self {
        Self::with_layout(Arc::new(ObsLayout::new(space)), rows)
    }

    /// A batch of `rows` observations of this layout, all zero.
    pub fn with_layout(layout: Arc<ObsLayout>, rows: usize) -> Self {
        let (floats, bytes) = (vec![0.0; rows * layout.floats], vec![0; rows * layout.bytes]);
        Self { layout, rows, floats, bytes }
    }

    /// The layout of the observations.
    pub fn layout(&self) -> &Arc<ObsLayout> {
        &self.layout
    }

    /// The number of observations.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Observation `row`, to be read.
    pub fn row(&self, row: usize) -> ObsRef<'_> {
        let (f, b) = (self.layout.floats, self.layout.bytes);
        ObsRef { floats: &self.floats[row * f..(row + 1) * f], bytes: &self.bytes[row * b..(row + 1) * b] }
    }

    /// Observation `row`, to be written.
    pub fn row_mut(&mut self, row: usize) -> ObsMut<'_> {
        let (f, b) = (self.layout.floats, self.layout.bytes);
        ObsMut {
            floats: &mut self.floats[row * f..(row + 1) * f],
            bytes: &mut self.bytes[row * b..(row + 1) * b],
        }
    }

    /// Overwrites observation `row` with `source`, which has the same layout.
    pub fn copy_row(&mut self, row: usize, source: ObsRef<'_>) {
        self.row_mut(row).copy_from(source);
    }

    /// Overwrites the observations from `first` on with those of `source`, which has the same layout.
    pub fn copy_rows(&mut self, first: usize, source: &ObsBatch) {
        let (f, b) = (self.layout.floats, self.layout.bytes);
        self.floats[first * f..][..source.floats.len()].copy_from_slice(&source.floats);
        self.bytes[first * b..][..source.bytes.len()].copy_from_slice(&source.bytes);
    }

    /// All `f32` rows, `[rows, layout.floats]` in row-major order.
    pub fn floats(&self) -> &[f32] {
        &self.floats
    }

    /// All `u8` rows, `[rows, layout.bytes]` in row-major order.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All `f32` rows, to be written.
    pub fn floats_mut(&mut self) -> &mut [f32] {
        &mut self.floats
    }

    /// All `u8` rows, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}
