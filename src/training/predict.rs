//! Actions of a trained policy for observations that a program has.

use anyhow::{Result, bail};
use pavlov_agents::ActMode;
use pavlov_common::SeededRng;
use pavlov_envs::{ActionBatch, Dtype, ObsBatch, ObsLayout, ObsRef, OwnedAction, Space};

use super::trained::Trained;

/// The memory that a prediction is made in.
pub(super) struct Room {
    observation_space: Space,
    action_space: Space,
    observation: ObsBatch,
    action: ActionBatch,
}

impl Trained {
    /// The best action that the policy knows for an observation, given as its numbers: for a dict, those of
    /// all entries one after the other. The observation is one that the run's environments would give, after
    /// their wrappers; [`Trained::live`] takes those of the bare world. `normalize_observation` is applied
    /// here.
    ///
    /// A policy with a memory goes on from the call before: [`Trained::forget`] begins an episode.
    ///
    /// # Errors
    /// For another number of numbers than the observation has, a number that is not finite, or an observation
    /// with bytes ([`Trained::predict_observation`] takes those).
    pub fn predict(&mut self, numbers: &[f32]) -> Result<OwnedAction> {
        self.predict_observation(ObsRef { floats: numbers, bytes: &[] })
    }

    /// [`Trained::predict`] for an observation of any space: its numbers, and its bytes (pictures), those of
    /// all entries one after the other.
    ///
    /// # Errors
    /// For other sizes than the observation has, or a number that is not finite.
    pub fn predict_observation(&mut self, observation: ObsRef<'_>) -> Result<OwnedAction> {
        self.prepare()?;
        let Self { policy, room: Some(room), factory, .. } = self else { bail!("the environment is gone") };
        let hint = match factory.wrappers() {
            [] => String::new(),
            wrappers => {
                let kinds: Vec<_> = wrappers.iter().map(|wrapper| wrapper.kind()).collect();
                format!(
                    ", within the wrappers {}; Trained::live takes the bare world's observations",
                    kinds.join(", ")
                )
            }
        };
        check(observation, room.observation.layout(), &factory.spec().id, &hint)?;
        room.observation.copy_row(0, observation);
        // The best action draws no random number.
        let mut rng = SeededRng::seeded(0);
        policy.act(&room.observation, ActMode::Exploit, &mut rng, &mut room.action)?;
        Ok(room.action.row(0).into())
    }

    /// [`Trained::predict`] for many observations at once, one action for each. Row `i` of a policy with a
    /// memory goes on from row `i` of the call before.
    ///
    /// # Errors
    /// When the observations are of another space, or a number is not finite.
    pub fn predict_rows(&mut self, observations: &ObsBatch) -> Result<Vec<OwnedAction>> {
        let space = self.action_space()?.clone();
        let Self { policy, room: Some(room), factory, .. } = self else { bail!("the environment is gone") };
        if observations.layout() != room.observation.layout() {
            let space = &room.observation_space;
            bail!("the observations of {} are of {space}: make the batch for that space", factory.spec().id);
        }
        for row in 0..observations.rows() {
            check(observations.row(row), observations.layout(), &factory.spec().id, "")?;
        }
        let mut actions = ActionBatch::new(&space, observations.rows())?;
        policy.act(observations, ActMode::Exploit, &mut SeededRng::seeded(0), &mut actions)?;
        Ok((0..actions.rows()).map(|row| actions.row(row).into()).collect())
    }

    /// Says that the next observation begins an episode: a policy with a memory forgets the last one.
    pub fn forget(&mut self) {
        self.policy.forget(0);
    }

    /// The space of the observations that the policy takes.
    ///
    /// # Errors
    /// When the environment cannot be made.
    pub fn observation_space(&mut self) -> Result<&Space> {
        Ok(&self.prepare()?.observation_space)
    }

    /// The space of the actions that the policy gives.
    ///
    /// # Errors
    /// When the environment cannot be made.
    pub fn action_space(&mut self) -> Result<&Space> {
        Ok(&self.prepare()?.action_space)
    }

    fn prepare(&mut self) -> Result<&mut Room> {
        let room = match self.room.take() {
            Some(room) => room,
            None => {
                let env = self.factory.make()?;
                Room {
                    observation: ObsBatch::new(env.observation_space(), 1),
                    action: ActionBatch::new(env.action_space(), 1)?,
                    observation_space: env.observation_space().clone(),
                    action_space: env.action_space().clone(),
                }
            }
        };
        Ok(self.room.insert(room))
    }
}

/// Refuses an observation of another size, or with a number that is not finite.
pub(super) fn check(observation: ObsRef<'_>, layout: &ObsLayout, id: &str, hint: &str) -> Result<()> {
    let (floats, bytes) = (observation.floats.len(), observation.bytes.len());
    if (floats, bytes) != (layout.floats, layout.bytes) {
        let given = sizes(floats, bytes);
        let (expected, parts) = (sizes(layout.floats, layout.bytes), parts(layout));
        let bytes_hint = match layout.bytes > 0 && bytes == 0 {
            true => ". Pictures are bytes: predict_observation takes them",
            false => "",
        };
        bail!("an observation of {id} has {expected}{parts}{hint}, and {given} were given{bytes_hint}");
    }
    if let Some(place) = observation.floats.iter().position(|number| !number.is_finite()) {
        bail!("number {place} of the observation, counted from 0, is {}", observation.floats[place]);
    }
    Ok(())
}

fn sizes(floats: usize, bytes: usize) -> String {
    match (floats, bytes) {
        (floats, 0) => format!("{floats} numbers"),
        (0, bytes) => format!("{bytes} bytes"),
        (floats, bytes) => format!("{floats} numbers and {bytes} bytes"),
    }
}

/// The entries of a dict with their sizes, for a message.
fn parts(layout: &ObsLayout) -> String {
    if let [leaf] = layout.leaves.as_slice()
        && leaf.name.is_empty()
    {
        return String::new();
    }
    let part = |leaf: &pavlov_envs::ObsLeaf| {
        let kind = if leaf.dtype == Dtype::F32 { "numbers" } else { "bytes" };
        format!("{}: {} {kind}", leaf.name, leaf.range.len())
    };
    format!(" ({})", layout.leaves.iter().map(part).collect::<Vec<_>>().join(", "))
}
