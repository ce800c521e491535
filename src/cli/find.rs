//! `pavlov fit --find-learning-rate`: searches for a learning rate and draws what it saw.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::args::FitArgs;
use super::say::say;
use super::train::say as tell;
use crate::config::{FitConfig, Registries};
use crate::files::write_whole;
use crate::fitting::{FoundRates, RateFinder, RateSearch};
use crate::plot::draw_rates;
use crate::run::Settings;

pub(super) fn find(
    registries: &Registries,
    config: FitConfig,
    range: &str,
    args: &FitArgs,
) -> Result<ExitCode> {
    let search = search(range, args.updates)?;
    let folder = args.run_dir.as_deref().unwrap_or(Path::new(""));
    let (drawing, table) = (folder.join("learning-rate.svg"), folder.join("learning-rate.csv"));
    check_place(folder, &table)?;
    let title = config.origin().to_string();
    let RateSearch { from, to, updates } = search;
    let finder = RateFinder::new(config, registries, search)?;
    tell(&args.output, &format!("{title}: {updates} updates with learning rates from {from:e} to {to:e}"));
    let found = finder.run()?;
    write_whole(&table, found.to_csv())?;
    let marks = [("steepest fall", found.steepest), ("a tenth of the lowest", found.tenth_of_lowest)];
    let marks: Vec<_> = marks.into_iter().filter_map(|(name, rate)| Some((name, rate?))).collect();
    draw_rates(&found.points, &marks, &title, &drawing)?;
    if args.output.json {
        let FoundRates { points, steepest, tenth_of_lowest } = &found;
        let summary = serde_json::json!({
            "steepest": steepest,
            "tenth_of_lowest": tenth_of_lowest,
            "updates": points.len(),
            "points": points,
            "drawing": drawing,
            "table": table,
        });
        say!("{summary}");
        return Ok(ExitCode::SUCCESS);
    }
    let made = found.points.len();
    let last = found.points.last().map_or(from, |point| point.rate);
    if (made as u64) < updates {
        tell(&args.output, &format!("the loss broke after {made} updates, at a learning rate of {last:.1e}"));
    }
    match (found.steepest, found.tenth_of_lowest) {
        (Some(steepest), Some(tenth)) => {
            say!("{steepest:.1e}  where the loss falls fastest: --set learning.rate={steepest:.1e}");
            say!("{tenth:.1e}  a tenth of the rate with the lowest loss");
        }
        _ => say!("the loss never fell: no learning rate is suggested"),
    }
    tell(&args.output, &format!("wrote {} and {}", drawing.display(), table.display()));
    Ok(ExitCode::SUCCESS)
}

/// Finds out before the search whether what it sees can be written, and keeps out of a run's folder.
fn check_place(folder: &Path, table: &Path) -> Result<()> {
    if !folder.as_os_str().is_empty() {
        fs::create_dir_all(folder).with_context(|| format!("--run-dir {}", folder.display()))?;
    }
    if folder.join("config.toml").exists() {
        bail!("--run-dir {} is a run's folder: give another place for the search", folder.display());
    }
    let beside = table.with_extension("csv.part");
    fs::write(&beside, "")
        .and_then(|()| fs::remove_file(&beside))
        .with_context(|| format!("{} cannot be written: give another --run-dir", table.display()))
}

/// The search of these arguments.
fn search(range: &str, updates: Option<u64>) -> Result<RateSearch> {
    let rates = range.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    let Some((from, to)) = rates else {
        bail!("--find-learning-rate={range}: give two rates, 1e-7..10");
    };
    Ok(RateSearch { from, to, updates: updates.unwrap_or(RateSearch::default().updates) })
}
