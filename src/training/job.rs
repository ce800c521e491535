//! The training of an agent as the job of a run: in turns or with actors, its evaluations and its state.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result};
use pavlov_agents::{Agent, AgentContext, Policy, Review};
use pavlov_common::derive_seed;
use pavlov_envs::{EnvError, EnvFactory, ObservationNormalizer, SeenStatistics, VectorOptions};
use pavlov_group::Group;
use pavlov_nn::{StateDict, StateView};
use tch::Device;

use super::build::{agent_context, build_agent};
use super::episodes::Episodes;
use super::evaluation::{Evaluation, EvaluationOptions, Evaluator, cut_off};
use super::phase_log::PhaseLog;
use super::report::{Report, ThreadsReport};
use super::turns::Turns;
use super::{infos, normalized, pretrained, review, trial};
use crate::config::{EvaluationConfig, Registries, RunConfig};
use crate::parallel::Driver;
use crate::play::{self, Film};
use crate::record::Note;
use crate::run::{
    Advance, Compute, Description, Evaluated, FinalComparison, GROUP_IDLE_SHARE, Job, Log, Moment, Origin,
    Plan, RowPart, Settings, Status, StopReason, Unit, Values,
};

/// Steps of the loop from one report of progress to the next.
const REPORT_EVERY: u64 = 64;
/// The metrics by which TensorBoard's page of hyper-parameters compares runs.
const METRICS: [&str; 3] = ["eval/mean_reward", "rollout/ep_rew_mean", "time/fps"];
const EPISODES: &str = "episodes";

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
            Engine::Turns(turns) => turns.normalizer(),
            Engine::Actors(driver) => driver.normalizer(),
        }
    }
}

/// The training of an agent.
pub struct Training {
    config: RunConfig,
    factory: EnvFactory,
    evaluator: Evaluator,
    agent: Box<dyn Agent>,
    engine: Engine,
    episodes: Episodes,
    /// The device of the networks.
    device: Device,
    /// Metrics of the threads that are not logged yet.
    pending: Values,
    /// True if the agent has got the weights that it begins with.
    has_begun: bool,
    /// New warnings for the user.
    warnings: Vec<String>,
    /// True if the user knows that episodes of evaluations are cut off.
    has_cut_off: bool,
    /// The review for the training's begin: warnings, or why nothing would be learned. One that goes on has
    /// begun.
    review: Result<Review>,
    group: Group,
}

impl Training {
    /// A training that has not begun.
    ///
    /// # Errors
    /// When the agent cannot play the environment, or one of the two refuses its options.
    pub fn new(config: RunConfig, registries: &Registries) -> Result<Self> {
        Self::in_group(config, registries, &Group::alone())
    }

    /// A shard of a training, which has not begun.
    ///
    /// # Errors
    /// As [`Training::new`], and when the agent cannot be cut into so many shards.
    pub(crate) fn in_group(config: RunConfig, registries: &Registries, group: &Group) -> Result<Self> {
        let RunConfig { seed, threads, update_threads, .. } = config;
        let device = Compute { seed, device: &config.device, threads, update_threads }.prepare()?;
        let factory = config.factory(registries)?;
        check_film(&config, &factory)?;
        let idle = factory.idle_wrappers();
        let (agent, engine, context) = match config.actors.count {
            0 => {
                let turns = Turns::new(&config, &factory, group)?;
                let (observations, actions) = (turns.observation_space(), turns.action_space());
                let context = agent_context(&config, registries, (observations, actions), group)?;
                (build_agent(&config, registries, &context)?, Engine::Turns(Box::new(turns)), context)
            }
            _ => {
                let envs = factory.make_vector(&VectorOptions::new(1))?;
                let (observations, actions) = (envs.observation_space(), envs.action_space());
                let context = agent_context(&config, registries, (observations, actions), group)?;
                let mut agent = build_agent(&config, registries, &context)?;
                drop(envs);
                let driver = Driver::new(&config, &factory, agent.as_mut(), group)?;
                (agent, Engine::Actors(Box::new(driver)), context)
            }
        };
        let whole = AgentContext { num_envs: config.num_envs, group: Group::alone(), ..context };
        let review = review::review(&config, registries, idle, &whole);
        let episodes = Episodes::new(config.envs_of_shard());
        let pending = BTreeMap::new();
        Ok(Self {
            device,
            config,
            evaluator: Evaluator::new(&factory),
            factory,
            agent,
            engine,
            episodes,
            pending,
            has_begun: false,
            warnings: Vec::new(),
            has_cut_off: false,
            review,
            group: group.clone(),
        })
    }

