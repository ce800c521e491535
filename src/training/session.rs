//! A session: one training, from its start or from a checkpoint, in turns or with actors, logged, evaluated,
//! saved.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use pavlov_agents::{ActMode, Agent, AgentContext, Policy};
use pavlov_common::derive_seed;
use pavlov_envs::{EnvFactory, ObservationNormalizer, Space, VectorOptions};
use pavlov_nn::{StateDict, StateView, generator_state, set_generator_state, weights};
use serde::Serialize;
use tch::Device;

use super::clock::{Clock, PhaseLog};
use super::evaluation::{Evaluation, evaluate};
use super::progress::{Progress, ThreadsReport};
use super::turns::Turns;
use super::{normalized, notes, trial};
use crate::config::{Registries, RunConfig};
use crate::parallel::Driver;
use crate::play::{self, Film};
use crate::record::{Note, Recorder, Row};
use crate::run::{Checkpoint, RunFolder};

/// Steps of the loop from one report of progress to the next.
const REPORT_EVERY: u64 = 64;

/// The state of a GPU's generator in a checkpoint.
const DEVICE_GENERATOR: &str = "device_generator";

/// The reason why a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// All env steps are done.
    Completed,
    /// An evaluation reached `evaluation.until_return`.
    ReturnReached,
    /// The user asked it to stop.
    Interrupted,
}

/// The outcome of a training.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The reason why it ended.
    pub reason: StopReason,
    /// Env steps so far, over all environments.
    pub env_steps: u64,
    /// Updates so far.
    pub updates: u64,
    /// The mean return of the last evaluation.
    pub last_evaluation: Option<f64>,
    /// The best mean return of all evaluations.
    pub best_evaluation: Option<f64>,
    /// Seconds of training, over all resumes.
    pub seconds: f64,
}

/// The kind of training: in turns or with actors.
enum Engine {
    /// One thread acts and learns in turns.
    Turns(Box<Turns>),
    /// Actors are threads of their own.
    Actors(Box<Driver>),
}

impl Engine {
    /// The normaliser of observations, if a wrapper normalises them.
    fn normalizer(&self) -> Result<Option<ObservationNormalizer>> {
        match self {
            Engine::Turns(turns) => Ok(turns.normalizer().cloned()),
            Engine::Actors(driver) => driver.normalizer(),
        }
    }
}

/// A training under way.
pub struct Session {
    config: RunConfig,
    folder: RunFolder,
    factory: EnvFactory,
    agent: Box<dyn Agent>,
    engine: Engine,
    clock: Clock,
    recorder: Recorder,
    /// The device of the networks.
    device: Device,
    /// Metrics of the threads that are not logged yet.
    pending: BTreeMap<String, f64>,
    /// A message for the user, for the start of the training.
    warning: Option<String>,
}

impl Session {
    /// A new training in `folder`.
    ///
    /// # Errors
    /// When the agent cannot play the environment, or the folder cannot be written.
    pub fn start(config: RunConfig, folder: RunFolder, registries: &Registries) -> Result<Self> {
        tch::manual_seed(derive_seed(config.seed, "libtorch", 0) as i64);
        let recorder = Recorder::open(folder.path(), None).with_context(|| cannot_log(&folder))?;
        let mut session = Self::build(config, folder, registries, recorder)?;
        if let Engine::Turns(turns) = &mut session.engine {
            turns.start(session.config.seed)?;
        }
        notes::describe(&session.config, &session.recorder)?;
        Ok(session)
    }

    /// The training in `folder`, continued from `checkpoint`.
    ///
    /// # Errors
    /// When the checkpoint is damaged, or belongs to another agent or environment. Nothing on the disk is
    /// changed then.
    pub fn resume(
        config: RunConfig,
        folder: RunFolder,
        registries: &Registries,
        checkpoint: &Checkpoint,
    ) -> Result<Self> {
        let state = checkpoint.read()?;
        let view = state.view();
        let clock: Clock = view.value("session").context("the checkpoint was not written by this program")?;
        clock.check_origin(&config)?;
        folder.sweep().with_context(|| cannot_log(&folder))?;
        let recorder =
            Recorder::open(folder.path(), Some(&clock.log)).with_context(|| cannot_log(&folder))?;
        let mut session = Self::build(config, folder, registries, recorder)?;
        session.agent.load_state(&view.part("agent")).context("the checkpoint does not fit the agent")?;
        set_generator_state(Device::Cpu, &view.tensor("generator")?)?;
        if view.has_array(DEVICE_GENERATOR) && session.device.is_cuda() {
            set_generator_state(session.device, &view.tensor(DEVICE_GENERATOR)?)?;
        }
        session.clock = clock;
        session.clock.go_on();
        session.load_environments(&view)?;
        Ok(session)
    }

