//! Worlds that need a memory: classic control without velocities, and two tests of memory alone.

mod repeat_previous;
mod t_maze;

pub use repeat_previous::RepeatPrevious;
pub use t_maze::TMaze;

use std::ops::RangeInclusive;

use crate::classic::{CartPole, MountainCar, Pendulum};
use crate::wrappers::{TimeLimit, Wrapped, WrapperConfig};
use crate::{Env, EnvError, EnvOptions, EnvSpec};

/// The environments of this family, as they are registered.
pub(crate) fn specs() -> Vec<EnvSpec> {
    vec![
        EnvSpec::new("CartPoleNoVel-v1", |options| {
            masked(CartPole::new(options.flag("sutton_barto_reward", false)?), &[0, 2])
        })
        .summary("CartPole-v1 without velocities: position and angle alone are observed")
        .reward("1 for each step")
        .options(&["sutton_barto_reward"])
        .max_episode_steps(500)
        .reward_threshold(475.0),
        EnvSpec::new("PendulumNoVel-v1", |options| {
            masked(Pendulum::new(options.number("g", 10.0)?), &[0, 1])
        })
        .summary("Pendulum-v1 without velocity: cosine and sine of the angle alone are observed")
        .reward("-(angle^2 + 0.1 velocity^2 + 0.001 torque^2)")
        .options(&["g"])
        .max_episode_steps(200),
        EnvSpec::new("MountainCarNoVel-v0", |options| {
            masked(MountainCar::new(options.number("goal_velocity", 0.0)?), &[0])
        })
        .summary("MountainCar-v0 without velocity: the position alone is observed")
        .reward("-1 for each step")
        .options(&["goal_velocity"])
        .max_episode_steps(200)
        .reward_threshold(-110.0),
        EnvSpec::new("TMaze-v0", t_maze)
            .summary("Remember the sign at a corridor's start until the turn at its end (Bakker 2001)")
            .reward("4 for the right turn, -0.1 for the wrong one and for running into a wall")
            .options(&["corridor_length"]),
        EnvSpec::new("RepeatPrevious-v0", repeat_previous)
            .summary("Name the suit of the card that was dealt some steps ago (POPGym's RepeatPrevious)")
            .reward("the same share for each answer, 1 or -1 if all are right or wrong")
            .options(&["num_decks", "k"]),
    ]
}

fn masked(env: impl Env + 'static, shown: &[usize]) -> Result<Box<dyn Env>, EnvError> {
    WrapperConfig::Select { shown: shown.to_vec(), key: None }.wrap(Box::new(env))
}

fn t_maze(options: &EnvOptions) -> Result<Box<dyn Env>, EnvError> {
    let length = within(options, "corridor_length", 10, 1..=10_000)?;
    // Ten times the way's length: a limit that belongs to the id would not grow with the corridor.
    let limit = TimeLimit::new(10 * (length + 1))?;
    Ok(Box::new(Wrapped::new(Box::new(TMaze::new(length)), limit)))
}

fn repeat_previous(options: &EnvOptions) -> Result<Box<dyn Env>, EnvError> {
    let decks = within(options, "num_decks", 1, 1..=1000)?;
    let k = within(options, "k", 4, 1..=RepeatPrevious::cards(decks) - 1)?;
    Ok(Box::new(RepeatPrevious::new(decks, k)))
}

/// The whole number of this name, if it lies in the range.
fn within(
    options: &EnvOptions,
    name: &str,
    default: u32,
    range: RangeInclusive<u32>,
) -> Result<u32, EnvError> {
    let given = options.integer(name, default.into())?;
    u32::try_from(given).ok().filter(|number| range.contains(number)).ok_or_else(|| {
        let (first, last) = (range.start(), range.end());
        EnvError::Option(format!("`{name}` is {given}: give a whole number from {first} to {last}"))
    })
}
