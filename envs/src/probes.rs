//! Probe environments: worlds so small that the right values are known. Each reveals one kind of mistake.
//!
//! An agent that fails on one of them in seconds has a bug there: in the value function alone
//! ([`Probe::Constant`]), in the network's input ([`Probe::Observation`]), in discounting ([`Probe::Delay`]),
//! in the policy's improvement ([`Probe::Action`]), in both together ([`Probe::Match`]), in its memory
//! ([`Probe::Memory`]), or in the confusion of truncation with termination ([`Probe::TimeLimit`]). After
//! Jones, "Debugging RL, Without the Agonizing Pain" (2021).

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::{Action, End, Env, EnvError, EnvSpec, EnvState, ObsMut, SeededRng, Space, Step};

/// Steps between the cue and the answer of [`Probe::Memory`].
pub const MEMORY_STEPS: u32 = 3;
/// Steps between the start and the reward of [`Probe::Delay`].
pub const DELAY_STEPS: u32 = 3;
/// The limit of [`Probe::TimeLimit`].
pub const TIME_LIMIT: u32 = 10;

/// The mistake that the environment reveals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Probe {
    /// One state, one step, reward 1: every value is 1.
    Constant,
    /// One step; the observation is -1 or 1, and so is the reward: the value is the observation.
    Observation,
    /// Three steps, the observation counts them, reward 1 with the last: the value `k` steps before it is
    /// `discount^k`.
    Delay,
    /// One step; action 1 (or a number above 0) earns 1, any other -1.
    Action,
    /// One step; the action must match the observation (1 for 1, 0 for -1; or a number of the same sign).
    Match,
    /// The first observation is -1 or 1, the ones after it 0; after the last one the action must match the
    /// first.
    Memory,
    /// One state, reward 1 for each step, without an end of its own; the registered id truncates after 10
    /// steps, so every value is `1 / (1 - discount)`.
    TimeLimit,
}

/// A [`Probe`] as an environment.
#[derive(Clone, Debug)]
pub struct ProbeEnv {
    probe: Probe,
    observations: Space,
    actions: Space,
    world: World,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct World {
    cue: f32,
    steps: u32,
    running: bool,
    rng: SeededRng,
}

impl ProbeEnv {
    /// The probe with two discrete actions, or with one number from -1 to 1.
    pub fn new(probe: Probe, continuous: bool) -> Self {
        let limit = if probe == Probe::Delay { DELAY_STEPS as f32 } else { 1.0 };
        let unit =
            |bound: f32| Space::Box(crate::BoxSpace::of(vec![-bound], vec![bound], &[1], crate::Dtype::F32));
        let actions = if continuous { unit(1.0) } else { Space::Discrete(2) };
        let world = World { cue: 0.0, steps: 0, running: false, rng: SeededRng::default() };
        Self { probe, observations: unit(limit), actions, world }
    }

    /// Returns true if the action chooses the better side: action 1, or a number above 0.
    fn chooses_right(&self, action: Action<'_>) -> Result<bool, EnvError> {
        match &self.actions {
            Space::Discrete(n) => Ok(action.discrete(*n)? == 1),
            _ => Ok(action.point(1)?[0] > 0.0),
        }
    }

    /// The steps of an episode; `None` for no end.
    fn length(&self) -> Option<u32> {
        match self.probe {
            Probe::Constant | Probe::Observation | Probe::Action | Probe::Match => Some(1),
            Probe::Delay => Some(DELAY_STEPS),
            Probe::Memory => Some(MEMORY_STEPS),
            Probe::TimeLimit => None,
        }
    }

    fn observation(&self) -> f32 {
        match self.probe {
            Probe::Constant | Probe::Action | Probe::TimeLimit => 0.0,
            Probe::Observation | Probe::Match => self.world.cue,
            Probe::Delay => self.world.steps as f32,
            Probe::Memory if self.world.steps == 0 => self.world.cue,
            Probe::Memory => 0.0,
        }
    }

