//! Tuned hyper-parameters for an agent on an environment, embedded in the binary.

use toml::Table;

/// Agent, environment and the preset: the fields of a configuration that differ from the agent's defaults.
const PRESETS: &[(&str, &str, &str)] = &[
    ("a2c", "CartPole-v1", include_str!("../presets/a2c/CartPole-v1.toml")),
    ("ddpg", "Pendulum-v1", include_str!("../presets/ddpg/Pendulum-v1.toml")),
    ("dqn", "Acrobot-v1", include_str!("../presets/dqn/Acrobot-v1.toml")),
    ("dqn", "CartPole-v0", include_str!("../presets/dqn/CartPole-v0.toml")),
    ("dqn", "CartPole-v1", include_str!("../presets/dqn/CartPole-v1.toml")),
    ("dqn", "LunarLander-v3", include_str!("../presets/dqn/LunarLander-v3.toml")),
    ("dqn", "MountainCar-v0", include_str!("../presets/dqn/MountainCar-v0.toml")),
    ("ppo", "CartPoleNoVel-v1", include_str!("../presets/ppo/CartPoleNoVel-v1.toml")),
    ("ppo", "CartPole-v1", include_str!("../presets/ppo/CartPole-v1.toml")),
    ("ppo", "LunarLander-v3", include_str!("../presets/ppo/LunarLander-v3.toml")),
    ("ppo", "Pendulum-v1", include_str!("../presets/ppo/Pendulum-v1.toml")),
    ("reinforce", "CartPole-v1", include_str!("../presets/reinforce/CartPole-v1.toml")),
    ("sac", "Pendulum-v1", include_str!("../presets/sac/Pendulum-v1.toml")),
    ("td3", "Pendulum-v1", include_str!("../presets/td3/Pendulum-v1.toml")),
];

/// The preset for this pair, if there is one.
pub fn preset(agent: &str, environment: &str) -> Option<Table> {
    let (_, _, text) = PRESETS.iter().find(|(a, e, _)| (*a, *e) == (agent, environment))?;
    text.parse().ok()
}

/// All pairs that have a preset.
pub fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    PRESETS.iter().map(|(agent, environment, _)| (*agent, *environment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_toml() {
        for (agent, environment) in pairs() {
            assert!(preset(agent, environment).is_some(), "{agent} {environment}");
        }
    }
}
