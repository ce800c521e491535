//! `pavlov train` and `pavlov resume`: start and continue a run.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, bail};
use pavlov_group::{Place, SignalInbox};

use super::args::{OutputArgs, ResumeArgs, RunArgs, TrainArgs};
use super::group::{self, Wish};
use super::say::say;
use super::settings;
use crate::config::{AnyConfig, ConfigFile, FitConfig, Overrides, PretrainedConfig, Registries, RunConfig};
use crate::distributed::Member;
use crate::files::for_shell;
use crate::fitting::Fit;
use crate::run::{
    Choice, Job, Json, Outcome, Progress, Quiet, RunFolder, Session, Settings, StopReason, Terminal,
    UnusableCheckpoint,
};
use crate::tell::tell;
use crate::training::Training;

/// The configuration file that was given, read.
pub(super) fn config_file(path: Option<&Path>) -> Result<Option<ConfigFile>> {
    let Some(path) = path else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the configuration file {} cannot be read", path.display()))?;
    Ok(Some(ConfigFile { name: path.display().to_string(), text }))
}

/// The configuration that the arguments ask for.
pub(super) fn resolve(registries: &Registries, args: &RunArgs) -> Result<RunConfig> {
    resolve_for(registries, args, None)
}

/// The same for a process of a group.
fn resolve_for(registries: &Registries, args: &RunArgs, member: Option<&Member>) -> Result<RunConfig> {
    let file = config_file(args.config.as_deref())?;
    let flags = [
        args.steps.map(|steps| format!("env_steps={steps}")),
        args.seed.map(|seed| format!("seed={seed}")),
        args.envs.map(|envs| format!("num_envs={envs}")),
        args.actors.map(|actors| format!("actors.count={actors}")),
        args.device.as_ref().map(|device| format!("device={device}")),
        args.until_return.map(|until| format!("evaluation.until_return={until:?}")),
    ];
    let from = args.from.iter().flat_map(|run| PretrainedConfig::from_run(run));
    let sets = flags.into_iter().flatten().chain(from).chain(args.sets.iter().cloned()).collect();
    let mut overrides = Overrides { file, sets };
    group::add_usual_shards(member, &mut overrides)?;
    Ok(RunConfig::resolve(registries, &args.agent, &args.environment, &overrides)?)
}

pub(super) fn train(registries: &Registries, args: &TrainArgs) -> Result<ExitCode> {
    let member = join()?;
    // An unknown device, or an agent that cannot play the environment, must not leave a folder behind.
    let resolved = resolve_for(registries, &args.run, member.as_ref());
    let config = match resolved.and_then(RunConfig::anchored) {
        Ok(config) => config,
        Err(error) => return group::give_up(member.as_ref(), error, false),
    };
    if group::is_group(member.as_ref(), config.shards) || args.goes_on {
        let config = AnyConfig::Agent(Box::new(config));
        let wish = Wish::New { config, run_dir: args.run_dir.clone(), goes_on: args.goes_on };
        return group::run(registries, member, wish, &args.output);
    }
    Training::check(&config, registries)?;
    let mut training = Training::new(config.clone(), registries)?;
    let pretrained = training.load_pretrained()?;
    let folder = RunFolder::create(args.run_dir.as_deref(), &config)?;
    say(
        &args.output,
        &format!("training {} on {} in {}", config.agent, config.environment, shown(folder.path())),
    );
    settings::summary(registries, &config).iter().for_each(|line| say(&args.output, line));
    if let Some(told) = pretrained {
        say(&args.output, &format!("  {told}"));
    }
    let session = Session::start(training, folder)?;
    finish(session, registries, &args.output)
}

pub(super) fn resume(registries: &Registries, args: &ResumeArgs) -> Result<ExitCode> {
    let member = join()?;
    let (folder, config) = match super::trust::open(registries, &args.run, &args.open) {
        Ok(opened) => opened,
        Err(error) => return group::give_up(member.as_ref(), error, false),
    };
    if group::is_group(member.as_ref(), config.shards()) {
        let changed = || {
            let sets = new_settings(&config, args)?;
            Ok((config.with_sets(registries, &sets)?, !sets.is_empty()))
        };
        let (config, edited) = match changed() {
            Ok(changed) => changed,
            Err(error) => return group::give_up(member.as_ref(), error, false),
        };
        let wish = Wish::Resume {
            folder,
            config,
            device: args.open.device.clone(),
            checkpoint: args.checkpoint.clone(),
            edited,
        };
        return group::run(registries, member, wish, &args.output);
    }
    let sets = new_settings(&config, args)?;
    let device = args.open.device.clone();
    match config {
        AnyConfig::Agent(config) => {
            let config = config.with_sets(registries, &sets)?;
            let here = RunConfig { device: device.unwrap_or(config.device.clone()), ..config.clone() };
            let job = Training::new(here, registries)?;
            let from = (&folder, args.checkpoint.as_deref());
            go_on(job, registries, from, (!sets.is_empty()).then_some(&config), &args.output)
        }
        AnyConfig::Fit(config) => {
            let config = config.with_sets(registries, &sets)?;
            let here = FitConfig { device: device.unwrap_or(config.device.clone()), ..config.clone() };
            let job = Fit::new(here, registries)?;
            let from = (&folder, args.checkpoint.as_deref());
            go_on(job, registries, from, (!sets.is_empty()).then_some(&config), &args.output)
        }
    }
}

