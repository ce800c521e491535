//! One training, from its start or from a checkpoint, in lock-step: act, step, learn, in one thread.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use pavlov_agents::{ActMode, Agent, AgentContext, Experience, Policy};
use pavlov_envs::{
    ActionBatch, EnvFactory, EnvState, ObsBatch, Space, StepBatch, VectorEnv, VectorOptions, derive_seed,
};
use pavlov_nn::{StateDict, StateView, generator_state, set_generator_state, weights};
use serde::{Deserialize, Serialize};

use super::episodes::Episodes;
use super::{Evaluation, Progress, Report, evaluate, normalized};
use crate::config::{Registries, RunConfig};
use crate::play::{self, Film};
use crate::record::{Note, Position, Recorder, Row};
use crate::run::{Checkpoint, RunFolder};

/// The form of the state that this version writes.
const FORMAT: u32 = 3;
/// Steps of the loop from one look at the clock to the next.
const REPORT_EVERY: u64 = 64;

/// Why a training ended.
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

/// How a training ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Why.
    pub reason: StopReason,
    /// After how many env steps, over all environments.
    pub env_steps: u64,
    /// After how many updates.
    pub updates: u64,
    /// The mean return of the last evaluation.
    pub last_evaluation: Option<f64>,
    /// The best mean return of all evaluations.
    pub best_evaluation: Option<f64>,
    /// Seconds of training, over all resumes.
    pub seconds: f64,
}

/// What changes during training, besides the agent and the environments. Part of a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Clock {
    format: u32,
    agent: String,
    environment: String,
    env_steps: u64,
    episodes: Episodes,
    last_evaluation: Option<f64>,
    best_evaluation: Option<f64>,
    seconds: f64,
    log: Position,
}

impl Clock {
    fn new(config: &RunConfig) -> Self {
        Self {
            format: FORMAT,
            agent: config.agent.clone(),
            environment: config.environment.clone(),
            env_steps: 0,
            episodes: Episodes::new(config.num_envs),
            last_evaluation: None,
            best_evaluation: None,
            seconds: 0.0,
            log: Position::default(),
        }
    }
}

