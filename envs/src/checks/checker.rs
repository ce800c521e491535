//! The rules for the numbers of a world.

use std::ops::Range;
use std::sync::Arc;

use super::mask;
use super::warnings::{Subject, Warnings};
use crate::{ACTION_MASK, Dtype, EnvError, ObsLayout, ObsLeaf, ObsRef, Space, Step};

/// The size from which a reward is warned of. The square of 1e19 exceeds what f32 holds, and returns are sums of
/// rewards.
const LARGE_REWARD: f64 = 1e9;

/// Checks observations and rewards of one world. A sound observation costs one pass over its numbers without
/// a branch for each.
#[derive(Clone, Debug)]
pub(crate) struct Checker {
    /// Shared by the environments of a vector environment, so that all find them in a near cache.
    leaves: Arc<Vec<Leaf>>,
    /// The places of the mask among the floats, one range for each part of an action.
    choices: Vec<Range<usize>>,
    warnings: Option<Warnings>,
    warns_of_rewards: bool,
}

/// A leaf of the observation with its bounds, which are finite.
#[derive(Clone, Debug)]
struct Leaf {
    name: String,
    range: Range<usize>,
    kind: Kind,
    /// The space in words.
    space: String,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Numbers between the same bounds, or each between its own.
    Floats(Bounds<f32>),
    /// Whole numbers from 0, each below its count.
    Whole(Bounds<f32>),
    /// Bytes; `None` allows all.
    Bytes(Option<Bounds<u8>>),
}

#[derive(Clone, Debug)]
enum Bounds<T> {
    Same(T, T),
    Each(Vec<T>, Vec<T>),
}

impl<T: Copy + PartialOrd> Bounds<T> {
    fn new(low: Vec<T>, high: Vec<T>) -> Self {
        match (low.first(), high.first()) {
            (Some(&l), Some(&h)) if low.iter().all(|x| *x == l) && high.iter().all(|x| *x == h) => {
                Self::Same(l, h)
            }
            _ => Self::Each(low, high),
        }
    }

    fn at(&self, index: usize) -> (T, T) {
        match self {
            Self::Same(low, high) => (*low, *high),
            Self::Each(low, high) => (low[index], high[index]),
        }
    }

    /// True if each number lies within its bounds; NaN never does.
    fn hold(&self, numbers: &[T]) -> bool {
        match self {
            Self::Same(low, high) => numbers.iter().fold(true, |within, x| within & (x >= low) & (x <= high)),
            Self::Each(low, high) => {
                let bounds = low.iter().zip(high);
                numbers.iter().zip(bounds).fold(true, |within, (x, (l, h))| within & (x >= l) & (x <= h))
            }
        }
    }
}

impl Checker {
    /// The rules for a world with these spaces.
    ///
    /// # Errors
    /// [`EnvError::Contract`] for an action mask that no agent would see.
    pub fn new(observations: &Space, actions: &Space) -> Result<Self, EnvError> {
        let choices = mask::choices(observations, actions)?;
        let layout = ObsLayout::new(observations);
        let begin = layout.leaf(ACTION_MASK).map_or(0, |leaf| leaf.range.start);
        let choices = choices.into_iter().map(|range| range.start + begin..range.end + begin).collect();
        let mut spaces = Vec::new();
        collect(observations, &mut spaces);
        let leaves = layout.leaves.into_iter().zip(spaces).map(|(leaf, space)| Leaf::new(leaf, space));
        Ok(Self { leaves: Arc::new(leaves.collect()), choices, warnings: None, warns_of_rewards: true })
    }

    /// Takes the rules of another checker of the same spaces in place of equal ones.
    pub fn share(&mut self, other: &Self) {
        self.leaves = other.leaves.clone();
    }

    /// Adds warnings to these from now on.
    pub fn watch(&mut self, warnings: &Warnings) {
        self.warnings = Some(warnings.clone());
    }

