//! Classic control, after Gymnasium's `classic_control`.

mod cartpole;
#[cfg(test)]
mod parity;

pub use cartpole::CartPole;

use crate::{Env, EnvSpec};

/// The environments of this family, as they are registered.
pub(crate) fn specs() -> Vec<EnvSpec> {
    let cartpole = |id: &str, steps, threshold| {
        EnvSpec::new(id, |options| {
            Ok(Box::new(CartPole::new(options.flag("sutton_barto_reward", false)?)) as Box<dyn Env>)
        })
        .summary("Balance a pole on a cart by pushing the cart left or right (Gymnasium's classic control)")
        .options(&["sutton_barto_reward"])
        .max_episode_steps(steps)
        .reward_threshold(threshold)
    };
    vec![cartpole("CartPole-v0", 200, 195.0), cartpole("CartPole-v1", 500, 475.0)]
}