/// A training under way.
pub struct Session {
    config: RunConfig,
    folder: RunFolder,
    factory: EnvFactory,
    agent: Box<dyn Agent>,
    envs: Box<dyn VectorEnv>,
    observations: ObsBatch,
    actions: ActionBatch,
    step: StepBatch,
    clock: Clock,
    recorder: Recorder,
    /// When this process took over, and how many env steps and seconds had passed before.
    started: Instant,
    before: (u64, f64),
    /// What the user should hear when the training starts.
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
        let seed = derive_seed(session.config.seed, "training", 0);
        session.envs.reset(Some(seed), &mut session.observations)?;
        super::notes::describe(&session.config, &session.recorder)?;
        Ok(session)
    }

    /// The training in `folder`, continued from `checkpoint`.
    ///
    /// # Errors
    /// When the checkpoint is damaged, or belongs to another agent or environment. Nothing on the disk is changed
    /// then.
    pub fn resume(
        config: RunConfig,
        folder: RunFolder,
        registries: &Registries,
        checkpoint: &Checkpoint,
    ) -> Result<Self> {
        let state = checkpoint.read()?;
        let view = state.view();
        let clock: Clock = view.value("session").context("the checkpoint was not written by this program")?;
        check_origin(&clock, &config)?;
        folder.sweep().with_context(|| cannot_log(&folder))?;
        let recorder =
            Recorder::open(folder.path(), Some(&clock.log)).with_context(|| cannot_log(&folder))?;
        let mut session = Self::build(config, folder, registries, recorder)?;
        session.agent.load_state(&view.part("agent")).context("the checkpoint does not fit the agent")?;
        set_generator_state(&view.tensor("generator")?)?;
        session.before = (clock.env_steps, clock.seconds);
        session.clock = clock;
        session.load_environments(&view)?;
        Ok(session)
    }

    /// Whether a training of this configuration can start at all: makes its environment and its agent once.
    ///
    /// # Errors
    /// When the agent cannot play the environment, or one of the two refuses its options.
    pub fn check(config: &RunConfig, registries: &Registries) -> Result<()> {
        check_film(config, &config.factory(registries)?)?;
        Self::agent(config, registries).map(drop)
    }

    /// An untrained agent of this configuration: to load weights into.
    ///
    /// # Errors
    /// When the agent cannot play the environment, or one of the two refuses its options.
    pub fn agent(config: &RunConfig, registries: &Registries) -> Result<Box<dyn Agent>> {
        let envs = config.factory(registries)?.make_vector(&VectorOptions::new(1))?;
        build_agent(config, registries, envs.observation_space().clone(), envs.action_space().clone())
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
        let envs = factory.make_vector(&VectorOptions::new(config.num_envs).threads(config.env_threads))?;
        let (observations, actions) = (envs.observation_space().clone(), envs.action_space().clone());
        let agent = build_agent(&config, registries, observations, actions)?;
        let clock = Clock::new(&config);
        Ok(Self {
            observations: ObsBatch::new(envs.observation_space(), config.num_envs),
            actions: ActionBatch::new(envs.action_space(), config.num_envs)?,
            step: StepBatch::new(envs.observation_space(), config.num_envs),
            envs,
            config,
            folder,
            factory,
            agent,
            clock,
            recorder,
            started: Instant::now(),
            before: (0, 0.0),
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

    /// Trains until the env steps are done, an evaluation is good enough, or `stop` is set; then writes a checkpoint.
    ///
    /// # Errors
    /// When an environment fails, the training diverges or a checkpoint cannot be written. The checkpoints before it
    /// stay.
    pub fn run(&mut self, stop: &AtomicBool, progress: &mut dyn Progress) -> Result<Outcome> {
        if let Some(warning) = self.warning.take() {
            progress.warn(&warning);
        }
        let reason = loop {
            if self.clock.env_steps >= self.config.env_steps {
                break StopReason::Completed;
            }
            self.advance()?;
            if self.log_if_due(progress)? {
                break StopReason::ReturnReached;
            }
            if crossed(self.clock.env_steps, self.config.num_envs, self.config.checkpoint.every_env_steps) {
                self.checkpoint(progress)?;
            }
            if stop.load(Ordering::Relaxed) {
                break StopReason::Interrupted;
            }
        };
        self.clock.seconds = self.seconds();
        self.checkpoint(progress)?;
        progress.report(&self.report());
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

    /// One step of every environment, and the updates that are due after it.
    fn advance(&mut self) -> Result<()> {
        self.agent.act(&self.observations, &mut self.actions)?;
        self.envs.step(&self.actions, &mut self.step)?;
        self.agent.observe(Experience {
            observations: &self.observations,
            actions: &self.actions,
            step: &self.step,
        })?;
        self.clock.episodes.observe(&self.step);
        std::mem::swap(&mut self.observations, &mut self.step.observations);
        self.clock.env_steps += self.config.num_envs as u64;
        self.agent.learn()?;
        Ok(())
    }

    /// Logs and evaluates when that is due; says whether an evaluation was good enough to stop.
    fn log_if_due(&mut self, progress: &mut dyn Progress) -> Result<bool> {
        let (now, num_envs) = (self.clock.env_steps, self.config.num_envs);
        let last = now >= self.config.env_steps;
        let log = last || crossed(now, num_envs, self.config.log.every_env_steps);
        let every = self.config.evaluation.every_env_steps;
        let evaluate = crossed(now, num_envs, every) || (last && every > 0);
        if (now / num_envs as u64).is_multiple_of(REPORT_EVERY) || log {
            progress.report(&self.report());
        }
        if !log && !evaluate {
            return Ok(false);
        }
        let mut values = self.log_values()?;
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

    fn log_values(&mut self) -> Result<BTreeMap<String, f64>> {
        let mut values = BTreeMap::new();
        if let Some((mean_return, mean_length)) = self.clock.episodes.means() {
            values.insert("rollout/ep_rew_mean".into(), mean_return);
            values.insert("rollout/ep_len_mean".into(), mean_length);
        }
        values.insert("rollout/episodes".into(), self.clock.episodes.finished() as f64);
        values.insert("time/fps".into(), self.steps_per_second());
        values.insert("time/time_elapsed".into(), self.seconds());
        values.extend(self.agent.take_metrics()?.into_iter().map(|(tag, value)| (tag.to_string(), value)));
        Ok(values)
    }

    /// Evaluates the present policy and keeps its weights if it is the best so far.
    fn evaluate(&mut self) -> Result<Evaluation> {
        let normalizer = self.envs.observation_normalizer();
        let mut policy = normalized::normalized(self.agent.policy()?, normalizer.cloned());
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
            normalized::put(&mut best, self.envs.observation_normalizer())?;
            weights::write(&path, &best).context("the best weights so far could not be written")?;
        }
        Ok(result)
    }

    /// Shows an episode in TensorBoard, if that is due.
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
        let seconds = self.seconds();
        let mut state = StateDict::new();
        state.nest("agent", self.agent.state()?);
        state.put_tensor("generator", &generator_state()?)?;
        state.put_value("session", &Clock { seconds, ..self.clock.clone() })?;
        normalized::put(&mut state, self.envs.observation_normalizer())?;
        let environments = self.envs.save_state();
        if let Some(saved) = &environments {
            state.put_slice("environments", &[saved.as_bytes().len()], saved.as_bytes());
        }
        let layout = self.observations.layout();
        let rows = self.observations.rows();
        state.put_slice("observations.floats", &[rows, layout.floats], self.observations.floats());
        state.put_slice("observations.bytes", &[rows, layout.bytes], self.observations.bytes());
        self.folder.checkpoints().write(self.clock.env_steps, &state, self.config.checkpoint.keep_last)?;
        Ok(())
    }

    fn load_environments(&mut self, view: &StateView<'_>) -> Result<()> {
        if !view.has_array("environments") {
            let seed = derive_seed(self.config.seed, "training after resume", self.clock.env_steps);
            self.envs.reset(Some(seed), &mut self.observations)?;
            self.clock.episodes.forget_running();
            let id = &self.config.environment;
            self.warning = Some(format!(
                "{id} cannot save its state: training goes on with new episodes, not exactly where it stopped"
            ));
            return Ok(());
        }
        self.envs.load_state(&EnvState::from_bytes(view.vec("environments")?))?;
        let (floats, bytes): (Vec<f32>, Vec<u8>) =
            (view.vec("observations.floats")?, view.vec("observations.bytes")?);
        if floats.len() != self.observations.floats().len() || bytes.len() != self.observations.bytes().len()
        {
            bail!("the checkpoint's observations do not fit the environment");
        }
        self.observations.floats_mut().copy_from_slice(&floats);
        self.observations.bytes_mut().copy_from_slice(&bytes);
        Ok(())
    }

    fn seconds(&self) -> f64 {
        self.before.1 + self.started.elapsed().as_secs_f64()
    }

    fn steps_per_second(&self) -> f64 {
        (self.clock.env_steps - self.before.0) as f64 / self.started.elapsed().as_secs_f64().max(1e-9)
    }

    fn report(&self) -> Report {
        Report {
            env_steps: self.clock.env_steps,
            total_env_steps: self.config.env_steps,
            steps_per_second: self.steps_per_second(),
            mean_return: self.clock.episodes.means().map(|means| means.0),
            evaluation: self.clock.last_evaluation,
        }
    }
}

fn build_agent(
    config: &RunConfig,
    registries: &Registries,
    observation_space: Space,
    action_space: Space,
) -> Result<Box<dyn Agent>> {
    let context = AgentContext {
        observation_space,
        action_space,
        num_envs: config.num_envs,
        total_env_steps: config.env_steps,
        seed: config.seed,
        device: pavlov_nn::device::parse(&config.device)?,
    };
    Ok(registries.agents.get(&config.agent)?.build(&config.hyperparameters, &context)?)
}

/// Whether the last `num_envs` env steps crossed a multiple of `every` (never, if that is 0).
fn crossed(env_steps: u64, num_envs: usize, every: u64) -> bool {
    every > 0 && env_steps / every > (env_steps - num_envs as u64) / every
}

fn check_film(config: &RunConfig, factory: &EnvFactory) -> Result<()> {
    if config.evaluation.film_every_evaluations == 0 {
        return Ok(());
    }
    play::check(factory).context("evaluation.film_every_evaluations is set")
}

fn check_origin(clock: &Clock, config: &RunConfig) -> Result<()> {
    if clock.format != FORMAT {
        bail!("the checkpoint has format {}, this program reads format {FORMAT}", clock.format);
    }
    if clock.agent != config.agent || clock.environment != config.environment {
        bail!(
            "the checkpoint is of {} on {}, the run is of {} on {}: put back the run's own checkpoint",
            clock.agent,
            clock.environment,
            config.agent,
            config.environment
        );
    }
    Ok(())
}

fn cannot_log(folder: &RunFolder) -> String {
    format!("the log in {} cannot be opened", folder.path().display())
}
