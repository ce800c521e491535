//! Worlds of rigid bodies, after Gymnasium's `box2d`.

mod bipedal_walker;
#[cfg(test)]
mod heuristics;
mod lunar_lander;
#[cfg(test)]
mod parity;
mod picture;
mod terrain;

pub use bipedal_walker::BipedalWalker;
pub use lunar_lander::{LunarLander, LunarLanderOptions};

use rand::RngExt;

use crate::{BoxSpace, Dtype, Env, EnvSpec, SeededRng, Space};

/// A box of one dimension with these bounds, which must be valid.
fn bounded(low: &[f32], high: &[f32]) -> Space {
    Space::Box(BoxSpace::of(low.to_vec(), high.to_vec(), &[low.len()], Dtype::F32))
}

/// A whole number of `low..high`, drawn uniformly.
fn integer(rng: &mut SeededRng, low: i64, high: i64) -> i64 {
    low + (rng.random::<f64>() * (high - low) as f64) as i64
}

/// The environments of this family, as they are registered.
pub(crate) fn specs() -> Vec<EnvSpec> {
    vec![
        lunar_lander("LunarLander-v3", false),
        lunar_lander("LunarLanderContinuous-v3", true),
        bipedal_walker("BipedalWalker-v3", false, 1600),
        bipedal_walker("BipedalWalkerHardcore-v3", true, 2000),
    ]
}

fn bipedal_walker(id: &str, hardcore: bool, steps: u32) -> EnvSpec {
    EnvSpec::new(id, move |options| {
        Ok(Box::new(BipedalWalker::new(options.flag("hardcore", hardcore)?)?) as Box<dyn Env>)
    })
    .summary("Walk across rough ground on two legs with four motors (Gymnasium's box2d)")
    .reward("300 for the whole way, little less for torque, -100 for a fall")
    .options(&["hardcore"])
    .max_episode_steps(steps)
    .reward_threshold(300.0)
    .loose_bounds()
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
    .reward("for coming nearer, slower and upright, 100 at rest, -100 for a crash, less for fuel")
    .options(&["continuous", "gravity", "enable_wind", "wind_power", "turbulence_power"])
    .max_episode_steps(1000)
    .reward_threshold(200.0)
    .loose_bounds()
}
