//! The laws that every environment keeps, as checks: for the bundled environments and for your own.
//!
//! ```
//! use pavlov_envs::{Registry, laws};
//!
//! let registry = Registry::bundled();
//! let breaches = laws::check(&|| registry.make("CartPole-v1"));
//! assert!(breaches.is_empty(), "{breaches:#?}");
//! ```

mod wrong_actions;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::wrong_actions::WrongActions;
use crate::checks::Checker;
use crate::{
    ActionBatch, End, Env, EnvError, EnvState, ObsBatch, SeededRng, Step, StepBatch, SyncVectorEnv, VectorEnv,
};

/// Steps for which each law is checked.
const STEPS: usize = 300;

/// A law that an environment breaks, explained in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The law.
    pub law: &'static str,
    /// The observed breach, and the remedy.
    pub explanation: String,
}

/// Makes the environment under test, anew for each law.
pub type Make<'a> = &'a dyn Fn() -> Result<Box<dyn Env>, EnvError>;

type Law = fn(Make<'_>) -> Result<(), String>;

const LAWS: [(&str, Law); 11] = [
    ("observations lie in their space", observations_in_space),
    ("the same seed gives the same episode", deterministic),
    ("reset without a seed goes on with the generator", reset_continues),
    ("wrong actions are refused", wrong_actions_refused),
    ("a step needs an episode under way", step_needs_reset),
    ("an episode's end is followed by a reset that works", ends_and_resets),
    ("a saved environment continues exactly", saves_and_restores),
    ("a vector environment equals its environments", vector_equals_single),
    ("a damaged state does no harm", damaged_states_harmless),
    ("numbers, masks and rewards are sound in longer play", sound_as_in_a_run),
    ("a reset with a seed forgets what was before", seeded_reset_forgets),
];

/// Checks every law on environments that `make` makes. An empty list means that all are kept; a law that
/// cannot be checked (saving, where the environment does not support it) counts as kept.
pub fn check(make: Make<'_>) -> Vec<Breach> {
    let outcome = |law: Law| match catch_unwind(AssertUnwindSafe(|| law(make))) {
        Ok(result) => result,
        Err(_) => Err("the environment panicked: return an EnvError instead".into()),
    };
    LAWS.iter()
        .filter_map(|(name, law)| outcome(*law).err().map(|explanation| Breach { law: name, explanation }))
        .collect()
}

/// An environment with its buffers and a source of random actions.
struct Probe {
    env: Box<dyn Env>,
    observation: ObsBatch,
    actions: ActionBatch,
    rng: SeededRng,
}

impl Probe {
    fn new(make: Make<'_>) -> Result<Self, String> {
        let env = make().map_err(|error| format!("it cannot be made: {error}"))?;
        let observation = ObsBatch::new(env.observation_space(), 1);
        let actions = ActionBatch::new(env.action_space(), 1).map_err(|error| error.to_string())?;
        Ok(Self { env, observation, actions, rng: SeededRng::seeded(11) })
    }

    fn reset(&mut self, seed: Option<u64>) -> Result<(), String> {
        self.env.reset(seed, self.observation.row_mut(0)).map_err(|error| format!("reset failed: {error}"))
    }

    fn random_step(&mut self) -> Result<Step, String> {
        let space = self.env.action_space().clone();
        self.actions.sample_row(0, &space, &mut self.rng);
        self.repeat_step()
    }

    /// A step with the last action.
    fn repeat_step(&mut self) -> Result<Step, String> {
        self.env
            .step(self.actions.row(0), self.observation.row_mut(0))
            .map_err(|error| format!("step failed with an action of its own space: {error}"))
    }

    /// Observations, rewards and ends of random play.
    fn trace(&mut self, steps: usize) -> Result<Vec<(ObsBatch, Step)>, String> {
        (0..steps)
            .map(|_| {
                let step = self.random_step()?;
                let seen = (self.observation.clone(), step);
                if step.end.is_over() {
                    self.reset(None)?;
                }
                Ok(seen)
            })
            .collect()
    }
}

fn observations_in_space(make: Make<'_>) -> Result<(), String> {
    let mut probe = Probe::new(make)?;
    let check = |probe: &Probe, call: &str| {
        let space = probe.env.observation_space();
        let breach = space.check_observation(probe.observation.row(0));
        breach.map_err(|breach| format!("{call} wrote an observation outside of the space: {breach}"))
    };
    probe.reset(Some(1))?;
    check(&probe, "reset")?;
    for _ in 0..STEPS {
        let step = probe.random_step()?;
        check(&probe, "step")?;
        if step.end.is_over() {
            probe.reset(None)?;
            check(&probe, "reset")?;
        }
    }
    Ok(())
}

/// The checks of a run, under random actions and under each of a few actions over and over, which lead
/// to places where random ones do not.
fn sound_as_in_a_run(make: Make<'_>) -> Result<(), String> {
    const REPEATED: u64 = 4;
    let mut probe = Probe::new(make)?;
    let spaces = (probe.env.observation_space(), probe.env.action_space());
    let mut checker = Checker::new(spaces.0, spaces.1).map_err(|error| error.to_string())?;
    for play in 0..=REPEATED {
        probe.reset(Some(play))?;
        for number in 0..STEPS {
            let call = |error: EnvError| format!("step {number} of a play with one action: {error}");
            checker.check(probe.observation.row(0), false).map_err(call)?;
            let step = if play == 0 || number == 0 { probe.random_step()? } else { probe.repeat_step()? };
            checker.check_rewards(&step).map_err(call)?;
            checker.check(probe.observation.row(0), step.end.is_over()).map_err(call)?;
            if step.end.is_over() {
                probe.reset(None)?;
            }
        }
    }
    Ok(())
}

fn deterministic(make: Make<'_>) -> Result<(), String> {
    let play = || -> Result<_, String> {
        let mut probe = Probe::new(make)?;
        probe.reset(Some(5))?;
        let first = probe.observation.clone();
        Ok((first, probe.trace(STEPS)?))
    };
    if play()? == play()? {
        return Ok(());
    }
    Err("two environments with one seed and the same actions differ: draw every random number from a generator that \
         reset(Some(seed), ..) starts anew"
        .into())
}

fn reset_continues(make: Make<'_>) -> Result<(), String> {
    let starts = |reseed: bool| -> Result<Vec<ObsBatch>, String> {
        let mut probe = Probe::new(make)?;
        (0..20)
            .map(|episode| {
                probe.reset((reseed || episode == 0).then_some(9))?;
                Ok(probe.observation.clone())
            })
            .collect()
    };
    let (reseeded, continued) = (starts(true)?, starts(false)?);
    if reseeded.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(
            "reset with one seed gives different starts: start the generator anew from the seed".into()
        );
    }
    // A world whose starts do not vary over seeds either has no chance in it.
    let mut probe = Probe::new(make)?;
    let mut varied = false;
    for seed in 0..20 {
        probe.reset(Some(seed))?;
        varied |= probe.observation != reseeded[0];
    }
    if varied && continued[1..].windows(2).all(|pair| pair[0] == pair[1]) {
        return Err("reset(None, ..) repeats the same start: go on with the generator as it stands".into());
    }
    Ok(())
}

