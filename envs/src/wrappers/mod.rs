//! Wrappers: environments around an environment.
//!
//! A wrapper is an [`Env`](crate::Env) that holds a `Box<dyn Env>`, hands its buffers on and changes what comes back.
//! Its saved state is its own fields together with the inner environment's state.

mod mask;
mod time_limit;

pub use mask::Mask;
pub use time_limit::TimeLimit;