/// The settings that the arguments give the rest of a run.
fn new_settings(config: &AnyConfig, args: &ResumeArgs) -> Result<Vec<String>> {
    let lengths = [("--steps", args.steps), ("--epochs", args.epochs), ("--updates", args.updates)];
    let (others, kind) = match config {
        AnyConfig::Agent(_) => (&lengths[1..], "the training of an agent, whose length is --steps"),
        AnyConfig::Fit(_) => (&lengths[..1], "the fit of a model, whose length is --epochs or --updates"),
    };
    if let Some((flag, _)) = others.iter().find(|(_, given)| given.is_some()) {
        bail!("{flag}: {} is {kind}", args.run.display());
    }
    let length = match lengths.map(|(_, given)| given) {
        [Some(steps), ..] => vec![format!("env_steps={steps}")],
        [_, Some(epochs), _] => vec![format!("epochs={epochs}"), "updates=0".into()],
        [.., Some(updates)] => vec![format!("updates={updates}")],
        _ => Vec::new(),
    };
    Ok(length.into_iter().chain(args.sets.iter().cloned()).collect())
}

/// Continues a run with its job, and keeps its new configuration, if it has one.
pub(super) fn go_on(
    job: impl Job + 'static,
    registries: &Registries,
    (folder, from): (&RunFolder, Option<&Path>),
    new: Option<&impl Settings>,
    output: &OutputArgs,
) -> Result<ExitCode> {
    let checkpoints = folder.checkpoints();
    {
        // The latest checkpoint may have to be put back before it can be listed.
        let _lock = folder.lock()?;
        folder.sweep()?;
    }
    let list = checkpoints.list()?;
    let checkpoint = match from {
        Some(path) => Some(checkpoints.named(path)?),
        None => list.last().cloned(),
    };
    let mut session = match &checkpoint {
        None => Session::start(job, folder.clone())?,
        Some(checkpoint) => Session::resume(job, folder.clone(), checkpoint).map_err(|error| {
            let older = list.iter().rev().find(|other| *other != checkpoint);
            match older.filter(|_| from.is_none() && error.is::<UnusableCheckpoint>()) {
                None => error,
                Some(older) => error.context(format!(
                    "the latest checkpoint cannot be used; try the one before it: pavlov resume {} --checkpoint {}",
                    for_shell(folder.path()),
                    for_shell(&older.path)
                )),
            }
        })?,
    };
    if let Some(config) = new {
        session.keep_config(config)?;
    }
    let run = shown(folder.path());
    let told = match &checkpoint {
        None => format!("{run} has no checkpoint yet: it begins again from its start"),
        Some(checkpoint) => format!("continuing {run} from {}", shown(&checkpoint.path)),
    };
    say(output, &told);
    finish(session, registries, output)
}

/// The user's wish for an end.
struct Wishes {
    stop: Arc<AtomicBool>,
    /// False as long as there is nothing that a checkpoint could hold.
    has_begun: Arc<AtomicBool>,
}

static WISHES: OnceLock<Wishes> = OnceLock::new();

