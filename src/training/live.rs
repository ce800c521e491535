//! A trained policy in a world that is not one of the program's environments: a robot, a game, a service.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};
use pavlov_agents::{ActMode, Policy};
use pavlov_common::SeededRng;
use pavlov_envs::wrappers::WrapperConfig;
use pavlov_envs::{Action, ActionBatch, Env, EnvError, ObsBatch, ObsMut, ObsRef, OwnedAction, Space, Step};

use super::predict::check;
use super::trained::Trained;

/// A trained policy that takes the observations of the bare world, and gives actions for it: what the run's
/// wrappers make of observations (stacks of frames, other sizes, normalisation ...) and of actions is done
/// here. Made by [`Trained::live`].
///
/// ```no_run
/// # use std::path::Path;
/// # use pavlov::training::Trained;
/// # use pavlov::{Registries, RunFolder};
/// # fn sensors() -> [f32; 4] { [0.0; 4] }
/// # fn move_to(_: &[f32]) {}
/// let folder = RunFolder::open(Path::new("runs/MyRobot-v0/sac-0"))?;
/// let mut live = Trained::open(&folder, &Registries::bundled(), false)?.live()?;
/// live.begin();
/// loop {
///     let action = live.predict(&sensors())?;
///     move_to(action.numbers().unwrap_or_default());
/// }
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Live {
    policy: Box<dyn Policy>,
    id: String,
    /// Passes observations through the wrappers.
    seen: Relayed,
    /// An action for the stand-in behind them, which looks at none.
    any: ActionBatch,
    /// Passes actions through those wrappers that change actions.
    acted: Relayed,
    raw: ObsBatch,
    observation: ObsBatch,
    action: ActionBatch,
    /// True if the next observation is the first of an episode.
    begins: bool,
    repeats: u32,
}

/// The observation that a world which stands for another one is to show, and the action that it was given.
struct Relay {
    observation: ObsBatch,
    action: Option<OwnedAction>,
}

/// A stand-in of the world, within wrappers.
struct Relayed {
    env: Box<dyn Env>,
    relay: Arc<Mutex<Relay>>,
}

/// The stand-in: it shows the observation that it was given.
struct StandIn {
    observation_space: Space,
    action_space: Space,
    relay: Arc<Mutex<Relay>>,
}

impl StandIn {
    fn show(&self, mut observation: ObsMut<'_>, action: Option<Action<'_>>) {
        let mut relay = self.relay.lock().unwrap_or_else(PoisonError::into_inner);
        observation.copy_from(relay.observation.row(0));
        relay.action = action.map(Into::into);
    }
}

impl Env for StandIn {
    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn action_space(&self) -> &Space {
        &self.action_space
    }

    fn reset(&mut self, _: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.show(observation, None);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        self.show(observation, Some(action));
        Ok(Step::default())
    }
}

impl Relayed {
    fn new<'w>(world: &dyn Env, wrappers: impl Iterator<Item = &'w WrapperConfig>) -> Result<Self> {
        let (observation_space, action_space) =
            (world.observation_space().clone(), world.action_space().clone());
        let observation = ObsBatch::new(&observation_space, 1);
        let relay = Arc::new(Mutex::new(Relay { observation, action: None }));
        let stand_in = StandIn { observation_space, action_space, relay: relay.clone() };
        let bare: Box<dyn Env> = Box::new(stand_in);
        let env = wrappers.into_iter().try_fold(bare, |env, wrapper| wrapper.wrap(env))?;
        Ok(Self { env, relay })
    }

    fn relay(&self) -> std::sync::MutexGuard<'_, Relay> {
        self.relay.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of a wrapper in a live world.
enum Part {
    /// It changes observations.
    Observation,
    /// It changes actions.
    Action,
    /// It is of trainings alone.
    None,
}

fn part(wrapper: &WrapperConfig) -> Part {
    match wrapper {
        WrapperConfig::RescaleAction { .. } | WrapperConfig::ClipAction {} => Part::Action,
        WrapperConfig::TimeLimit { .. }
        | WrapperConfig::FrameSkip { .. }
        | WrapperConfig::StickyActions { .. }
        | WrapperConfig::NoopStart { .. }
        | WrapperConfig::EpisodicLife {}
        | WrapperConfig::ClipReward { .. }
        | WrapperConfig::SignReward {}
        | WrapperConfig::ScaleReward { .. }
        | WrapperConfig::NormalizeObservation { .. }
        | WrapperConfig::NormalizeReward { .. }
        | WrapperConfig::RenderPixels { .. } => Part::None,
        WrapperConfig::Select { .. }
        | WrapperConfig::OneHot { .. }
        | WrapperConfig::Flatten {}
        | WrapperConfig::Layout { .. }
        | WrapperConfig::Grayscale { .. }
        | WrapperConfig::Resize { .. }
        | WrapperConfig::ChannelsFirst { .. }
        | WrapperConfig::FrameStack { .. } => Part::Observation,
    }
}

