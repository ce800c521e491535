//! One environment of Gymnasium, in a worker of its own.

use super::keeper::{Fate, Keeper};
use super::settings::Settings;
use super::worker::Worker;
use crate::render::Picture;
use crate::{Action, End, Env, EnvError, ObsMut, Space, Step};

/// One environment of Gymnasium, in a Python process of its own. Made by a [`Registry`](crate::Registry), by
/// an id that begins with `gym:`.
///
/// When its process dies during an episode, the step that finds out has reward 0 and ends the episode as
/// truncated, with the last observation that there was; the next reset starts another process. From then on
/// the info `worker_deaths` counts the deaths.
pub struct GymEnv {
    keeper: Keeper,
    running: bool,
}

impl GymEnv {
    pub(super) fn new(settings: Settings) -> Result<Self, EnvError> {
        let worker = Worker::launch(&settings)?;
        Ok(Self { keeper: Keeper::new(settings, worker, None)?, running: false })
    }

    /// The number of times that the Python process has died or hung and was replaced.
    pub fn deaths(&self) -> u64 {
        self.keeper.deaths()
    }
}

impl Env for GymEnv {
    fn observation_space(&self) -> &Space {
        &self.keeper.spaces.observations
    }

    fn action_space(&self) -> &Space {
        &self.keeper.spaces.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.running = false;
        self.keeper.begin_reset([seed].into_iter())?;
        self.keeper.finish_reset()?;
        self.running = true;
        self.keeper.read_observation(0, observation)
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        self.action_space().accept(action)?;
        if !self.running {
            return Err(EnvError::NeedsReset);
        }
        self.running = false;
        match action {
            Action::Discrete(choice) => self.keeper.begin_step(&choice.to_ne_bytes()),
            Action::MultiDiscrete(choices) => self.keeper.begin_step(bytemuck::cast_slice(choices)),
            Action::Box(point) => self.keeper.begin_step(bytemuck::cast_slice(point)),
        }
        let fate = self.keeper.finish()?;
        self.keeper.read_observation(0, observation)?;
        if fate == Fate::Died {
            return Ok(Step::new(0.0, End::Truncated));
        }
        self.keeper.stepped();
        let (step, _) = self.keeper.outcome(0);
        self.running = !step.end.is_over();
        Ok(step)
    }

    fn render(&self) -> Option<Picture> {
        self.keeper.picture()
    }

    fn max_episode_steps(&self) -> Option<u32> {
        self.keeper.spaces.limit
    }

    fn lives(&self) -> Option<u32> {
        let mut lives = None;
        self.visit_info(&mut |name, value| {
            if name == "lives" {
                lives = Some(value as u32);
            }
        });
        lives
    }

    fn visit_info(&self, visit: &mut dyn FnMut(&str, f64)) {
        self.keeper.visit_infos(0, visit);
        if self.deaths() > 0 {
            visit("worker_deaths", self.deaths() as f64);
        }
    }
}