    /// Checks that a training of this configuration can start, by making its environment and its agent once,
    /// and by letting the agent act once. The review says how observations and actions are taken, and which
    /// settings have no effect.
    ///
    /// # Errors
    /// When the agent cannot play the environment, one of the two refuses its options, or nothing would be
    /// learned.
    pub fn check(config: &RunConfig, registries: &Registries) -> Result<Review> {
        let factory = config.factory(registries)?;
        check_film(config, &factory)?;
        let idle = factory.idle_wrappers();
        let envs = factory.make_vector(&VectorOptions::new(1))?;
        let (observations, actions) = (envs.observation_space(), envs.action_space());
        let alone = Group::alone();
        let whole = agent_context(config, registries, (observations, actions), &alone)?;
        // As a shard of the training: some agents cannot be cut, and some sizes.
        let shard = Group::of_process(config.shards, None).swap_remove(0);
        let context = agent_context(config, registries, (observations, actions), &shard)?;
        let mut agent = build_agent(config, registries, &context)?;
        trial::act_once(agent.as_ref(), observations, actions)?;
        let review = review::review(config, registries, idle, &whole)?;
        if config.actors.count > 0 {
            Driver::new(config, &factory, agent.as_mut(), &shard)?;
        }
        Ok(review)
    }

    /// The review of this configuration alone, without its networks.
    ///
    /// # Errors
    /// When the environment cannot be made, or nothing would be learned.
    pub fn review(config: &RunConfig, registries: &Registries) -> Result<Review> {
        let factory = config.factory(registries)?;
        let idle = factory.idle_wrappers();
        let envs = factory.make_vector(&VectorOptions::new(1))?;
        // The review asks nothing of the device, which another machine may have.
        let config = RunConfig { device: "cpu".into(), ..config.clone() };
        let spaces = (envs.observation_space(), envs.action_space());
        let context = agent_context(&config, registries, spaces, &Group::alone())?;
        review::review(&config, registries, idle, &context)
    }

    /// An untrained agent of this configuration, into which weights can be loaded.
    ///
    /// # Errors
    /// When the agent cannot play the environment, or one of the two refuses its options.
    pub fn agent(config: &RunConfig, registries: &Registries) -> Result<Box<dyn Agent>> {
        let envs = config.factory(registries)?.make_vector(&VectorOptions::new(1))?;
        let spaces = (envs.observation_space(), envs.action_space());
        let context = agent_context(config, registries, spaces, &Group::alone())?;
        build_agent(config, registries, &context)
    }

    /// Gives the agent the weights that it is to begin with, once, and says what fitted. A run that is
    /// resumed does not ask for them.
    ///
    /// # Errors
    /// When they cannot be read, or nothing fits.
    pub fn load_pretrained(&mut self) -> Result<Option<String>> {
        if self.config.pretrained.is_none() || self.has_begun {
            return Ok(None);
        }
        self.has_begun = true;
        if !self.config.pretrained.whole {
            return pretrained::load(self.agent.as_mut(), &self.config.pretrained).map(Some);
        }
        let normalizer = self.factory.normalizer()?;
        let (told, observations) = pretrained::load_whole(self.agent.as_mut(), &self.config, normalizer)?;
        if observations.is_some() {
            let seen = SeenStatistics { observations, ..SeenStatistics::default() };
            match &mut self.engine {
                Engine::Turns(turns) => turns.follow(&seen)?,
                Engine::Actors(driver) => driver.follow(seen)?,
            }
        }
        Ok(Some(told))
    }

    /// A film of an episode for TensorBoard, if one is due.
    fn film(&self, policy: &mut dyn Policy, seed: u64, env_steps: u64) -> Result<Option<Note>> {
        let evaluation = &self.config.evaluation;
        let number = env_steps / evaluation.every_env_steps.max(1);
        let every = evaluation.film_every_evaluations;
        if every == 0 || !number.is_multiple_of(every) {
            return Ok(None);
        }
        let (encoded, size) = Film::of_one_episode(policy, &self.factory, seed)?.encode()?;
        Ok(Some(Note::Image { tag: "eval/episode".into(), step: env_steps, size, encoded }))
    }

    /// Plays the episodes of an evaluation, and a film if one is due.
    fn play(
        &mut self,
        normalizer: Option<ObservationNormalizer>,
        now: &Moment,
        stop: &AtomicBool,
    ) -> Result<Evaluated> {
        let mut policy = normalized::normalized(self.agent.policy()?, normalizer);
        let seed = derive_seed(self.config.seed, "evaluation", now.done);
        let episodes = self.config.evaluation.episodes;
        let result = self.episodes_of(policy.as_mut(), episodes, seed, stop)?;
        if result.cut_off > 0 && !self.has_cut_off {
            self.has_cut_off = true;
            self.warnings.push(format!("in an evaluation {}", cut_off(result.cut_off, episodes)));
        }
        let values = [
            ("eval/mean_reward", result.mean()),
            ("eval/std_reward", result.deviation()),
            ("eval/mean_ep_length", result.mean_length()),
        ];
        let mut values = Values::from(values.map(|(tag, value)| (tag.to_string(), value)));
        values.extend(infos::values("eval", &result.info_means()));
        Ok(Evaluated {
            metric: result.mean(),
            values,
            notes: self.film(policy.as_mut(), seed, now.done)?.into_iter().collect(),
            episodes: Some(result),
        })
    }