/// A used environment, reset with a seed in the middle of an episode and after an end, goes as a new one.
fn seeded_reset_forgets(make: Make<'_>) -> Result<(), String> {
    let from_reset = |mut probe: Probe| -> Result<_, String> {
        probe.rng = SeededRng::seeded(13);
        probe.reset(Some(7))?;
        let first = probe.observation.clone();
        Ok((first, probe.trace(STEPS)?))
    };
    let expected = from_reset(Probe::new(make)?)?;
    for ends in [false, true] {
        let mut used = Probe::new(make)?;
        used.reset(Some(8))?;
        for _ in 0..STEPS {
            let over = used.random_step()?.end.is_over();
            if over && ends {
                break;
            } else if over {
                used.reset(None)?;
            }
        }
        if from_reset(used)? != expected {
            return Err("a used environment that is reset with a seed differs from a new one with that seed: an \
                        evaluation uses its environments again. Let reset start everything anew that a step has changed"
                .into());
        }
    }
    Ok(())
}

fn wrong_actions_refused(make: Make<'_>) -> Result<(), String> {
    let mut probe = Probe::new(make)?;
    probe.reset(Some(1))?;
    let space = probe.env.action_space().clone();
    for action in WrongActions::of(&space).iter() {
        match probe.env.step(action, probe.observation.row_mut(0)) {
            Err(EnvError::Action { .. }) => {}
            Ok(_) => {
                return Err(format!(
                    "the action {action:?} was accepted, which is none of {space}: check it against the action space"
                ));
            }
            Err(other) => {
                return Err(format!("the action {action:?} gave `{other}`: return EnvError::Action"));
            }
        }
    }
    Ok(())
}