    /// Checks that a training of this configuration can start, by making its environment and its agent once,
    /// and by letting the agent act once.
    ///
    /// # Errors
    /// When the agent cannot play the environment, or one of the two refuses its options.
    pub fn check(config: &RunConfig, registries: &Registries) -> Result<()> {
        let factory = config.factory(registries)?;
        check_film(config, &factory)?;
        let envs = factory.make_vector(&VectorOptions::new(1))?;
        let (observations, actions) = (envs.observation_space(), envs.action_space());
        let mut agent = build_agent(config, registries, observations, actions)?;
        trial::act_once(agent.as_ref(), observations, actions)?;
        if config.actors.count > 0 {
            Driver::new(config, &factory, agent.as_mut())?;
        }
        Ok(())
    }

    /// An untrained agent of this configuration, into which weights can be loaded.
    ///
    /// # Errors
    /// When the agent cannot play the environment, or one of the two refuses its options.
    pub fn agent(config: &RunConfig, registries: &Registries) -> Result<Box<dyn Agent>> {
        let envs = config.factory(registries)?.make_vector(&VectorOptions::new(1))?;
        build_agent(config, registries, envs.observation_space(), envs.action_space())
    }

    fn build(
        config: RunConfig,
        folder: RunFolder,
        registries: &Registries,
        recorder: Recorder,
    ) -> Result<Self> {
        tch::set_num_threads(config.threads as i32);
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        pavlov_nn::set_team_size(config.update_threads.min(cores));
        let factory = config.factory(registries)?;
        check_film(&config, &factory)?;
        let (agent, engine) = match config.actors.count {
            0 => {
                let turns = Turns::new(&config, &factory)?;
                let agent =
                    build_agent(&config, registries, turns.observation_space(), turns.action_space())?;
                (agent, Engine::Turns(Box::new(turns)))
            }
            _ => {
                let mut agent = Self::agent(&config, registries)?;
                let driver = Driver::new(&config, &factory, agent.as_mut())?;
                (agent, Engine::Actors(Box::new(driver)))
            }
        };
        let clock = Clock::new(&config);
        Ok(Self {
            device: pavlov_nn::device::parse(&config.device)?,
            config,
            folder,
            factory,
            agent,
            engine,
            clock,
            recorder,
            pending: BTreeMap::new(),
            warning: None,
        })
    }

    /// The run's folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// The run's configuration.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// Trains until the env steps are done, an evaluation is good enough, or `stop` is set; then writes a
    /// checkpoint.
    ///
    /// # Errors
    /// When an environment fails, the training diverges or a checkpoint cannot be written. The checkpoints
    /// before it stay.
    pub fn run(&mut self, stop: &AtomicBool, progress: &mut dyn Progress) -> Result<Outcome> {
        if let Some(warning) = self.warning.take() {
            progress.warn(&warning);
        }
        let reason = loop {
            if self.clock.env_steps >= self.config.env_steps {
                break StopReason::Completed;
            }
            let before = self.clock.env_steps;
            let failure = self.advance(stop, progress)?;
            if let Some(cause) = failure {
                self.checkpoint(progress)?;
                bail!("{cause}. A checkpoint was written; mend the environment, then resume");
            }
            if self.log_if_due(before, progress)? {
                break StopReason::ReturnReached;
            }
            if crossed(before, self.clock.env_steps, self.config.checkpoint.every_env_steps) {
                self.checkpoint(progress)?;
            }
            if stop.load(Ordering::Relaxed) {
                break StopReason::Interrupted;
            }
        };
        self.clock.seconds = self.clock.seconds();
        self.checkpoint(progress)?;
        progress.report(&self.clock.report(self.clock.env_steps, &self.config));
        progress.finish();
        Ok(Outcome {
            reason,
            env_steps: self.clock.env_steps,
            updates: self.agent.updates(),
            last_evaluation: self.clock.last_evaluation,
            best_evaluation: self.clock.best_evaluation,
            seconds: self.clock.seconds,
        })
    }