    /// The same without warnings of rewards, which wrappers may make smaller.
    pub fn without_rewards(self) -> Self {
        Self { warns_of_rewards: false, ..self }
    }

    /// Checks an observation; with `over` the episode ended with it, and its mask means nothing.
    ///
    /// # Errors
    /// [`EnvError::Contract`] that names entry, index, number and space.
    pub fn check(&mut self, observation: ObsRef<'_>, over: bool) -> Result<(), EnvError> {
        if !self.leaves.iter().all(|leaf| leaf.is_sound(observation)) {
            for index in 0..self.leaves.len() {
                self.find(index, observation)?;
            }
        }
        if !over
            && let Some(part) =
                self.choices.iter().position(|range| no_one(&observation.floats[range.clone()]))
        {
            let of = if self.choices.len() > 1 {
                format!(" for part {part} of the action")
            } else {
                String::new()
            };
            return Err(EnvError::Contract(format!(
                "`{ACTION_MASK}` allows no action{of}: give at least one 1, or end the episode"
            )));
        }
        Ok(())
    }

    /// Checks the rewards of a step.
    ///
    /// # Errors
    /// [`EnvError::Contract`] for one that is not finite or too large for f32.
    pub fn check_rewards(&mut self, step: &Step) -> Result<(), EnvError> {
        if (step.reward.abs() <= LARGE_REWARD) & (step.raw_reward.abs() <= LARGE_REWARD) {
            return Ok(());
        }
        let wrong = |reward: &f64| !(*reward as f32).is_finite();
        if let Some(reward) = [step.reward, step.raw_reward].into_iter().find(wrong) {
            return Err(EnvError::Contract(format!(
                "the reward is {reward:?}: rewards must be finite 32-bit numbers"
            )));
        }
        if step.reward.abs() > LARGE_REWARD
            && self.warns_of_rewards
            && let Some(warnings) = &self.warnings
        {
            warnings.add(Subject::Reward, || {
                format!(
                    "the environment gave a reward of {:e}: the squares of such rewards may exceed 32-bit numbers, and \
                     training then diverges. Make them smaller with the wrapper `scale_reward` or `normalize_reward`",
                    step.reward
                )
            });
        }
        Ok(())
    }

    /// Names the number of a leaf that breaks a rule. Numbers beyond the bounds of a box of `f32` are warned of
    /// once, and allowed from then on.
    fn find(&mut self, leaf: usize, observation: ObsRef<'_>) -> Result<(), EnvError> {
        let breach = self.leaves[leaf].breach(observation);
        let Some((message, is_error)) = breach else { return Ok(()) };
        if is_error {
            return Err(EnvError::Contract(message));
        }
        if let Some(warnings) = &self.warnings {
            warnings.add(Subject::Bounds, || {
                format!("{message}. The bounds of the space are too narrow; training goes on with the number as it is")
            });
        }
        Arc::make_mut(&mut self.leaves)[leaf].kind = Kind::Floats(Bounds::Same(f32::MIN, f32::MAX));
        Ok(())
    }
}

impl Leaf {
    fn new(leaf: ObsLeaf, space: &Space) -> Self {
        let counts = |counts: Vec<i64>| {
            let high = counts.iter().map(|&count| (count - 1) as f32).collect();
            Kind::Whole(Bounds::new(vec![0.0; counts.len()], high))
        };
        let kind = match space {
            Space::Discrete(n) => counts(vec![*n]),
            Space::MultiDiscrete(all) => counts(all.clone()),
            Space::MultiBinary(n) => counts(vec![2; *n]),
            Space::Box(space) if space.dtype == Dtype::U8 => {
                let bytes = |bounds: &[f32], round: fn(f32) -> f32| -> Vec<u8> {
                    bounds.iter().map(|&bound| round(bound) as u8).collect()
                };
                let bounds = Bounds::new(bytes(&space.low, f32::ceil), bytes(&space.high, f32::floor));
                Kind::Bytes((!matches!(bounds, Bounds::Same(0, 255))).then_some(bounds))
            }
            Space::Box(space) => {
                // An infinite bound still allows finite numbers only.
                let finite =
                    |bounds: &[f32]| bounds.iter().map(|bound| bound.clamp(f32::MIN, f32::MAX)).collect();
                Kind::Floats(Bounds::new(finite(&space.low), finite(&space.high)))
            }
            Space::Dict(_) => Kind::Bytes(None),
        };
        Self { name: leaf.name, range: leaf.range, kind, space: space.to_string() }
    }

