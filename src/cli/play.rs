//! `pavlov play`: shows episodes in the terminal, or writes them as a GIF.

use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use pavlov_agents::{ActMode, Policy, RandomPolicy};
use pavlov_envs::{EnvFactory, EnvOptions};

use super::args::PlayArgs;
use super::say::{say, warn_of, warn_of_cut_off};
use crate::config::{Registries, parse_option};
use crate::files::check_ending;
use crate::play::{Film, Moment, Played, draw, play, write_gif};
use crate::training::Trained;

/// The size that is assumed for a terminal which does not report one: rows and columns.
const TERMINAL: (u16, u16) = (24, 80);
/// The time for which the end of an episode is shown.
const PAUSE: Duration = Duration::from_millis(700);

pub(super) fn run(registries: &Registries, args: &PlayArgs) -> Result<ExitCode> {
    if args.episodes == 0 || args.width == 0 || args.fps.is_nan() || args.fps <= 0.0 {
        let PlayArgs { episodes, fps, width, .. } = args;
        bail!("--episodes {episodes} --fps {fps} --width {width}: give numbers above 0");
    }
    if let Some(path) = &args.gif {
        check_ending("--gif", path, "gif")?;
    }
    let Player { mut policy, factory, title } = player(registries, args)?;
    let mode = if args.stochastic { ActMode::Explore } else { ActMode::Exploit };
    let show = args.gif.is_none() && std::io::stdout().is_terminal();
    let mut film = Film::within(args.width.into(), args.width.into());
    let mut watch = |moment: &Moment| -> Result<ControlFlow<()>> {
        if args.gif.is_some() {
            film.add(moment.picture.clone())?;
            let full = args.max_frames.is_some_and(|most| film.frames().len() >= most);
            return Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
        }
        if show {
            let started = Instant::now();
            show_moment(moment, &title)?;
            let pause =
                Duration::from_secs_f64(1.0 / args.fps) + if moment.over { PAUSE } else { Duration::ZERO };
            std::thread::sleep(pause.saturating_sub(started.elapsed()));
        }
        Ok(ControlFlow::Continue(()))
    };
    if show {
        std::io::stdout().write_all(b"\x1b[2J")?;
    }
    let played = play(policy.as_mut(), &factory, args.episodes, mode, args.seed, &mut watch)?;
    if show {
        say!("");
    }
    warn_of(&factory);
    if let Some(path) = &args.gif {
        write_gif(path, film.frames(), args.fps)?;
        say!("{} frames of {title} in {}", film.frames().len(), path.display());
    }
    for (episode, Played { episode_return, steps, world_steps, .. }) in played.iter().enumerate() {
        let of_world = match steps == world_steps {
            true => String::new(),
            false => format!(" of the agent, {world_steps} of the world"),
        };
        say!("episode {episode}: return {episode_return:.2}, {steps} steps{of_world}");
    }
    warn_of_cut_off(played.iter().filter(|played| played.is_cut_off).count(), played.len());
    Ok(ExitCode::SUCCESS)
}

/// A policy, the environments that it plays, and the title of the two.
struct Player {
    policy: Box<dyn Policy>,
    factory: EnvFactory,
    title: String,
}

/// The player that the arguments ask for: a run's policy, or random actions on an environment.
fn player(registries: &Registries, args: &PlayArgs) -> Result<Player> {
    if Path::new(&args.what).is_dir() {
        if !args.options.is_empty() {
            bail!("--option is for an environment; a run has its own: leave it out");
        }
        let (folder, _) = super::trust::open(registries, Path::new(&args.what), &args.open)?;
        let device = args.open.device.as_deref();
        let Trained { policy, factory, config, .. } =
            Trained::open_on(&folder, registries, args.last, device)?;
        let title = format!("{} on {}", config.agent, config.environment);
        return Ok(Player { policy, factory, title });
    }
    if args.open.device.is_some() {
        bail!("--device is for a run's networks, and {} is an environment: leave it out", args.what);
    }
    let table = args.options.iter().map(|option| parse_option(option)).collect::<Result<_, _>>()?;
    let factory = EnvFactory::new(registries.envs.spec(&args.what)?, EnvOptions::new(table), &[])?;
    let env = factory.make()?;
    let policy = Box::new(RandomPolicy::new(env.observation_space(), env.action_space()));
    Ok(Player { policy, factory, title: format!("random actions on {}", args.what) })
}

fn show_moment(moment: &Moment, title: &str) -> Result<()> {
    let (rows, columns) = console::Term::stdout().size_checked().unwrap_or(TERMINAL);
    let Moment { episode, step, episode_return, .. } = moment;
    let caption = format!("{title}: episode {episode}, step {step}, return {episode_return:.2}");
    let text = draw(&moment.picture, &caption, columns.into(), rows.into())?;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
