//! `pavlov plot`: draws learning curves.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::args::PlotArgs;
use crate::config::Registries;
use crate::plot;
use crate::run::RunFolder;

pub(super) fn plot(registries: &Registries, args: &PlotArgs) -> Result<ExitCode> {
    if args.out.extension().is_none_or(|extension| extension != "svg") {
        bail!("--out {}: the picture is an SVG, give a name that ends in .svg", args.out.display());
    }
    let mut curves = Vec::new();
    let mut titles: Vec<String> = Vec::new();
    for run in &args.runs {
        curves.push(plot::read(run, &args.tag)?);
        let config = RunFolder::open(run)?.config(registries)?;
        let title = format!("{} on {}", config.agent, config.environment);
        if !titles.contains(&title) {
            titles.push(title);
        }
    }
    plot::draw(&curves, &titles.join(", "), &args.tag, &args.out)?;
    eprintln!("wrote {}", args.out.display());
    if let Some(path) = &args.csv {
        fs::write(path, plot::to_csv(&curves))
            .with_context(|| format!("{} cannot be written", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