    fn is_sound(&self, observation: ObsRef<'_>) -> bool {
        match &self.kind {
            Kind::Floats(bounds) => bounds.hold(&observation.floats[self.range.clone()]),
            Kind::Whole(bounds) => {
                let numbers = &observation.floats[self.range.clone()];
                bounds.hold(numbers) & numbers.iter().fold(true, |whole, &x| whole & is_whole(x))
            }
            Kind::Bytes(None) => true,
            Kind::Bytes(Some(bounds)) => bounds.hold(&observation.bytes[self.range.clone()]),
        }
    }

    /// The first number that is not finite or of the wrong kind, as an error; else the first one beyond the
    /// bounds of a box of `f32`.
    fn breach(&self, observation: ObsRef<'_>) -> Option<(String, bool)> {
        let error = |index: usize, number: &dyn std::fmt::Debug, rule: String| {
            Some((format!("{} is {number:?}, {rule}", self.place(index)), true))
        };
        match &self.kind {
            Kind::Bytes(bounds) => {
                let (bytes, bounds) = (&observation.bytes[self.range.clone()], bounds.as_ref()?);
                let beyond = |(index, byte): (usize, &u8)| {
                    let (low, high) = bounds.at(index);
                    !(low..=high).contains(byte)
                };
                let index = bytes.iter().enumerate().position(beyond)?;
                error(index, &bytes[index], format!("outside of {}", self.space))
            }
            Kind::Floats(bounds) | Kind::Whole(bounds) => {
                let numbers = &observation.floats[self.range.clone()];
                if let Some(index) = numbers.iter().position(|x| !x.is_finite()) {
                    return error(
                        index,
                        &numbers[index],
                        format!("not a finite number as in {}", self.space),
                    );
                }
                let within = |(index, x): (usize, &f32)| {
                    let (low, high) = bounds.at(index);
                    (low..=high).contains(x)
                };
                if matches!(self.kind, Kind::Whole(_)) {
                    let wrong = |(index, x): (usize, &f32)| !(within((index, x)) && is_whole(*x));
                    let index = numbers.iter().enumerate().position(wrong)?;
                    let last = bounds.at(index).1;
                    let rule = format!("not a whole number from 0 to {last} as in {}", self.space);
                    return error(index, &numbers[index], rule);
                }
                let index = numbers.iter().enumerate().position(|at| !within(at))?;
                let (low, high) = bounds.at(index);
                let (place, number) = (self.place(index), numbers[index]);
                let message = format!("{place} is {number:?}, not from {low} to {high} as in {}", self.space);
                Some((message, false))
            }
        }
    }

    fn place(&self, index: usize) -> String {
        match self.name.as_str() {
            "" => format!("number {index} of the observation"),
            name => format!("number {index} of the observation's entry `{name}`"),
        }
    }
}

/// True for whole numbers. A conversion, since `fract` is a call of a function on processors without SSE4.1.
fn is_whole(x: f32) -> bool {
    x as i64 as f32 == x
}

fn no_one(mask: &[f32]) -> bool {
    !mask.contains(&1.0)
}

/// The leaves of a space in the order of its layout.
fn collect<'a>(space: &'a Space, leaves: &mut Vec<&'a Space>) {
    match space {
        Space::Dict(entries) => entries.iter().for_each(|(_, entry)| collect(entry, leaves)),
        leaf => leaves.push(leaf),
    }
}