/// Ends the process as one that was interrupted when the user asks for an end, until a training has begun.
///
/// # Errors
/// When signals cannot be caught.
pub(super) fn end_when_asked() -> Result<()> {
    if WISHES.get().is_some() {
        return Ok(());
    }
    let (stop, has_begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (asked, begun, requests) = (stop.clone(), has_begun.clone(), SignalInbox::new());
    ctrlc::set_handler(move || {
        asked.store(true, Ordering::Relaxed);
        // A second request means that the user does not want to wait for the checkpoint.
        if requests.notify() > 1 || !begun.load(Ordering::Relaxed) {
            // Not `exit`, which would destroy what other threads still use.
            pavlov_nn::leave(130);
        }
    })
    .context("signals cannot be caught")?;
    WISHES.get_or_init(|| Wishes { stop, has_begun });
    Ok(())
}

/// A flag that is set once the user asks for an end of the training that begins now. A second time means that
/// nothing is waited for.
///
/// # Errors
/// When signals cannot be caught.
pub(super) fn catch_signals() -> Result<Arc<AtomicBool>> {
    end_when_asked()?;
    let wishes = WISHES.get().context("signals cannot be caught")?;
    wishes.has_begun.store(true, Ordering::Relaxed);
    Ok(wishes.stop.clone())
}

/// True if the user has asked for an end.
pub(super) fn was_asked_to_end() -> bool {
    WISHES.get().is_some_and(|wishes| wishes.stop.load(Ordering::Relaxed))
}

/// The group that this process is of, if it is of one.
///
/// # Errors
/// When the group cannot be joined.
pub(super) fn join() -> Result<Option<Member>> {
    if Place::from_env()?.is_some() {
        end_when_asked()?;
    }
    Member::join()
}

pub(super) fn finish(session: Session, registries: &Registries, output: &OutputArgs) -> Result<ExitCode> {
    let mut session = session.with_callbacks(registries.callbacks.make())?;
    let stop = catch_signals()?;
    let mut progress: Box<dyn Progress> = match output {
        OutputArgs { quiet: true, .. } => Box::new(Quiet),
        OutputArgs { json: true, .. } => Box::new(Json::new()),
        _ => Box::new(Terminal::new()),
    };
    let folder = session.folder().clone();
    let outcome = session.run(&stop, progress.as_mut()).with_context(|| {
        let path = for_shell(folder.path());
        match folder.checkpoints().list() {
            Ok(list) if list.is_empty() => {
                format!(
                    "the run in {path} stopped before its first checkpoint; `pavlov resume {path}` begins it again"
                )
            }
            Ok(_) => format!("the run in {path} stopped; `pavlov resume {path}` goes on from its last checkpoint"),
            Err(_) => format!("the run in {path} stopped"),
        }
    })?;
    if output.json {
        let summary = serde_json::json!({ "run": folder.path(), "outcome": outcome });
        say!("{summary}");
    } else {
        say(output, &closing(folder.path(), &outcome));
    }
    Ok(if outcome.reason == StopReason::Interrupted { ExitCode::from(130) } else { ExitCode::SUCCESS })
}

fn closing(folder: &Path, outcome: &Outcome) -> String {
    let (path, root) = (for_shell(folder), for_shell(&logdir(folder)));
    let asked = format!("stopped ({})", outcome.why.as_deref().unwrap_or("a callback"));
    let how = match outcome.reason {
        StopReason::Completed => "done",
        StopReason::ReturnReached => "solved",
        StopReason::NoProgress => "no further progress",
        StopReason::Interrupted => "stopped",
        StopReason::Callback => &asked,
    };
    let is_agent = outcome.env_steps > 0;
    let decimals = if is_agent { 1 } else { 4 };
    let number = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.decimals$}"));
    let (best, last) = (number(outcome.best_evaluation), number(outcome.last_evaluation));
    let steps = if is_agent { format!("{} env steps and ", outcome.env_steps) } else { String::new() };
    let mut lines = vec![
        format!(
            "{how} after {steps}{} updates in {:.1} s; {}: last {last}, best {best}",
            outcome.updates,
            outcome.seconds,
            if is_agent { "evaluations" } else { "validations" }
        ),
        format!("  the run:      {}", shown(folder)),
        format!("  how good:     pavlov eval {path}"),
        format!("  watch it:     tensorboard --logdir {root}    (pip install tensorboard)"),
    ];
    if let Some(Choice { chosen, metric, episodes, candidates, .. }) = &outcome.choice {
        let told = format!(
            "  best weights: those after {chosen} env steps, mean return {metric:.1} over {episodes} new episodes (the \
             best of {candidates} candidates)"
        );
        lines.insert(1, told);
    }
    lines.push(match (outcome.reason, is_agent) {
        (StopReason::Completed, true) => format!("  train longer: pavlov resume {path} --steps N"),
        (StopReason::Completed, false) => format!("  fit longer:   pavlov resume {path} --epochs N"),
        _ => format!("  go on:        pavlov resume {path}"),
    });
    lines.join("\n")
}

/// The folder for TensorBoard: that of all runs, if the run lies among them.
fn logdir(folder: &Path) -> std::path::PathBuf {
    let below_runs = folder.ancestors().find(|path| path.ends_with(crate::run::RUNS));
    below_runs.unwrap_or(folder).to_path_buf()
}

pub(super) fn say(output: &OutputArgs, text: &str) {
    if !output.quiet && !output.json {
        tell(text);
    }
}

pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}
