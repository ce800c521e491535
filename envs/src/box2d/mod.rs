//! Worlds of rigid bodies, after Gymnasium's `box2d`.

mod lunar_lander;
#[cfg(test)]
mod parity;

pub use lunar_lander::{LunarLander, LunarLanderOptions};

use crate::{BoxSpace, Dtype, Env, EnvSpec, Space};

/// A box of one dimension with these bounds, which are known to be right.
fn bounded(low: &[f32], high: &[f32]) -> Space {
    Space::Box(BoxSpace { low: low.to_vec(), high: high.to_vec(), shape: vec![low.len()], dtype: Dtype::F32 })
}

/// The environments of this family, as they are registered.
pub(crate) fn specs() -> Vec<EnvSpec> {
    vec![lunar_lander("LunarLander-v3", false), lunar_lander("LunarLanderContinuous-v3", true)]
}

fn lunar_lander(id: &str, continuous: bool) -> EnvSpec {
    EnvSpec::new(id, move |options| {
        let default = LunarLanderOptions::default();
        let lander = LunarLander::new(LunarLanderOptions {
            continuous: options.flag("continuous", continuous)?,
            gravity: options.number("gravity", default.gravity)?,
            enable_wind: options.flag("enable_wind", default.enable_wind)?,
            wind_power: options.number("wind_power", default.wind_power)?,
            turbulence_power: options.number("turbulence_power", default.turbulence_power)?,
        })?;
        Ok(Box::new(lander) as Box<dyn Env>)
    })
    .summary("Bring a rocket down softly on its pad, with little fuel (Gymnasium's box2d)")
    .options(&["continuous", "gravity", "enable_wind", "wind_power", "turbulence_power"])
    .max_episode_steps(1000)
    .reward_threshold(200.0)
}
