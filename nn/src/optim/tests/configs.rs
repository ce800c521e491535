//! Configurations: files and nonsense.

use super::*;
use crate::optim::{AdamConfig, AdamwConfig, RmspropConfig, SgdConfig};

fn all() -> [OptimizerConfig; 5] {
    [
        OptimizerConfig::Adam(AdamConfig::default()),
        OptimizerConfig::Adamw(AdamwConfig::default()),
        OptimizerConfig::Rmsprop(RmspropConfig::default()),
        OptimizerConfig::Rmsprop(RmspropConfig::tensorflow()),
        OptimizerConfig::Sgd(SgdConfig::default()),
    ]
}

#[test]
fn a_file_holds_every_field_and_gives_the_same_back() {
    let adam = toml::to_string(&OptimizerConfig::default()).unwrap();
    let lines = [
        "kind = \"adam\"",
        "beta1 = 0.9",
        "beta2 = 0.999",
        "eps = 0.00000001",
        "weight_decay_l2 = 0.0",
        "weight_decay_decoupled = 0.0",
        "weight_decay_l1 = 0.0",
        "groups = []",
    ];
    assert_eq!(adam.lines().collect::<Vec<_>>(), lines);
    for config in all() {
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<OptimizerConfig>(&text).unwrap(), config, "{text}");
        assert!(text.starts_with(&format!("kind = \"{}\"", config.kind())), "{text}");
    }
    for case in Fixtures::read().cases {
        let text = toml::to_string(&case.config).unwrap();
        assert_eq!(toml::from_str::<OptimizerConfig>(&text).unwrap(), case.config, "{text}");
        case.config.validate().unwrap();
    }
}

#[test]
fn what_is_left_out_takes_the_default_and_what_is_unknown_is_refused() {
    let config: OptimizerConfig = toml::from_str("kind = 'adamw'\nweight_decay_l1 = 1").unwrap();
    let expected = AdamwConfig { weight_decay_l1: 1.0, ..AdamwConfig::default() };
    assert_eq!(expected.weight_decay_decoupled, 0.01);
    assert_eq!(config, OptimizerConfig::Adamw(expected));
    for (text, complaint) in [
        ("kind = 'sgd'\nbeta1 = 0.9", "unknown field `beta1`"),
        ("kind = 'adams'", "unknown variant `adams`, expected one of `adam`, `adamw`, `rmsprop`, `sgd`"),
        ("eps = 1e-5", "missing field `kind`"),
        ("kind = 'adam'\neps = 'small'", "invalid type: string"),
    ] {
        let error = toml::from_str::<OptimizerConfig>(text).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
    }
}

#[test]
fn nonsense_is_refused_by_name() {
    for config in all() {
        config.validate().unwrap();
        let table = toml::Table::try_from(config).unwrap();
        for (field, value) in &table {
            if !value.is_float() {
                continue;
            }
            for nonsense in [f64::NAN, -0.1, f64::INFINITY] {
                let mut table = table.clone();
                table.insert(field.clone(), nonsense.into());
                let error = table.try_into::<OptimizerConfig>().unwrap().validate().unwrap_err().to_string();
                assert!(error.starts_with(&format!("{field} is ")), "{field} = {nonsense}: {error}");
            }
        }
    }
    for (text, complaint) in [
        ("kind = 'adam'\nbeta1 = 1.0", "beta1 is 1"),
        ("kind = 'adamw'\nbeta2 = 1.0", "beta2 is 1"),
        ("kind = 'adam'\neps = 0.0", "eps is 0"),
        ("kind = 'adam'\neps = 1e-50", "eps is 0.000"),
        ("kind = 'rmsprop'\nalpha = 1.0", "alpha is 1"),
        ("kind = 'rmsprop'\nmomentum = 1.0", "momentum is 1"),
        ("kind = 'sgd'\nmomentum = 1.0", "momentum is 1"),
        ("kind = 'sgd'\nmomentum = 0.9\ndampening = 1.1", "dampening is 1.1"),
        ("kind = 'sgd'\nnesterov = true", "nesterov needs momentum"),
        ("kind = 'sgd'\nnesterov = true\nmomentum = 0.9\ndampening = 0.1", "nesterov goes without dampening"),
        ("kind = 'sgd'\ndampening = 0.1", "dampening does nothing without momentum"),
    ] {
        let config: OptimizerConfig = toml::from_str(text).unwrap();
        let error = config.validate().unwrap_err().to_string();
        assert!(error.starts_with(complaint), "{error}");
        let parameters = network(&Tensor::ones([3], tch::kind::FLOAT_CPU));
        assert_eq!(Optimizer::new(&config, &parameters).unwrap_err().to_string(), error);
    }
}
