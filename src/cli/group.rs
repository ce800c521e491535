//! Training in several shards or processes: what `train`, `fit` and `resume` do then.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Error, Result, bail};
use pavlov_group::{Group, GroupError, NOT_AGAIN, Place};

use super::args::OutputArgs;
use super::train::{catch_signals, finish, go_on, say, shown, was_asked_to_end};
use super::{message, settings};
use crate::config::{AnyConfig, Overrides, Registries};
use crate::distributed::{Crew, Disagreement, MakeShard, Member, Sharded, differing, follow};
use crate::fitting::Fit;
use crate::run::{Job, RunFolder, Session, Settings};
use crate::tell::tell;
use crate::training::Training;

/// The wish of the user for a group of processes.
pub(super) enum Wish {
    /// A new run, in a folder of the user's choice or of its own. `goes_on` goes on with the run that is there.
    New { config: AnyConfig, run_dir: Option<PathBuf>, goes_on: bool },
    /// Go on with a run, from a checkpoint or from its latest one, on another device if one is given. With
    /// `edited` the configuration is kept.
    Resume {
        folder: RunFolder,
        config: AnyConfig,
        device: Option<String>,
        checkpoint: Option<PathBuf>,
        edited: bool,
    },
}

/// The beginning of rank 0.
enum Start {
    Fresh(RunFolder),
    /// `kept` is the configuration to keep.
    GoOn {
        folder: RunFolder,
        checkpoint: Option<PathBuf>,
        kept: Option<AnyConfig>,
    },
}

/// True if a training of so many shards is one for this module: it has several, or several processes.
pub(super) fn is_group(member: Option<&Member>, shards: usize) -> bool {
    shards > 1 || member.is_some()
}

/// Adds the usual number of shards of a group, one for each process, unless the user sets another.
///
/// # Errors
/// When the user's file is no TOML.
pub(super) fn add_usual_shards(member: Option<&Member>, overrides: &mut Overrides) -> Result<()> {
    let world = member.map_or(1, |member| member.place.world_size);
    if world > 1 && !overrides.names("shards")? {
        overrides.sets.push(format!("shards={world}"));
    }
    Ok(())
}

/// Trains in a group. An error is told to the peers.
pub(super) fn run(
    registries: &Registries,
    member: Option<Member>,
    wish: Wish,
    output: &OutputArgs,
) -> Result<ExitCode> {
    let mut has_begun = false;
    let trained = train(registries, member.as_ref(), wish, output, &mut has_begun);
    trained.or_else(|error| give_up(member.as_ref(), error, has_begun))
}

/// Tells the peers of an error, and gives it on. Whatever is wrong before a training begins is wrong again the next
/// time, unless it was a peer's loss: then the exit code says so.
pub(super) fn give_up(member: Option<&Member>, error: Error, has_begun: bool) -> Result<ExitCode> {
    let Some(member) = member else { return Err(error) };
    member.fail(&error);
    let is_of_peer = error.chain().any(|cause| cause.is::<GroupError>());
    if is_of_peer && was_asked_to_end() {
        // A peer that had not begun has ended at once.
        return Ok(ExitCode::from(130));
    }
    // A peer that has said why it fails, before anything has begun, says so in its own code too.
    let is_told = error.chain().any(|cause| matches!(cause.downcast_ref(), Some(GroupError::Failed { .. })));
    if error.is::<Disagreement>() || (!has_begun && (is_told || !is_of_peer)) {
        tell(format_args!("error: {}", message(&error)));
        return Ok(ExitCode::from(NOT_AGAIN));
    }
    Err(error)
}