    /// Makes one step of every environment in turns, or with actors a phase up to the next evaluation or
    /// checkpoint. Returns the reason for which the training must stop, if environments have failed too
    /// often.
    fn advance(&mut self, stop: &AtomicBool, progress: &mut dyn Progress) -> Result<Option<String>> {
        let until = self.next_due();
        let Self { engine, agent, clock, config, recorder, pending, .. } = self;
        match engine {
            Engine::Turns(turns) => {
                turns.advance(agent.as_mut(), &mut clock.episodes)?;
                clock.env_steps += config.num_envs as u64;
                Ok(None)
            }
            Engine::Actors(driver) => {
                let env_steps = clock.env_steps;
                let mut log = PhaseLog {
                    clock,
                    config,
                    recorder,
                    progress,
                    until,
                    logged: env_steps,
                    pending,
                    threads: ThreadsReport::default(),
                    last_updates: agent.updates(),
                    last_learned: Instant::now(),
                };
                let end = driver.phase(agent.as_mut(), env_steps..until, stop, &mut log)?;
                clock.env_steps = end.env_steps;
                Ok(end.failure)
            }
        }
    }

    /// The env steps at which the next evaluation or checkpoint is due, or the training ends.
    fn next_due(&self) -> u64 {
        let every = [self.config.evaluation.every_env_steps, self.config.checkpoint.every_env_steps];
        let next = |every: &u64| (self.clock.env_steps / every + 1) * every;
        every.iter().filter(|every| **every > 0).map(next).fold(self.config.env_steps, u64::min)
    }

    /// Logs and evaluates if that is due after the env steps from `before` on. Returns true if an evaluation
    /// was good enough to stop.
    fn log_if_due(&mut self, before: u64, progress: &mut dyn Progress) -> Result<bool> {
        let now = self.clock.env_steps;
        let last = now >= self.config.env_steps;
        let log = last || crossed(before, now, self.config.log.every_env_steps);
        let every = self.config.evaluation.every_env_steps;
        let evaluate = crossed(before, now, every) || (last && every > 0);
        if (now / self.config.num_envs as u64).is_multiple_of(REPORT_EVERY) || log {
            progress.report(&self.clock.report(now, &self.config));
        }
        if !log && !evaluate {
            return Ok(false);
        }
        let mut values = self.clock.values(now);
        values.append(&mut self.pending);
        values.extend(self.agent.take_metrics()?.into_iter().map(|(tag, value)| (tag.to_string(), value)));
        if evaluate {
            let result = self.evaluate()?;
            values.insert("eval/mean_reward".into(), result.mean());
            values.insert("eval/std_reward".into(), result.deviation());
            values.insert("eval/mean_ep_length".into(), result.mean_length());
        }
        self.recorder.row(Row { env_steps: now, values });
        let good_enough = self.config.evaluation.until_return.zip(self.clock.last_evaluation);
        Ok(evaluate && good_enough.is_some_and(|(until, mean)| mean >= until))
    }

    /// Evaluates the present policy and keeps its weights if it is the best so far.
    fn evaluate(&mut self) -> Result<Evaluation> {
        let normalizer = self.engine.normalizer()?;
        let mut policy = normalized::normalized(self.agent.policy()?, normalizer.clone());
        let seed = derive_seed(self.config.seed, "evaluation", self.clock.env_steps);
        let episodes = self.config.evaluation.episodes;
        let result = evaluate(policy.as_mut(), &self.factory, episodes, ActMode::Exploit, seed)?;
        self.film(policy.as_mut(), seed)?;
        self.clock.last_evaluation = Some(result.mean());
        if self.clock.best_evaluation.is_none_or(|best| result.mean() > best) {
            self.clock.best_evaluation = Some(result.mean());
            let path = self.folder.best_weights();
            let written = path.parent().map_or(Ok(()), fs::create_dir_all);
            written.with_context(|| format!("{} cannot be written", path.display()))?;
            let mut best = self.agent.weights()?;
            normalized::put(&mut best, normalizer.as_ref())?;
            weights::write(&path, &best).context("the best weights so far could not be written")?;
        }
        Ok(result)
    }

