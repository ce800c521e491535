//! Films: the pictures of episodes, one after the other.

use std::ops::ControlFlow;

use anyhow::{Context, Result, bail};
use pavlov_agents::{ActMode, Policy};
use pavlov_common::{SeededRng, derive_seed};
use pavlov_envs::render::{Frame, Picture};
use pavlov_envs::{ActionBatch, EnvFactory, ObsBatch};

use super::camera::Roll;
use super::gif::encode_gif;

/// The steps after which an episode is cut off, in a film as in an evaluation, since a policy may never end it
/// in a world without a limit. Half an hour of a game of 60 frames a second, four to a step.
pub const MOST_STEPS: u64 = 27_000;

/// An episode that was played to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Played {
    /// The sum of its raw rewards.
    pub episode_return: f64,
    /// Steps of the agent.
    pub steps: u64,
    /// Steps of the world, of which wrappers may make several for one of the agent.
    pub world_steps: u64,
    /// True if it was cut off after [`MOST_STEPS`].
    pub is_cut_off: bool,
}

/// The state after a step of the world, or at the start of an episode, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// The picture of the world.
    pub picture: Picture,
    /// The episode's number, from 0.
    pub episode: usize,
    /// Steps of the world in the episode so far.
    pub step: u64,
    /// The sum of its raw rewards so far.
    pub episode_return: f64,
    /// True if the episode is over.
    pub over: bool,
}

/// Plays `episodes` whole episodes, of [`MOST_STEPS`] at most, and shows every moment to `watch`, those within a step
/// of the agent for which a wrapper makes several of the world included. `watch` may break off. Returns the episodes that were played to their end.
///
/// # Errors
/// When the environment does not render, or it, the policy or `watch` fails.
pub fn play(
    policy: &mut dyn Policy,
    factory: &EnvFactory,
    episodes: usize,
    mode: ActMode,
    seed: u64,
    watch: &mut dyn FnMut(&Moment) -> Result<ControlFlow<()>>,
) -> Result<Vec<Played>> {
    let roll = Roll::default();
    let mut env = factory.make_around(|world| roll.watch(world))?;
    let mut observation = ObsBatch::new(env.observation_space(), 1);
    let mut action = ActionBatch::new(env.action_space(), 1)?;
    let mut rng = SeededRng::seeded(derive_seed(seed, "play", 0));
    let mut played = Vec::new();
    for episode in 0..episodes {
        let named = || format!("episode {episode}");
        env.reset(Some(derive_seed(seed, "play env", episode as u64)), observation.row_mut(0))
            .with_context(named)?;
        policy.forget(0);
        // Steps that wrappers made before the episode are no part of it.
        roll.take();
        let (mut steps, mut step, mut episode_return, mut over, mut is_cut_off) = (0, 0, 0.0, false, false);
        loop {
            let Some(picture) = env.render() else {
                bail!("{} has nothing to show: it does not render", factory.spec().id);
            };
            if watch(&Moment { picture, episode, step, episode_return, over })?.is_break() {
                return Ok(played);
            }
            if over {
                break;
            }
            policy.act(&observation, mode, &mut rng, &mut action)?;
            let taken = env.step(action.row(0), observation.row_mut(0)).with_context(named)?;
            let seen = roll.take();
            for (index, (picture, reward)) in seen.between.into_iter().enumerate() {
                let Some(picture) = picture else { continue };
                let (step, episode_return) = (step + 1 + index as u64, episode_return + reward);
                if watch(&Moment { picture, episode, step, episode_return, over: false })?.is_break() {
                    return Ok(played);
                }
            }
            steps += 1;
            step += seen.steps;
            episode_return += taken.raw_reward;
            is_cut_off = steps >= MOST_STEPS && !taken.raw_end.is_over();
            over = taken.raw_end.is_over() || is_cut_off;
            if taken.end.is_over() && !over {
                env.reset(None, observation.row_mut(0)).with_context(named)?;
                policy.forget(0);
                roll.take();
            }
        }
        played.push(Played { episode_return, steps, world_steps: step, is_cut_off });
    }
    Ok(played)
}

