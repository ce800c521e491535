//! `pavlov check`: checks the laws on an environment.

use std::process::ExitCode;

use anyhow::{Context, Result};
use pavlov_envs::{EnvOptions, laws};
use serde_json::json;

use super::args::CheckArgs;
use super::say::say;
use crate::config::{Registries, parse_option};

pub(super) fn check(registries: &Registries, args: &CheckArgs) -> Result<ExitCode> {
    let spec = registries.envs.spec(&args.environment)?;
    let table = args.options.iter().map(|option| parse_option(option)).collect::<Result<_, _>>()?;
    let options = EnvOptions::new(table);
    let env = spec.make(&options).with_context(|| format!("{} cannot be made", spec.id))?;
    let pictures = env.observation_space().pictures();
    drop(env);
    let breaches = laws::check(&|| spec.make(&options));
    if args.json {
        let breaches: Vec<_> = breaches
            .iter()
            .map(|breach| json!({ "law": breach.law, "explanation": breach.explanation }))
            .collect();
        say!("{}", json!({ "environment": spec.id, "breaches": breaches, "pictures": pictures }));
        return Ok(exit_code(breaches.is_empty()));
    }
    pictures.iter().for_each(|picture| say!("{}: {picture}", spec.id));
    if breaches.is_empty() {
        say!("{} keeps every law", spec.id);
    } else {
        say!("{} breaks {} of the laws:", spec.id, breaches.len());
        breaches.iter().for_each(|breach| say!("- {}: {}", breach.law, breach.explanation));
    }
    Ok(exit_code(breaches.is_empty()))
}

fn exit_code(keeps_all: bool) -> ExitCode {
    if keeps_all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