    /// Plays greedy episodes on the evaluator's environments.
    fn episodes_of(
        &mut self,
        policy: &mut dyn Policy,
        episodes: usize,
        seed: u64,
        stop: &AtomicBool,
    ) -> Result<Evaluation> {
        let EvaluationConfig { num_envs, share_world, .. } = self.config.evaluation;
        let stop = Some(stop);
        let options = EvaluationOptions { episodes, num_envs, seed, stop, ..EvaluationOptions::default() };
        let result = self.evaluator.evaluate(policy, &options)?;
        if share_world {
            self.evaluator.close();
        }
        Ok(result)
    }

    /// Plays on environments beside those of the training, which are closed meanwhile where the world exists
    /// once. Those that cannot be saved begin new episodes after it, whose seed is derived for `then`.
    fn beside_training<T>(
        &mut self,
        now: &Moment,
        then: &str,
        play: impl FnOnce(&mut Self, Option<ObservationNormalizer>) -> Result<T>,
    ) -> Result<T> {
        let closed = match (&mut self.engine, self.config.evaluation.share_world) {
            (Engine::Turns(turns), true) => {
                let normalizer = turns.normalizer()?;
                Some((turns.close()?, normalizer))
            }
            _ => None,
        };
        let Some((closed, normalizer)) = closed else {
            let normalizer = self.engine.normalizer()?;
            return play(self, normalizer);
        };
        let evaluated = play(self, normalizer);
        let seed = derive_seed(self.config.seed, then, now.done);
        let Engine::Turns(turns) = &mut self.engine else { return evaluated };
        match turns.reopen((&self.config, &self.factory), closed, self.agent.as_mut(), seed) {
            Ok(true) => evaluated,
            Ok(false) => {
                self.episodes.forget_running();
                evaluated
            }
            // The first error is the cause.
            Err(error) => evaluated.and(Err(error)),
        }
    }

    /// The mean return of a policy with these weights, over episodes that depend on the run's seed alone.
    fn play_with(&mut self, weights: &StateDict<'static>, episodes: usize, stop: &AtomicBool) -> Result<f64> {
        let mut normalizer = self.factory.normalizer()?;
        if let Some(normalizer) = &mut normalizer {
            normalized::load(&weights.view(), normalizer)?;
        }
        let policy = self.agent.policy_with(&normalized::without_statistics(weights).view())?;
        let mut policy = normalized::normalized(policy, normalizer);
        let seed = derive_seed(self.config.seed, "final comparison", 0);
        Ok(self.episodes_of(policy.as_mut(), episodes, seed, stop)?.mean())
    }
}

impl Job for Training {
    fn origin(&self) -> Origin {
        self.config.origin()
    }

    fn plan(&self) -> Plan {
        Plan {
            unit: Unit::EnvSteps,
            total: self.config.env_steps,
            log_every: self.config.log.every_env_steps,
            evaluate_every: self.config.evaluation.every_env_steps,
            checkpoint_every: self.config.checkpoint.every_env_steps,
            keep_last: self.config.checkpoint.keep_last,
            report_every: REPORT_EVERY * self.config.num_envs as u64,
            highest_is_best: true,
        }
    }

    fn device(&self) -> Device {
        self.device
    }

    fn describe(&self) -> Result<Description> {
        Description::of(&self.config, &METRICS)
    }

    fn start(&mut self) -> Result<()> {
        self.warnings = std::mem::replace(&mut self.review, Ok(Review::default()))?.warnings;
        self.load_pretrained()?;
        match &mut self.engine {
            Engine::Turns(turns) => turns.start(self.config.seed),
            Engine::Actors(_) => Ok(()),
        }
    }