    /// Records a film of an episode for TensorBoard, if one is due.
    fn film(&self, policy: &mut dyn Policy, seed: u64) -> Result<()> {
        let evaluation = &self.config.evaluation;
        let number = self.clock.env_steps / evaluation.every_env_steps.max(1);
        let every = evaluation.film_every_evaluations;
        if every == 0 || !number.is_multiple_of(every) {
            return Ok(());
        }
        let (encoded, size) = Film::of_one_episode(policy, &self.factory, seed)?.encode()?;
        let env_steps = self.clock.env_steps;
        self.recorder.note(Note::Image { tag: "eval/episode".into(), env_steps, size, encoded });
        Ok(())
    }

    fn checkpoint(&mut self, progress: &mut dyn Progress) -> Result<()> {
        let (position, failure) = self.recorder.flush();
        if let Some(failure) = failure {
            progress.warn(&format!("{failure}. Training goes on; make room for the log"));
        }
        self.clock.log = position;
        let seconds = self.clock.seconds();
        let mut state = StateDict::new();
        state.nest("agent", self.agent.state()?);
        state.put_tensor("generator", &generator_state(Device::Cpu)?)?;
        if self.device.is_cuda() {
            state.put_tensor(DEVICE_GENERATOR, &generator_state(self.device)?)?;
        }
        state.put_value("session", &self.clock.after(seconds))?;
        normalized::put(&mut state, self.engine.normalizer()?.as_ref())?;
        match &self.engine {
            Engine::Turns(turns) => turns.put_state(&mut state)?,
            Engine::Actors(driver) => driver.put_state(&mut state)?,
        }
        self.folder.checkpoints().write(self.clock.env_steps, &state, self.config.checkpoint.keep_last)?;
        Ok(())
    }

    fn load_environments(&mut self, view: &StateView<'_>) -> Result<()> {
        let env_steps = self.clock.env_steps;
        let exact = match &mut self.engine {
            Engine::Turns(turns) => {
                let seed = derive_seed(self.config.seed, "training after resume", env_steps);
                turns.load_state(view, seed)?
            }
            Engine::Actors(driver) => driver.load_state(self.agent.as_mut(), view, env_steps)?,
        };
        if !exact {
            self.clock.episodes.forget_running();
            let id = &self.config.environment;
            self.warning = Some(format!(
                "{id} cannot save its state: training goes on with new episodes, not exactly where it stopped"
            ));
        }
        Ok(())
    }
}

fn build_agent(
    config: &RunConfig,
    registries: &Registries,
    observation_space: &Space,
    action_space: &Space,
) -> Result<Box<dyn Agent>> {
    let context = AgentContext {
        observation_space: observation_space.clone(),
        action_space: action_space.clone(),
        num_envs: config.num_envs,
        total_env_steps: config.env_steps,
        seed: config.seed,
        device: pavlov_nn::device::parse(&config.device)?,
        networks: registries.networks.clone(),
    };
    Ok(registries.agents.get(&config.agent)?.build(&config.hyperparameters, &context)?)
}

/// Returns true if the env steps from `before` to `now` crossed a multiple of `every` (never, if that is 0).
fn crossed(before: u64, now: u64, every: u64) -> bool {
    every > 0 && now / every > before / every
}

fn check_film(config: &RunConfig, factory: &EnvFactory) -> Result<()> {
    if config.evaluation.film_every_evaluations == 0 {
        return Ok(());
    }
    play::check(factory).context("evaluation.film_every_evaluations is set")
}

fn cannot_log(folder: &RunFolder) -> String {
    format!("the log in {} cannot be opened", folder.path().display())
}