/// Steps of the world for each action.
///
/// # Errors
/// For wrappers that need the world itself.
fn repeats(wrappers: &[WrapperConfig]) -> Result<u32> {
    let mut repeats = 1;
    let mut has_stack = false;
    for wrapper in wrappers {
        match wrapper {
            WrapperConfig::RenderPixels { .. } => {
                bail!(
                    "the run sees pictures that its environment draws (render_pixels): give such pictures to \
                     Trained::predict_observation"
                );
            }
            WrapperConfig::FrameSkip { max_pool: true, frames: 2.. } => {
                bail!(
                    "the run sees the larger of two frames (frame_skip with max_pool): make such observations, \
                     and give them to Trained::predict_observation"
                );
            }
            WrapperConfig::FrameSkip { frames: 2.., .. } if has_stack => {
                bail!(
                    "the run stacks frames that it skips (frame_stack within frame_skip): make such observations, \
                     and give them to Trained::predict_observation"
                );
            }
            WrapperConfig::FrameSkip { frames, .. } => repeats *= frames,
            WrapperConfig::FrameStack { .. } => has_stack = true,
            _ => {}
        }
    }
    Ok(repeats)
}

impl Trained {
    /// The policy for observations of the bare world, as it is without the run's wrappers.
    ///
    /// # Errors
    /// When a wrapper needs the world itself, or the environment, whose spaces are asked for, cannot be made.
    pub fn live(self) -> Result<Live> {
        let wrappers = self.factory.wrappers();
        let repeats = repeats(wrappers)?;
        let world = self.factory.unwrapped().make()?;
        let of = |wanted: fn(&Part) -> bool| wrappers.iter().filter(move |wrapper| wanted(&part(wrapper)));
        let seen = Relayed::new(world.as_ref(), of(|part| matches!(part, Part::Observation)))?;
        let mut acted = Relayed::new(world.as_ref(), of(|part| matches!(part, Part::Action)))?;
        let mut unseen = ObsBatch::new(world.observation_space(), 1);
        acted.env.reset(None, unseen.row_mut(0))?;
        let mut any = ActionBatch::new(seen.env.action_space(), 1)?;
        any.sample_row(0, seen.env.action_space(), &mut SeededRng::seeded(0));
        Ok(Live {
            id: self.factory.spec().id.clone(),
            raw: unseen,
            observation: ObsBatch::new(seen.env.observation_space(), 1),
            action: ActionBatch::new(acted.env.action_space(), 1)?,
            policy: self.policy,
            seen,
            any,
            acted,
            begins: true,
            repeats,
        })
    }
}

impl Live {
    /// Says that the next observation begins an episode: a memory and a stack of frames forget the last one.
    pub fn begin(&mut self) {
        self.begins = true;
        self.policy.forget(0);
    }

    /// The steps of the world for which an action is to be kept before the next observation is given
    /// (`frame_skip`).
    pub fn repeats(&self) -> u32 {
        self.repeats
    }

    /// The best action that the policy knows for the world's next observation, given as its numbers: for a
    /// dict, those of all entries one after the other.
    ///
    /// # Errors
    /// As [`Trained::predict`].
    pub fn predict(&mut self, numbers: &[f32]) -> Result<OwnedAction> {
        self.predict_observation(ObsRef { floats: numbers, bytes: &[] })
    }

    /// [`Live::predict`] for an observation of any space: its numbers, and its bytes (pictures).
    ///
    /// # Errors
    /// As [`Trained::predict_observation`].
    pub fn predict_observation(&mut self, observation: ObsRef<'_>) -> Result<OwnedAction> {
        check(observation, self.raw.layout(), &self.id, "")?;
        self.seen.relay().observation.copy_row(0, observation);
        let to = self.observation.row_mut(0);
        if std::mem::take(&mut self.begins) {
            self.seen.env.reset(None, to)?;
        } else {
            self.seen.env.step(self.any.row(0), to)?;
        }
        // The best action draws no random number.
        let mut rng = SeededRng::seeded(0);
        self.policy.act(&self.observation, ActMode::Exploit, &mut rng, &mut self.action)?;
        self.acted.env.step(self.action.row(0), self.raw.row_mut(0))?;
        let given = self.acted.relay().action.take();
        Ok(given.unwrap_or_else(|| self.action.row(0).into()))
    }
}
