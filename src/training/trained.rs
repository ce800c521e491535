//! The trained policy of a run, ready for use.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use pavlov_agents::Policy;
use pavlov_envs::EnvFactory;
use pavlov_nn::weights;

use super::job::Training;
use super::normalized::{load, normalized, without_statistics};
use super::predict::Room;
use crate::config::{Registries, RunConfig};
use crate::run::RunFolder;

/// A run's policy, with its environments and its configuration.
///
/// ```no_run
/// use std::path::Path;
///
/// use pavlov::training::Trained;
/// use pavlov::{Registries, RunFolder};
///
/// let folder = RunFolder::open(Path::new("runs/CartPole-v1/dqn-0-20260131T235959"))?;
/// let mut trained = Trained::open(&folder, &Registries::bundled(), false)?;
/// let action = trained.predict(&[0.01, -0.2, 0.03, 0.4])?;
/// println!("push to the {}", if action.index() == Some(1) { "right" } else { "left" });
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Trained {
    /// The policy; it takes observations as the run's environments give them, wrappers included, but for
    /// `normalize_observation`, which is within the policy.
    pub policy: Box<dyn Policy>,
    /// The run's environments.
    pub factory: EnvFactory,
    /// The run's configuration.
    pub config: RunConfig,
    /// The file or folder from which the weights were read.
    pub source: PathBuf,
    /// Made for the first prediction.
    pub(super) room: Option<Room>,
}

impl Trained {
    /// The policy of the run in `folder`: the best evaluated one, or with `last` that of the latest
    /// checkpoint. If there was no evaluation yet, the latest checkpoint is used.
    ///
    /// # Errors
    /// When the run has neither, or they are damaged or do not fit.
    pub fn open(folder: &RunFolder, registries: &Registries, last: bool) -> Result<Self> {
        Self::open_on(folder, registries, last, None)
    }

    /// [`Trained::open`] on another device than the configuration's: `auto`, `cpu`, `cuda` or `cuda:N`.
    ///
    /// # Errors
    /// As [`Trained::open`], and when there is no such device.
    pub fn open_on(
        folder: &RunFolder,
        registries: &Registries,
        last: bool,
        device: Option<&str>,
    ) -> Result<Self> {
        let mut config = folder.config(registries)?;
        if let Some(device) = device {
            config.device = device.into();
        }
        let mut agent = Training::agent(&config, registries)?;
        let factory = config.factory(registries)?;
        let mut normalizer = factory.normalizer()?;
        let best = folder.best_weights();
        let (state, source) = if best.exists() && !last {
            let state = weights::read(&best)?;
            agent.load_weights(&without_statistics(&state).view())?;
            (state, best)
        } else {
            let Some(latest) = folder.checkpoints().list()?.pop() else {
                let path = folder.path().display();
                bail!("{path} has neither best weights nor a checkpoint yet: train it first");
            };
            let state = latest.read()?;
            let part = state.view().part("agent");
            agent.load_state(&part).context("the checkpoint does not fit the agent")?;
            (state, latest.path)
        };
        if let Some(normalizer) = &mut normalizer {
            load(&state.view(), normalizer).context("the statistics of the observations are missing")?;
        }
        let policy = normalized(agent.policy()?, normalizer);
        Ok(Self { policy, factory, config, source, room: None })
    }
}
