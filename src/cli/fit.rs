//! `pavlov fit` and `pavlov sample`, and `pavlov eval` of a fitted model.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use pavlov_tasks::{Picture, SampleRequest, Samples};

use super::args::{EvalArgs, FitArgs, SampleArgs, first_given};
use super::group::{self, Wish};
use super::say::say;
use super::train::{config_file, finish, join, say as tell, shown};
use crate::config::{AnyConfig, FitConfig, Overrides, PretrainedConfig, Registries};
use crate::distributed::Member;
use crate::files::{check_ending, write_whole};
use crate::fitting::{Fit, Fitted, png};
use crate::run::{RunFolder, Session, Settings};

/// `--data` as a setting.
fn data_path(path: &Path) -> String {
    format!("data.path={}", toml::Value::from(path.to_string_lossy().into_owned()))
}

/// `--device` as a setting.
fn device_set(device: &str) -> String {
    format!("device={}", toml::Value::from(device))
}

/// The configuration that the arguments ask for.
fn resolve(registries: &Registries, args: &FitArgs, member: Option<&Member>) -> Result<FitConfig> {
    let flags = [
        args.data.as_ref().map(|path| data_path(path)),
        args.epochs.map(|epochs| format!("epochs={epochs}")),
        // A file's number of updates would count instead.
        args.epochs.map(|_| "updates=0".to_string()),
        args.updates.map(|updates| format!("updates={updates}")),
        args.seed.map(|seed| format!("seed={seed}")),
        args.device.as_ref().map(|device| format!("device={device}")),
    ];
    let from = args.from.iter().flat_map(|run| PretrainedConfig::from_run(run));
    let sets = flags.into_iter().flatten().chain(from).chain(args.sets.iter().cloned()).collect();
    let file = config_file(args.config.as_deref())?;
    let mut overrides = Overrides { file, sets };
    group::add_usual_shards(member, &mut overrides)?;
    Ok(FitConfig::resolve(registries, &args.task, &args.dataset, &overrides)?)
}

