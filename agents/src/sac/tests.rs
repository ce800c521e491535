//! SAC's configuration; its mathematics is tested beside it, its learning on the probes.

use pavlov_envs::Space;
use tch::Device;

use super::{SacConfig, Temperature};
use crate::agent::{AgentConfig, AgentContext};
use crate::networks::NetworkRegistry;

#[test]
fn a_temperature_is_a_number_or_a_word() {
    for (text, temperature) in [
        ("temperature = \"auto\"", Temperature::Trained),
        ("temperature = 0.2", Temperature::Fixed(0.2)),
        ("temperature = 0", Temperature::Fixed(0.0)),
    ] {
        let config: SacConfig = toml::from_str(text).unwrap();
        assert_eq!(config.temperature, temperature);
        let written = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<SacConfig>(&written).unwrap(), config);
    }
    let message = toml::from_str::<SacConfig>("temperature = \"warm\"").unwrap_err().to_string();
    assert!(message.contains("auto"), "{message}");
}

#[test]
fn nonsense_is_refused_by_name() {
    for (config, name) in [
        (SacConfig { temperature: Temperature::Fixed(-1.0), ..SacConfig::default() }, "temperature"),
        (SacConfig { temperature_start: 0.0, ..SacConfig::default() }, "temperature_start"),
        (SacConfig { target_entropy: Some(f64::NAN), ..SacConfig::default() }, "target_entropy"),
        (SacConfig { target_update_every_updates: 0, ..SacConfig::default() }, "target_update_every_updates"),
        (SacConfig { train_every_env_steps: 0, ..SacConfig::default() }, "train_every_env_steps"),
    ] {
        let message = config.validate().unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn actions_without_bounds_are_refused() {
    let context = AgentContext {
        observation_space: Space::unbounded(&[2]),
        action_space: Space::unbounded(&[2]),
        num_envs: 1,
        total_env_steps: 10,
        seed: 0,
        device: Device::Cpu,
        networks: NetworkRegistry::new(),
        group: pavlov_group::Group::alone(),
    };
    let message = SacConfig::default().build(&context).map(drop).unwrap_err().to_string();
    assert!(message.contains("sac needs actions with finite bounds"), "{message}");
}
