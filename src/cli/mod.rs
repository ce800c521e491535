//! The command line: one file per command or group of commands.

mod args;
mod check;
mod eval;
mod export;
mod find;
mod fit;
mod group;
mod launch;
mod list;
mod new;
mod play;
mod plot;
mod runs;
mod say;
mod settings;
mod table;
mod train;
mod trust;

use std::process::ExitCode;

use clap::Parser;
use pavlov_group::{GroupError, NOT_AGAIN};

use crate::config::Registries;
use crate::tell::tell;
use args::{Arguments, Command};

/// Runs the command line for these registries. A program with environments or agents of its own calls this
/// from its `main` and has every command of `pavlov` for them.
pub fn main(registries: &Registries) -> ExitCode {
    let arguments = Arguments::parse();
    // A process that `pavlov launch` has started does not outlive it.
    if let Err(error) = pavlov_group::end_with_parent(|| pavlov_nn::leave(1)) {
        tell(format_args!("error: {error}"));
        return ExitCode::FAILURE;
    }
    let result = match &arguments.command {
        Command::Train(args) => train::train(registries, args),
        Command::Fit(args) => fit::fit(registries, args),
        Command::Resume(args) => train::resume(registries, args),
        Command::Launch(args) => launch::launch(args),
        Command::Eval(args) => eval::eval(registries, args),
        Command::Export(args) => export::export(registries, args),
        Command::Sample(args) => fit::sample(registries, args),
        Command::Play(args) => play::run(registries, args),
        Command::Envs(args) => list::envs(registries, args),
        Command::Check(args) => check::check(registries, args),
        Command::Agents(args) => list::agents(registries, args),
        Command::Tasks(args) => list::tasks(registries, args),
        Command::Datasets(args) => list::datasets(registries, args),
        Command::Config(args) => list::config(registries, args),
        Command::Runs(args) => runs::runs(registries, args),
        Command::Plot(args) => plot::plot(registries, args),
        Command::New(args) => new::new(args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            tell(format_args!("error: {}", message(&error)));
            match error.downcast_ref::<GroupError>() {
                // A launcher need not try again.
                Some(GroupError::Place(_)) => ExitCode::from(NOT_AGAIN),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// The error and its causes, each once.
fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            let separator = if text.is_empty() { "" } else { ": " };
            text.push_str(separator);
            text.push_str(&cause);
        }
    }
    text
}
