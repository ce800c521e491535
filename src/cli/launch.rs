//! `pavlov launch`: processes of one machine that learn together.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pavlov_group::{Launch, Place, SignalInbox};
use pavlov_nn::TcpStore;

use super::args::LaunchArgs;
use crate::tell::tell;

/// The commands that train.
const TRAINING: [&str; 3] = ["train", "fit", "resume"];

pub(super) fn launch(args: &LaunchArgs) -> Result<ExitCode> {
    if Place::from_env()?.is_some_and(|place| place.world_size > 1) {
        bail!("this process is one of a group already: start `pavlov train` in it, not `pavlov launch`");
    }
    let command = args.command.first().and_then(|word| word.to_str()).unwrap_or_default();
    if !TRAINING.contains(&command) {
        bail!(
            "`pavlov launch` starts train, fit or resume, not {command:?}: pavlov launch --processes 2 train ppo CartPole-v1"
        );
    }
    let store = TcpStore::serve(args.port, Duration::from_secs(60))?;
    let program = std::env::current_exe().context("the path of this program is not known")?;
    let launch = Launch {
        arguments: args.command.iter().map(OsString::from).collect(),
        max_restarts: args.max_restarts,
        bare_output: args.command.iter().any(|word| word == "--json"),
        run_id: format!("launch-{}", std::process::id()),
        ..Launch::new(program, args.processes, store.port())
    };
    let signals = SignalInbox::new();
    let told = signals.clone();
    ctrlc::set_handler(move || {
        told.notify();
    })
    .context("signals cannot be caught")?;
    let end = launch.run(&signals)?;
    if let Some(failure) = end.failure {
        tell(format_args!("error: {failure}"));
    }
    Ok(ExitCode::from(end.code))
}
