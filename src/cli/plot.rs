//! `pavlov plot`: draws learning curves.

use std::process::ExitCode;

use anyhow::Result;

use super::args::PlotArgs;
use crate::config::{AnyConfig, Registries};
use crate::files::{check_ending, write_whole};
use crate::plot;
use crate::run::{RunFolder, Settings};
use crate::tell::tell;

pub(super) fn plot(registries: &Registries, args: &PlotArgs) -> Result<ExitCode> {
    check_ending("--out", &args.out, "svg")?;
    if let Some(path) = &args.csv {
        check_ending("--csv", path, "csv")?;
    }
    let configs = args.runs.iter().map(|run| RunFolder::open(run)?.any_config(registries));
    let configs = configs.collect::<Result<Vec<_>>>()?;
    let default = match configs.iter().all(|config| matches!(config, AnyConfig::Fit(_))) {
        true => "train/loss",
        false => "eval/mean_reward",
    };
    let tag = args.tag.as_deref().unwrap_or(default);
    let mut runs = Vec::new();
    let mut titles: Vec<String> = Vec::new();
    for (run, config) in args.runs.iter().zip(configs) {
        let title = config.origin().to_string();
        if !titles.contains(&title) {
            titles.push(title);
        }
        runs.push((config, plot::read(run, tag)?));
    }
    let groups = plot::group(runs);
    plot::draw(&groups, &titles.join(", "), tag, &args.out)?;
    tell(format_args!("wrote {}", args.out.display()));
    if let Some(path) = &args.csv {
        write_whole(path, plot::to_csv(&groups))?;
        tell(format_args!("wrote {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}