    fn reward(&self, right: bool, over: bool) -> f64 {
        let signed = |good: bool| if good { 1.0 } else { -1.0 };
        match self.probe {
            Probe::Constant | Probe::TimeLimit => 1.0,
            Probe::Observation => f64::from(self.world.cue),
            Probe::Action => signed(right),
            Probe::Match => signed(right == (self.world.cue > 0.0)),
            Probe::Delay => f64::from(u8::from(over)),
            Probe::Memory if over => signed(right == (self.world.cue > 0.0)),
            Probe::Memory => 0.0,
        }
    }
}

impl Env for ProbeEnv {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.world.rng.reseed(seed);
        self.world.cue = if self.world.rng.random::<bool>() { 1.0 } else { -1.0 };
        (self.world.steps, self.world.running) = (0, true);
        observation.floats[0] = self.observation();
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let right = self.chooses_right(action)?;
        if !self.world.running {
            return Err(EnvError::NeedsReset);
        }
        self.world.steps = self.world.steps.saturating_add(1);
        let over = self.length() == Some(self.world.steps);
        self.world.running = !over;
        observation.floats[0] = self.observation();
        Ok(Step::new(self.reward(right, over), End::terminated_if(over)))
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&self.world)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.world = state.unpack()?;
        Ok(())
    }
}

pub(crate) fn specs() -> Vec<EnvSpec> {
    let spec = |id: &str, probe: Probe, continuous: bool, summary: &str| {
        EnvSpec::new(id, move |_| Ok(Box::new(ProbeEnv::new(probe, continuous)) as Box<dyn Env>))
            .summary(summary)
            .reward("from -1 to 1")
    };
    vec![
        spec("Probe/Constant-v0", Probe::Constant, false, "Probe: one state, reward 1"),
        spec("Probe/Observation-v0", Probe::Observation, false, "Probe: the reward is the observation"),
        spec("Probe/Delay-v0", Probe::Delay, false, "Probe: the reward comes with the third step"),
        spec("Probe/Action-v0", Probe::Action, false, "Probe: the reward depends on the action"),
        spec(
            "Probe/ActionContinuous-v0",
            Probe::Action,
            true,
            "Probe: the reward depends on a number's sign",
        ),
        spec("Probe/Match-v0", Probe::Match, false, "Probe: the action must match the observation"),
        spec(
            "Probe/MatchContinuous-v0",
            Probe::Match,
            true,
            "Probe: a number's sign must match the observation",
        ),
        spec("Probe/Memory-v0", Probe::Memory, false, "Probe: the action must match the first observation"),
        spec(
            "Probe/TimeLimit-v0",
            Probe::TimeLimit,
            false,
            "Probe: reward 1 for each step, cut off after 10",
        )
        .max_episode_steps(TIME_LIMIT),
        spec(
            "Probe/TimeLimitContinuous-v0",
            Probe::TimeLimit,
            true,
            "Probe: reward 1 for each step whatever the number, cut off after 10",
        )
        .max_episode_steps(TIME_LIMIT),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ObsBatch, Registry};

    fn play(id: &str, act: impl Fn(f32) -> i64) -> (f64, u32, End) {
        let mut env = Registry::bundled().make(id).unwrap();
        let mut observation = ObsBatch::new(env.observation_space(), 1);
        env.reset(Some(3), observation.row_mut(0)).unwrap();
        let (mut total, mut steps) = (0.0, 0);
        loop {
            let action = Action::Discrete(act(observation.floats()[0]));
            let step = env.step(action, observation.row_mut(0)).unwrap();
            total += step.reward;
            steps += 1;
            if step.end.is_over() {
                return (total, steps, step.end);
            }
        }
    }

    #[test]
    fn returns_and_ends_are_as_documented() {
        assert_eq!(play("Probe/Constant-v0", |_| 0), (1.0, 1, End::Terminated));
        assert_eq!(play("Probe/Delay-v0", |_| 0), (1.0, DELAY_STEPS, End::Terminated));
        assert_eq!(play("Probe/Action-v0", |_| 1), (1.0, 1, End::Terminated));
        assert_eq!(play("Probe/Action-v0", |_| 0), (-1.0, 1, End::Terminated));
        assert_eq!(play("Probe/Match-v0", |cue| i64::from(cue > 0.0)), (1.0, 1, End::Terminated));
        assert_eq!(play("Probe/TimeLimit-v0", |_| 0), (10.0, TIME_LIMIT, End::Truncated));
    }
}