pub(super) fn fit(registries: &Registries, args: &FitArgs) -> Result<ExitCode> {
    let member = join()?;
    let config = match resolve(registries, args, member.as_ref()) {
        Ok(config) => config,
        Err(error) => return group::give_up(member.as_ref(), error, false),
    };
    if args.print_config {
        say!("{}", config.to_toml()?.trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let config = config.anchored()?;
    if let Some(range) = &args.find_learning_rate {
        if member.is_some() {
            let error = anyhow!("--find-learning-rate searches in one process: start it without a launcher");
            return group::give_up(member.as_ref(), error, false);
        }
        return super::find::find(registries, config, range, args);
    }
    if group::is_group(member.as_ref(), config.shards) || args.goes_on {
        let config = AnyConfig::Fit(Box::new(config));
        let wish = Wish::New { config, run_dir: args.run_dir.clone(), goes_on: args.goes_on };
        return group::run(registries, member, wish, &args.output);
    }
    // Damaged data, or a task that cannot learn from it, must not leave a folder behind.
    let mut job = Fit::new(config.clone(), registries)?;
    let pretrained = job.load_pretrained()?;
    let folder = RunFolder::create(args.run_dir.as_deref(), &config)?;
    let splits = job.data().splits();
    let (train, validation, test) = (splits.train.len(), splits.validation.len(), splits.test.len());
    tell(
        &args.output,
        &format!(
            "fitting {} to {} in {}: {train} samples to train on, {validation} to validate with, {test} to test \
             with",
            config.task,
            config.data.name,
            shown(folder.path())
        ),
    );
    if let Some(told) = pretrained {
        tell(&args.output, &told);
    }
    finish(Session::start(job, folder)?, registries, &args.output)
}

pub(super) fn eval(registries: &Registries, folder: &RunFolder, args: &EvalArgs) -> Result<ExitCode> {
    if args.samples_of.is_some() && (args.data.is_some() || !args.sets.is_empty()) {
        bail!("--samples-of measures on pictures that are made: leave --data and --set out");
    }
    let without_effect = [
        ("--episodes is", args.episodes.is_some()),
        ("--stochastic is", args.stochastic),
        ("--envs is", args.envs.is_some()),
        ("--seed without --samples-of is", args.seed.is_some() && args.samples_of.is_none()),
    ];
    if let Some(what) = first_given(&without_effect) {
        bail!("{what} for the training of an agent, and {} is the fit of a model", args.run.display());
    }
    let count = args.count.unwrap_or(1000);
    check_count(count)?;
    let path = args.data.as_ref().map(|path| data_path(path));
    let device = args.open.device.as_deref();
    let sets: Vec<_> =
        path.into_iter().chain(args.sets.iter().cloned()).chain(device.map(device_set)).collect();
    let mut fitted = Fitted::open_on(folder, registries, args.last, &sets)?;
    let (part, of, count, measured) = match &args.samples_of {
        None => {
            let (part, count, measured) = fitted.test()?;
            (part, fitted.config.data.name.clone(), count, measured)
        }
        Some(run) => {
            let (made_by, _) = super::trust::open(registries, run, &args.open)?;
            let sets = Vec::from_iter(device.map(device_set));
            let mut maker = Fitted::open_on(&made_by, registries, false, &sets)?;
            let request = SampleRequest { count, seed: args.seed.unwrap_or(0), ..SampleRequest::default() };
            let measured = fitted.judge(&mut maker, &request)?;
            ("made", run.display().to_string(), count, measured)
        }
    };
    if let Some(folder) = &args.pictures {
        std::fs::create_dir_all(folder).with_context(|| format!("--pictures {}", folder.display()))?;
        for (name, picture) in &measured.pictures {
            write_png(picture, &folder.join(format!("{name}.png")))?;
        }
    }
    if args.json {
        let summary = serde_json::json!({
            "run": folder.path(),
            "weights": fitted.source,
            "part": part,
            "samples": count,
            "metrics": measured.metrics,
        });
        say!("{summary}");
        return Ok(ExitCode::SUCCESS);
    }
    let (task, source) = (&fitted.config.task, fitted.source.display());
    say!("{task} on {count} {part} samples of {of} with {source}");
    for (name, value) in &measured.metrics {
        say!("{name:<20} {value:.5}");
    }
    Ok(ExitCode::SUCCESS)
}

/// The most samples of one command: they are made together, in memory.
const MOST_SAMPLES: usize = 10_000;
/// The most tokens of a text.
const MOST_TOKENS: usize = 100_000;

fn check_count(count: usize) -> Result<()> {
    if !(1..=MOST_SAMPLES).contains(&count) {
        bail!("--count {count}: give 1 to {MOST_SAMPLES}");
    }
    Ok(())
}

pub(super) fn sample(registries: &Registries, args: &SampleArgs) -> Result<ExitCode> {
    check_count(args.count)?;
    if let Some(length) = args.length.filter(|length| *length > MOST_TOKENS) {
        bail!("--length {length}: give at most {MOST_TOKENS}");
    }
    if let Some(temperature) = args.temperature.filter(|given| !(*given > 0.0 && given.is_finite())) {
        bail!("--temperature {temperature}: give a number above 0");
    }
    let (folder, _) = super::trust::open(registries, &args.run, &args.open)?;
    let sets = Vec::from_iter(args.open.device.as_deref().map(device_set));
    let mut fitted = Fitted::open_on(&folder, registries, args.last, &sets)?;
    let SampleArgs { count, seed, class, .. } = *args;
    let usual = SampleRequest::default();
    let request = SampleRequest {
        count,
        seed,
        class,
        temperature: args.temperature.unwrap_or(usual.temperature),
        prompt: args.prompt.clone().unwrap_or(usual.prompt),
        length: args.length.unwrap_or(usual.length),
    };
    let samples = fitted.task.samples(&request)?;
    let of_texts = [
        ("--temperature", args.temperature.is_some()),
        ("--prompt", args.prompt.is_some()),
        ("--length", args.length.is_some()),
    ];
    let (kind, others): (_, &[_]) = match &samples {
        Samples::Pictures(_) => ("pictures", &of_texts),
        Samples::Texts(_) => ("texts", &[("--class", class.is_some()), ("--out", args.out.is_some())]),
    };
    if let Some(flag) = first_given(others) {
        bail!("{flag} does nothing here: the samples of {} are {kind}", args.run.display());
    }
    match samples {
        Samples::Pictures(pictures) => write(&pictures.sheet(), args)?,
        Samples::Texts(texts) if args.json => {
            say!("{}", serde_json::json!({ "run": folder.path(), "weights": fitted.source, "texts": texts }));
        }
        Samples::Texts(texts) => texts.iter().for_each(|text| say!("{text}\n")),
    }
    Ok(ExitCode::SUCCESS)
}

fn write(picture: &Picture, args: &SampleArgs) -> Result<()> {
    let out = args.out.as_deref().unwrap_or(Path::new("samples.png"));
    check_ending("--out", out, "png")?;
    write_png(picture, out)?;
    if args.json {
        say!("{}", serde_json::json!({ "picture": out, "samples": args.count }));
    } else {
        say!("{} samples in {}", args.count, out.display());
    }
    Ok(())
}

fn write_png(picture: &Picture, path: &Path) -> Result<()> {
    write_whole(path, png(picture)?)
}