fn step_needs_reset(make: Make<'_>) -> Result<(), String> {
    let mut probe = Probe::new(make)?;
    let refuses = |probe: &mut Probe, when: &str| {
        let space = probe.env.action_space().clone();
        probe.actions.sample_row(0, &space, &mut probe.rng);
        match probe.env.step(probe.actions.row(0), probe.observation.row_mut(0)) {
            Err(EnvError::NeedsReset) => Ok(()),
            _ => Err(format!("a step {when} must be refused with EnvError::NeedsReset")),
        }
    };
    refuses(&mut probe, "before the first reset")?;
    probe.reset(Some(1))?;
    for _ in 0..STEPS {
        if probe.random_step()?.end.is_over() {
            return refuses(&mut probe, "after an episode's end");
        }
    }
    Ok(())
}

fn ends_and_resets(make: Make<'_>) -> Result<(), String> {
    let mut probe = Probe::new(make)?;
    probe.reset(Some(2))?;
    for _ in 0..STEPS {
        if probe.random_step()?.end.is_over() {
            probe.reset(None)?;
            probe.random_step().map_err(|error| format!("after an end and a reset, {error}"))?;
            probe.reset(None)?;
        }
    }
    Ok(())
}

fn saves_and_restores(make: Make<'_>) -> Result<(), String> {
    let mut original = Probe::new(make)?;
    original.reset(Some(4))?;
    for pause in [0, 1, 7, 40] {
        for _ in 0..pause {
            if original.random_step()?.end.is_over() {
                original.reset(None)?;
            }
        }
        let Some(state) = original.env.save_state() else { return Ok(()) };
        let mut restored = Probe::new(make)?;
        restored
            .env
            .load_state(&state)
            .map_err(|error| format!("its own state cannot be loaded: {error}"))?;
        restored.rng = original.rng.clone();
        if restored.trace(60)? != original.trace(60)? {
            return Err("an environment that loads a saved state goes on differently: save every field that changes, \
                        the generator included"
                .into());
        }
    }
    Ok(())
}

fn vector_equals_single(make: Make<'_>) -> Result<(), String> {
    const COPIES: usize = 3;
    let fail = |error: EnvError| format!("as part of a vector environment: {error}");
    let mut vector = SyncVectorEnv::new(COPIES, |_| make()).map_err(fail)?;
    let space = vector.action_space().clone();
    let mut out = StepBatch::new(vector.observation_space(), COPIES);
    vector.reset(Some(6), &mut out.observations).map_err(fail)?;
    let mut singles = Vec::new();
    for row in 0..COPIES {
        let mut single = Probe::new(make)?;
        single.reset(Some(crate::derive_seed(6, "env", row as u64)))?;
        singles.push(single);
    }
    let mut actions = ActionBatch::new(&space, COPIES).map_err(fail)?;
    let mut rng = SeededRng::seeded(12);
    for _ in 0..STEPS / COPIES {
        for row in 0..COPIES {
            actions.sample_row(row, &space, &mut rng);
        }
        vector.step(&actions, &mut out).map_err(fail)?;
        for (row, single) in singles.iter_mut().enumerate() {
            let step = single.env.step(actions.row(row), single.observation.row_mut(0)).map_err(fail)?;
            let same = step.reward == out.rewards[row]
                && step.end == out.ends[row]
                && single.observation.row(0) == out.next_observation(row);
            if !same {
                return Err(
                    "stepped in a vector it differs from itself alone: it shares state with its copies"
                        .into(),
                );
            }
            if step.end != End::No {
                single.reset(None)?;
            }
            if single.observation.row(0) != out.observations.row(row) {
                return Err(
                    "reset in a vector it differs from itself alone: it shares state with its copies".into(),
                );
            }
        }
    }
    Ok(())
}

/// Loads a saved state with one byte replaced, many times. Each may be refused or accepted, but nothing may
/// panic.
fn damaged_states_harmless(make: Make<'_>) -> Result<(), String> {
    const PLACES: usize = 50;
    let mut probe = Probe::new(make)?;
    probe.reset(Some(8))?;
    probe.random_step()?;
    let Some(state) = probe.env.save_state() else { return Ok(()) };
    let bytes = state.as_bytes();
    for place in (0..bytes.len()).step_by(bytes.len().div_ceil(PLACES).max(1)) {
        for damage in [0x00, 0x01, 0x7f, 0xff] {
            let mut damaged = bytes.to_vec();
            damaged[place] = damage;
            if probe.env.load_state(&EnvState::from_bytes(damaged)).is_err() {
                continue;
            }
            // An accepted state may lead anywhere, but never to a panic.
            let mut alive = (0..10).map_while(|_| probe.random_step().ok());
            while alive.next().is_some_and(|step| !step.end.is_over()) {}
            probe.env.render();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
