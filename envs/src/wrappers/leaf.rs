//! The frame of wrappers that change one leaf of the observation and pass a dict's other entries through.

use std::ops::Range;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Wrapper;
use crate::{
    ACTION_MASK, Action, Dtype, Env, EnvError, ObsBatch, ObsLayout, ObsLeaf, ObsMut, ObsRef, Space, Step,
};

/// A leaf of an observation, to be read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Leaf<'a> {
    Floats(&'a [f32]),
    Bytes(&'a [u8]),
}

/// A leaf of an observation, to be written.
pub(super) enum LeafMut<'a> {
    Floats(&'a mut [f32]),
    Bytes(&'a mut [u8]),
}

/// A map from one leaf to another.
pub(super) trait LeafMap: Send {
    type State: Serialize + DeserializeOwned;

    /// Writes the new leaf; `start` is true at the start of an episode. The types are those of the two
    /// spaces.
    fn map(&mut self, from: Leaf<'_>, to: LeafMut<'_>, start: bool);

    fn state(&self) -> Self::State;

    fn set_state(&mut self, state: Self::State) -> Result<(), EnvError>;
}

/// The wrapper that maps a leaf.
pub(super) struct MapLeaf<M> {
    map: M,
    space: Space,
    source: ObsLeaf,
    target: ObsLeaf,
    /// The places of the other leaves, before and after.
    carried: Vec<(ObsLeaf, Range<usize>)>,
    /// The observation before the change, one row.
    before: ObsBatch,
}

impl<M: LeafMap> MapLeaf<M> {
    /// The change of the leaf `key` of the observations of `inner`; without a key, of the only leaf that is
    /// no action mask. `make` returns the map for the leaf's space, and the space of the new leaf.
    pub fn new(
        inner: &dyn Env,
        key: Option<&str>,
        make: impl FnOnce(&Space) -> Result<(M, Space), EnvError>,
    ) -> Result<Self, EnvError> {
        let before = ObsBatch::new(inner.observation_space(), 1);
        let source = choose(before.layout(), key)?.clone();
        let mut space = inner.observation_space().clone();
        let place = place_of(&mut space, &source.name);
        let (map, mapped) = make(place)?;
        *place = mapped;
        let layout = ObsLayout::new(&space);
        let after = |name: &str| {
            let missing = || EnvError::Contract(format!("`{name}` is no leaf of the changed observation"));
            layout.leaf(name).cloned().ok_or_else(missing)
        };
        let target = after(&source.name)?;
        let others = before.layout().leaves.iter().filter(|leaf| leaf.name != source.name);
        let carried = others.map(|leaf| Ok((leaf.clone(), after(&leaf.name)?.range)));
        let carried = carried.collect::<Result<_, EnvError>>()?;
        Ok(Self { map, space, source, target, carried, before })
    }

    fn write(&mut self, to: ObsMut<'_>, start: bool) {
        let from = self.before.row(0);
        for (leaf, place) in &self.carried {
            match leaf.dtype {
                Dtype::F32 => to.floats[place.clone()].copy_from_slice(&from.floats[leaf.range.clone()]),
                Dtype::U8 => to.bytes[place.clone()].copy_from_slice(&from.bytes[leaf.range.clone()]),
            }
        }
        let place = self.target.range.clone();
        let leaf = match self.target.dtype {
            Dtype::F32 => LeafMut::Floats(&mut to.floats[place]),
            Dtype::U8 => LeafMut::Bytes(&mut to.bytes[place]),
        };
        self.map.map(read(from, &self.source), leaf, start);
    }
}

impl<M: LeafMap> Wrapper for MapLeaf<M> {
    type State = M::State;

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
        self.write(observation, true);
        Ok(())
    }

    fn step(
        &mut self,
        inner: &mut dyn Env,
        action: Action<'_>,
        observation: ObsMut<'_>,
    ) -> Result<Step, EnvError> {
        let step = inner.step(action, self.before.row_mut(0))?;
        self.write(observation, false);
        Ok(step)
    }

    fn state(&self) -> M::State {
        self.map.state()
    }

    fn set_state(&mut self, state: M::State) -> Result<(), EnvError> {
        self.map.set_state(state)
    }
}

fn read<'a>(from: ObsRef<'a>, leaf: &ObsLeaf) -> Leaf<'a> {
    match leaf.dtype {
        Dtype::F32 => Leaf::Floats(&from.floats[leaf.range.clone()]),
        Dtype::U8 => Leaf::Bytes(&from.bytes[leaf.range.clone()]),
    }
}

/// The leaf with this name, or the only one.
fn choose<'a>(layout: &'a ObsLayout, key: Option<&str>) -> Result<&'a ObsLeaf, EnvError> {
    let names = || {
        let names: Vec<_> = layout.leaves.iter().map(|leaf| format!("`{}`", leaf.name)).collect();
        names.join(", ")
    };
    if let Some(key) = key {
        return layout.leaf(key).ok_or_else(|| {
            EnvError::Option(format!("the observation has no entry `{key}`; there are: {}", names()))
        });
    }
    let mut candidates = layout.leaves.iter().filter(|leaf| leaf.name != ACTION_MASK);
    match (candidates.next(), candidates.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(EnvError::Option(format!(
            "the observation has several entries: say with `key` which one of {} is meant",
            names()
        ))),
    }
}

/// The space of the leaf with this name, which is there.
fn place_of<'a>(space: &'a mut Space, name: &str) -> &'a mut Space {
    // The place is found before it is borrowed: a borrow that a loop returns would last through all its
    // turns.
    let step = match space {
        Space::Dict(entries) => entries.iter().enumerate().find_map(|(index, (key, _))| {
            let rest = name.strip_prefix(key.as_str())?;
            if rest.is_empty() { Some((index, "")) } else { Some((index, rest.strip_prefix('.')?)) }
        }),
        _ => None,
    };
    match (space, step) {
        (Space::Dict(entries), Some((index, rest))) => place_of(&mut entries[index].1, rest),
        (space, _) => space,
    }
}