/// Checks that the environments render.
///
/// # Errors
/// When they do not, or cannot be made.
pub fn check(factory: &EnvFactory) -> Result<()> {
    let mut env = factory.make()?;
    let mut observation = ObsBatch::new(env.observation_space(), 1);
    env.reset(Some(0), observation.row_mut(0))?;
    if env.render().is_none() {
        bail!("{} has nothing to show: it does not render", factory.spec().id);
    }
    Ok(())
}

/// Frames of one size, in the order in which they are shown.
#[derive(Clone, Debug, Default)]
pub struct Film {
    frames: Vec<Frame>,
    largest: Option<(usize, usize)>,
}

/// The longer side of a film in a run's log, in pixels.
const LOGGED_SIDE: usize = 160;
/// The most frames of a film in a run's log.
const LOGGED_FRAMES: usize = 400;
const LOGGED_FRAMES_PER_SECOND: f64 = 25.0;

impl Film {
    /// A small film of one greedy episode, or of its beginning.
    ///
    /// # Errors
    /// As [`play`].
    pub fn of_one_episode(policy: &mut dyn Policy, factory: &EnvFactory, seed: u64) -> Result<Self> {
        let mut film = Self::within(LOGGED_SIDE, LOGGED_SIDE);
        play(policy, factory, 1, ActMode::Exploit, seed, &mut |moment| {
            film.add(moment.picture.clone())?;
            let full = film.frames.len() >= LOGGED_FRAMES;
            Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(film)
    }

    /// The film as a GIF, and its width and height in pixels.
    ///
    /// # Errors
    /// When it has no frame.
    pub fn encode(&self) -> Result<(Vec<u8>, (usize, usize))> {
        let size = self.frames.first().map_or((0, 0), |frame| (frame.width, frame.height));
        Ok((encode_gif(&self.frames, LOGGED_FRAMES_PER_SECOND)?, size))
    }

    /// A film whose frames are made smaller until they fit into `width` x `height` pixels.
    pub fn within(width: usize, height: usize) -> Self {
        Self { frames: Vec::new(), largest: Some((width, height)) }
    }

    /// The frames.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Adds a picture. All frames have the size of the first; text that grows or shrinks is cut or padded.
    ///
    /// # Errors
    /// When the film's size is 0.
    pub fn add(&mut self, picture: Picture) -> Result<()> {
        let mut frame = picture.into_frame();
        if let Some((width, height)) = self.largest {
            frame = frame.fitted(width, height)?;
        }
        if let Some(first) = self.frames.first()
            && (first.width, first.height) != (frame.width, frame.height)
        {
            frame = placed(&frame, first.width, first.height);
        }
        self.frames.push(frame);
        Ok(())
    }
}

/// The upper left part of `frame` with room for `width` x `height` pixels.
fn placed(frame: &Frame, width: usize, height: usize) -> Frame {
    let mut pixels = vec![0; width * height * 3];
    let line = frame.width.min(width) * 3;
    let rows = pixels.chunks_exact_mut(width * 3).zip(frame.pixels.chunks_exact(frame.width * 3));
    rows.for_each(|(new, old)| new[..line].copy_from_slice(&old[..line]));
    Frame { width, height, pixels }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_frames_of_a_film_have_one_size() {
        let mut film = Film::default();
        for text in ["abc\nd", "a", "abcdef\n\n\ng"] {
            film.add(Picture::Text(text.into())).unwrap();
        }
        let size = |frame: &Frame| (frame.width, frame.height, frame.pixels.len());
        assert!(film.frames().iter().all(|frame| size(frame) == size(&film.frames()[0])));
        let mut small = Film::within(10, 20);
        small.add(Picture::Text("abc".into())).unwrap();
        assert_eq!((small.frames()[0].width, small.frames()[0].height), (10, 5));
    }
}
