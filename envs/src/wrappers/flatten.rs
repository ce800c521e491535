//! The wrapper that shows a whole observation as one row of numbers.

use super::Wrapper;
use super::one_hot::OneHot;
use crate::{ACTION_MASK, Action, BoxSpace, Dtype, Env, EnvError, ObsBatch, ObsLayout, ObsMut, Space, Step};

/// Shows all entries of the observation in one box of `f32`, one after the other: boxes as they are, bytes as
/// numbers, discrete numbers as one-hot codes. An action mask stays an entry of its own beside `observation`.
pub(super) struct Flatten {
    parts: Vec<Part>,
    space: Space,
    before: ObsBatch,
}

/// A leaf's place in the old observation, and its place in the new one.
struct Part {
    from: std::ops::Range<usize>,
    to: std::ops::Range<usize>,
    kind: Kind,
}

enum Kind {
    Floats,
    Bytes,
    Codes(OneHot),
}

impl Flatten {
    pub fn new(inner: &dyn Env) -> Result<Self, EnvError> {
        let before = ObsBatch::new(inner.observation_space(), 1);
        let mut leaves = Vec::new();
        collect(inner.observation_space(), "", &mut leaves);
        let (mut low, mut high, mut parts, mut mask) = (Vec::new(), Vec::new(), Vec::new(), None);
        for ((name, space), leaf) in leaves.iter().zip(&before.layout().leaves) {
            let from = leaf.range.clone();
            if let (ACTION_MASK, Space::MultiBinary(n)) = (name.as_str(), space) {
                mask = Some((*n, from));
                continue;
            }
            let start = low.len();
            let kind = match space {
                Space::Box(space) => {
                    low.extend(&space.low);
                    high.extend(&space.high);
                    if space.dtype == Dtype::F32 { Kind::Floats } else { Kind::Bytes }
                }
                Space::Discrete(n) => codes(&[*n], &mut low, &mut high),
                Space::MultiDiscrete(counts) => codes(counts, &mut low, &mut high),
                Space::MultiBinary(n) => {
                    low.resize(start + n, 0.0);
                    high.resize(start + n, 1.0);
                    Kind::Floats
                }
                Space::Dict(_) => continue,
            };
            parts.push(Part { from, to: start..low.len(), kind });
        }
        let width = low.len();
        let flat = Space::Box(BoxSpace::new(low, high, &[width], Dtype::F32)?);
        let space = match mask {
            None => flat,
            Some((n, from)) => {
                parts.push(Part { from, to: width..width + n, kind: Kind::Floats });
                Space::Dict(vec![("observation".into(), flat), (ACTION_MASK.into(), Space::MultiBinary(n))])
            }
        };
        debug_assert_eq!(
            ObsLayout::new(&space).floats,
            parts.iter().map(|part| part.to.len()).sum::<usize>()
        );
        Ok(Self { parts, space, before })
    }

    fn write(&self, to: ObsMut<'_>) {
        let from = self.before.row(0);
        for part in &self.parts {
            let out = &mut to.floats[part.to.clone()];
            match &part.kind {
                Kind::Floats => out.copy_from_slice(&from.floats[part.from.clone()]),
                Kind::Codes(code) => code.write(&from.floats[part.from.clone()], out),
                Kind::Bytes => {
                    let bytes = &from.bytes[part.from.clone()];
                    out.iter_mut().zip(bytes).for_each(|(out, &byte)| *out = f32::from(byte));
                }
            }
        }
    }
}

/// The leaves in the order of the layout.
fn collect<'a>(space: &'a Space, name: &str, leaves: &mut Vec<(String, &'a Space)>) {
    match space {
        Space::Dict(entries) => entries.iter().for_each(|(key, entry)| collect(entry, key, leaves)),
        leaf => leaves.push((name.into(), leaf)),
    }
}

fn codes(counts: &[i64], low: &mut Vec<f32>, high: &mut Vec<f32>) -> Kind {
    let counts: Vec<_> = counts.iter().map(|&n| n as usize).collect();
    let width = low.len() + counts.iter().sum::<usize>();
    low.resize(width, 0.0);
    high.resize(width, 1.0);
    Kind::Codes(OneHot::of(counts))
}

impl Wrapper for Flatten {
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
        self.write(observation);
        Ok(())
    }

    fn step(
        &mut self,
        inner: &mut dyn Env,
        action: Action<'_>,
        observation: ObsMut<'_>,
    ) -> Result<Step, EnvError> {
        let step = inner.step(action, self.before.row_mut(0))?;
        self.write(observation);
        Ok(step)
    }

    fn state(&self) {}

    fn set_state(&mut self, (): ()) -> Result<(), EnvError> {
        Ok(())
    }
}