fn train(
    registries: &Registries,
    member: Option<&Member>,
    wish: Wish,
    output: &OutputArgs,
    has_begun: &mut bool,
) -> Result<ExitCode> {
    let leads = member.is_none_or(Member::leads);
    let (command, own) = match &wish {
        Wish::New { config, .. } => ("train", Some(config.to_toml()?)),
        Wish::Resume { .. } => ("resume", None),
    };
    if let (Some(member), Wish::New { config, .. }) = (member, &wish) {
        member.check_shards(config.shards())?;
    }
    let mut start = None;
    let decide = || {
        let (begin, config) = begin(registries, member, wish)?;
        start = Some(begin);
        Ok(config.to_toml()?)
    };
    let text = match member {
        Some(member) => member.agree(command, own, decide)?,
        None => decide()?,
    };
    let config = AnyConfig::parse(registries, &text)?;
    let groups = match member {
        Some(member) => member.shards(config.shards())?,
        None => Group::of_process(config.shards(), None),
    };
    let make = shard_maker(registries, member.map(|member| &member.place), &config, groups.len());
    if !leads {
        let Some(wire) = member.and_then(Member::wire) else { bail!("a group of one has no follower") };
        let crew = Crew::new(groups, &make)?;
        *has_begun = true;
        let stop = catch_signals()?;
        follow(crew, wire, &stop)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(start) = start else { bail!("rank 0 has not decided how to begin") };
    let shards = config.shards();
    let crew = Crew::new(groups, &make)?;
    let job = Sharded::new(crew, member.and_then(Member::wire).cloned(), config.clone());
    let processes = member.map_or(1, |member| member.place.world_size);
    *has_begun = true;
    match start {
        Start::Fresh(folder) => {
            let told = format!(
                "{} {} in {}: {shards} shards in {}",
                if matches!(config, AnyConfig::Fit(_)) { "fitting" } else { "training" },
                job.origin(),
                shown(folder.path()),
                if processes == 1 { "this process".into() } else { format!("{processes} processes") }
            );
            say(output, &told);
            if let AnyConfig::Agent(config) = &config {
                settings::summary(registries, config).iter().for_each(|line| say(output, line));
            }
            finish(Session::start(job, folder)?, registries, output)
        }
        Start::GoOn { folder, checkpoint, kept } => {
            go_on(job, registries, (&folder, checkpoint.as_deref()), kept.as_ref(), output)
        }
    }
}

/// The beginning of rank 0: a new folder, or a run that there is.
fn begin(registries: &Registries, member: Option<&Member>, wish: Wish) -> Result<(Start, AnyConfig)> {
    let (config, run_dir, goes_on) = match wish {
        Wish::New { config, run_dir, goes_on } => (config, run_dir, goes_on),
        Wish::Resume { folder, config, device, checkpoint, edited } => {
            if let Some(member) = member {
                member.note_run(folder.path())?;
            }
            let mut here = config.clone();
            if let Some(device) = device {
                *here.compute_mut().0 = device;
            }
            return Ok((Start::GoOn { folder, checkpoint, kept: edited.then_some(config) }, here));
        }
    };
    let known = member.map(Member::known_run).transpose()?.flatten();
    let there = known.or_else(|| run_dir.clone().filter(|_| goes_on));
    if let Some(folder) = there.and_then(|path| RunFolder::open(&path).ok()) {
        // It goes on by its own configuration, which is that of the arguments unless a user has mixed up two runs.
        let own = folder.any_config(registries)?;
        if let Some(differing) = differing(&own.to_toml()?, &config.to_toml()?)? {
            bail!(Disagreement(format!(
                "the run in {} has other settings than this command: {differing}; give it the run's own, or another \
                 --run-dir",
                shown(folder.path())
            )));
        }
        return Ok((Start::GoOn { folder, checkpoint: None, kept: None }, own));
    }
    if let AnyConfig::Agent(config) = &config {
        Training::check(config, registries)?;
    }
    let folder = RunFolder::create(run_dir.as_deref(), &config)?;
    if let Some(member) = member {
        member.note_run(folder.path())?;
    }
    Ok((Start::Fresh(folder), config))
}

/// Makes the jobs of shards, of which this process has so many.
fn shard_maker(
    registries: &Registries,
    place: Option<&Place>,
    config: &AnyConfig,
    local: usize,
) -> MakeShard {
    let (registries, mut here) = (registries.clone(), config.clone());
    let processes = place.map_or(1, |place| place.local_world_size);
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let (device, update_threads) = here.compute_mut();
    // The numbers do not depend on it, and threads that wait for cores cost more than they bring.
    *update_threads = (*update_threads).min((cores / (processes * local)).max(1) as u32);
    let devices = tch::Cuda::device_count().max(0) as usize;
    if let Some(place) = place.filter(|_| devices > 1 && ["auto", "cuda"].contains(&device.as_str())) {
        // Each process of a machine has its own GPU, unless it sees one alone.
        *device = format!("cuda:{}", place.local_rank % devices);
    }
    Arc::new(move |group: &Group| -> Result<Box<dyn Job>> {
        Ok(match here.clone() {
            AnyConfig::Agent(config) => Box::new(Training::in_group(*config, &registries, group)?),
            AnyConfig::Fit(config) => Box::new(Fit::in_group(*config, &registries, group)?),
        })
    })
}