    /// One step of every environment in turns, or with actors a phase up to `until`.
    fn advance(&mut self, until: u64, stop: &AtomicBool, log: &mut dyn Log) -> Result<Advance> {
        let env_steps = log.done();
        let Self { engine, agent, episodes, config, pending, .. } = self;
        match engine {
            Engine::Turns(turns) => match turns.advance(agent.as_mut(), episodes) {
                Ok(()) => Ok(Advance { done: env_steps + config.num_envs as u64, failure: None }),
                // Another shard waits for this one's part of the next update: there is no checkpoint here.
                Err(error) if config.shards == 1 && error.is::<EnvError>() => {
                    Ok(Advance { done: env_steps, failure: Some(format!("{error:#}")) })
                }
                Err(error) => Err(error),
            },
            Engine::Actors(driver) => {
                let mut listener = PhaseLog {
                    log,
                    config,
                    episodes,
                    pending,
                    threads: ThreadsReport::default(),
                    last_updates: agent.updates(),
                    last_learned: Instant::now(),
                };
                let end = driver.phase(agent.as_mut(), env_steps..until, stop, &mut listener)?;
                Ok(Advance { done: end.env_steps, failure: end.failure })
            }
        }
    }

    fn take_warnings(&mut self) -> Vec<String> {
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.extend(self.factory.take_warnings());
        warnings
    }

    fn updates(&self) -> u64 {
        self.agent.updates()
    }

    fn row_part(&mut self) -> Result<RowPart> {
        let mut values = std::mem::take(&mut self.pending);
        values.extend(self.agent.take_metrics()?.into_iter().map(|(tag, value)| (tag.to_string(), value)));
        values.extend(self.group.take_idle_share().map(|share| (GROUP_IDLE_SHARE.to_string(), share)));
        Ok(RowPart { values, episodes: Some(self.episodes.clone()) })
    }

    fn values(&mut self, now: &Moment, part: RowPart) -> Result<Values> {
        let mut values = part.episodes.as_ref().unwrap_or(&self.episodes).values(now);
        values.extend(part.values);
        Ok(values)
    }

    fn status(&self, now: &Moment) -> Box<dyn Status> {
        Box::new(Report::new(now, &self.episodes, &self.config))
    }

    fn evaluate(&mut self, now: &Moment, stop: &AtomicBool) -> Result<Evaluated> {
        self.beside_training(now, "training after evaluation", |training, normalizer| {
            training.play(normalizer, now, stop)
        })
    }

    fn final_comparison(&self) -> Option<FinalComparison> {
        let EvaluationConfig { episodes, final_episodes, .. } = self.config.evaluation;
        let comparison = FinalComparison { episodes: final_episodes as u64, per_evaluation: episodes as u64 };
        (final_episodes > 0).then_some(comparison)
    }

    fn compare(
        &mut self,
        weights: &[&StateDict<'static>],
        episodes: usize,
        now: &Moment,
        stop: &AtomicBool,
    ) -> Result<Vec<f64>> {
        self.beside_training(now, "training after comparison", |training, _| {
            weights.iter().map(|weights| training.play_with(weights, episodes, stop)).collect()
        })
    }

    fn stops_after(&self, metric: f64) -> Option<StopReason> {
        let until = self.config.evaluation.until_return?;
        (metric >= until).then_some(StopReason::ReturnReached)
    }

    fn policy(&self) -> Result<Option<Box<dyn Policy>>> {
        Ok(Some(normalized::normalized(self.agent.policy()?, self.engine.normalizer()?)))
    }

    fn weights(&self) -> Result<StateDict<'_>> {
        let mut weights = self.agent.weights()?;
        normalized::put(&mut weights, self.engine.normalizer()?.as_ref())?;
        Ok(weights)
    }

    fn put_state<'a>(&'a self, state: &mut StateDict<'a>) -> Result<()> {
        state.nest("agent", self.agent.state()?);
        state.put_value(EPISODES, &self.episodes)?;
        normalized::put(state, self.engine.normalizer()?.as_ref())?;
        match &self.engine {
            Engine::Turns(turns) => turns.put_state(state),
            Engine::Actors(driver) => driver.put_state(state),
        }
    }

    fn load_state(&mut self, state: &StateView<'_>, done: u64) -> Result<Option<String>> {
        self.agent.load_state(&state.part("agent")).context("the checkpoint does not fit the agent")?;
        self.episodes = state.value(EPISODES)?;
        let exact = match &mut self.engine {
            Engine::Turns(turns) => {
                let seed = derive_seed(self.config.seed, "training after resume", done);
                let seed = turns.seed_of_shard(seed);
                turns.load_state(state, self.agent.as_mut(), seed)?
            }
            Engine::Actors(driver) => driver.load_state(self.agent.as_mut(), state, done)?,
        };
        if exact {
            return Ok(None);
        }
        self.episodes.forget_running();
        let id = &self.config.environment;
        Ok(Some(format!(
            "the state of {id} was not saved: training goes on with new episodes, not exactly where it stopped"
        )))
    }
}

fn check_film(config: &RunConfig, factory: &EnvFactory) -> Result<()> {
    if config.evaluation.film_every_evaluations == 0 {
        return Ok(());
    }
    play::check(factory).context("evaluation.film_every_evaluations is set")
}
