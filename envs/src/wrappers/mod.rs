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

pub use config::WrapperConfig;
pub(crate) use effect::Effects;
pub use time_limit::TimeLimit;
pub use wrapped::{Wrapped, Wrapper};
