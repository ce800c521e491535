//! `pavlov export`: a run's policy for other programs.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::args::ExportArgs;
use super::say::say;
use crate::config::{AnyConfig, Registries};
use crate::files::for_shell;

/// The most steps to compare with.
const MOST_STEPS: usize = 100_000;

pub(super) fn export(registries: &Registries, args: &ExportArgs) -> Result<ExitCode> {
    if !(1..=MOST_STEPS).contains(&args.steps) {
        bail!("--steps {}: give 1 to {MOST_STEPS}", args.steps);
    }
    let (folder, config) = super::trust::open(registries, &args.run, &args.open)?;
    if let AnyConfig::Fit(_) = config {
        bail!(
            "{} is the fit of a model, whose best/weights.safetensors PyTorch reads as they are: only the policy of an \
             agent is exported",
            args.run.display()
        );
    }
    let out = args.out.clone().unwrap_or_else(|| folder.path().join("export"));
    let device = args.open.device.as_deref();
    let exported = crate::training::export(&folder, registries, (args.last, device), &out, args.steps)?;
    say!("the policy of {} in {}:", exported.source.display(), out.display());
    say!("  policy.json          the observation, the network, the action");
    say!("  weights.safetensors  {} arrays, named as PyTorch names them", exported.arrays);
    say!("  check.safetensors    {} observations, and the actions that Pavlov chooses", exported.steps);
    // The checkout's script, if the checkout is still there; else it is named as it stands in one.
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/to-pytorch.py");
    let script = if script.is_file() { script } else { "scripts/to-pytorch.py".into() };
    say!("PyTorch:               python3 {} {}", for_shell(&script), for_shell(&out));
    Ok(ExitCode::SUCCESS)
}
