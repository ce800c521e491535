//! Wrappers: an environment within an environment.
//!
//! A wrapper of your own implements [`Wrapper`], which asks only for what it changes; [`Wrapped`] turns it
//! into an environment. The bundled wrappers are named by [`WrapperConfig`], which is how a configuration
//! lists them:
//!
//! ```
//! use pavlov_envs::Registry;
//! use pavlov_envs::wrappers::WrapperConfig;
//!
//! let env = Registry::bundled().make("CartPole-v1")?;
//! let env = WrapperConfig::FrameStack { frames: 4, key: None }.wrap(env)?;
//! assert_eq!(env.observation_space().to_string(), "Box(..., [4, 4], f32)");
//! # Ok::<(), pavlov_envs::EnvError>(())
//! ```

mod actions;
mod config;
mod declared;
mod effect;
mod episodic_life;
mod flatten;
mod frame_skip;
mod frame_stack;
mod leaf;
mod noop_start;
mod one_hot;
mod pictures;
mod render_pixels;
mod rewards;
mod select;
mod sticky_actions;
#[cfg(test)]
mod tests;
mod time_limit;
mod wrapped;

use crate::EnvError;

/// The most steps of the world for one action or before an episode.
const MOST_STEPS: u32 = 10_000;
/// The most frames of a stack.
const MOST_FRAMES: usize = 1_024;
/// The most pixels of a side of a picture.
const MOST_PIXELS: usize = 4_096;

/// Refuses steps of the world of which there are none, or so many that a call would not come back.
fn check_steps(setting: &str, steps: u32) -> Result<(), EnvError> {
    if (1..=MOST_STEPS).contains(&steps) {
        return Ok(());
    }
    Err(EnvError::Option(format!("{setting} is {steps}: give at least 1 and at most {MOST_STEPS}")))
}

/// Refuses a picture without pixels, or with a side that is too long.
fn check_size(wrapper: &str, (height, width): (usize, usize)) -> Result<(), EnvError> {
    if [height, width].iter().all(|side| (1..=MOST_PIXELS).contains(side)) {
        return Ok(());
    }
    Err(EnvError::Option(format!(
        "{wrapper}: a picture of {height} x {width} pixels: give each side at least 1 and at most {MOST_PIXELS}"
    )))
}

pub use config::WrapperConfig;
pub(crate) use effect::Effects;
pub use time_limit::TimeLimit;
pub use wrapped::{Wrapped, Wrapper};
