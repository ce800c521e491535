//! The configuration of optimisers.

use serde::{Deserialize, Serialize};

use super::ParameterGroup;
use crate::parameters::unknown;
use crate::{Layout, NnError};

/// An optimiser and all its numbers but the learning rate, which is given at each step.
///
/// In a file the optimiser's name stands under `kind`; what is left out takes PyTorch's default:
///
/// ```
/// # use pavlov_nn::OptimizerConfig;
/// # use pavlov_nn::optim::AdamConfig;
/// let config: OptimizerConfig = toml::from_str("kind = 'adam'\neps = 1e-5")?;
/// assert_eq!(config, OptimizerConfig::Adam(AdamConfig { eps: 1e-5, ..AdamConfig::default() }));
/// # Ok::<(), toml::de::Error>(())
/// ```
///
/// Groups give some parameters another learning rate or no weight decay:
///
/// ```
/// # use pavlov_nn::OptimizerConfig;
/// let text = r#"
///     kind = "adamw"
///     weight_decay_decoupled = 0.1
///     [[groups]]
///     names = ["*.bias", "*norm*"]
///     weight_decay = false
///     [[groups]]
///     names = ["features.*"]
///     learning_rate_factor = 0.1
/// "#;
/// let config: OptimizerConfig = toml::from_str(text)?;
/// assert_eq!(config.groups().len(), 2);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OptimizerConfig {
    /// Adam.
    Adam(AdamConfig),
    /// AdamW.
    Adamw(AdamwConfig),
    /// RMSprop: plain, centred, with momentum, as in PyTorch or as in TensorFlow.
    Rmsprop(RmspropConfig),
    /// Stochastic gradient descent, with momentum or without.
    Sgd(SgdConfig),
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::Adam(AdamConfig::default())
    }
}

impl OptimizerConfig {
    /// The optimiser's name, as it stands under `kind` in a file.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Adam(_) => "adam",
            Self::Adamw(_) => "adamw",
            Self::Rmsprop(_) => "rmsprop",
            Self::Sgd(_) => "sgd",
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`NnError::Config`] naming the field that makes no sense.
    pub fn validate(&self) -> Result<(), NnError> {
        match self {
            Self::Adam(config) => config.validate(),
            Self::Adamw(config) => AdamConfig::from(config.clone()).validate(),
            Self::Rmsprop(config) => config.validate(),
            Self::Sgd(config) => config.validate(),
        }?;
        self.groups().iter().enumerate().try_for_each(|(index, group)| group.validate(index))
    }

    /// Parameters whose learning rate or weight decay is another.
    pub fn groups(&self) -> &[ParameterGroup] {
        match self {
            Self::Adam(AdamConfig { groups, .. })
            | Self::Adamw(AdamwConfig { groups, .. })
            | Self::Rmsprop(RmspropConfig { groups, .. })
            | Self::Sgd(SgdConfig { groups, .. }) => groups,
        }
    }

    fn groups_mut(&mut self) -> &mut Vec<ParameterGroup> {
        match self {
            Self::Adam(AdamConfig { groups, .. })
            | Self::Adamw(AdamwConfig { groups, .. })
            | Self::Rmsprop(RmspropConfig { groups, .. })
            | Self::Sgd(SgdConfig { groups, .. }) => groups,
        }
    }

    /// The same with one learning rate and one weight decay: for a network of other names.
    pub fn without_groups(mut self) -> Self {
        self.groups_mut().clear();
        self
    }

    /// The same for one of several networks, each stepped by an optimiser of its own: without the names in
    /// groups that this network has no parameter for. [`OptimizerConfig::check_names`] finds those that none
    /// has.
    pub fn for_network(&self, layout: &Layout) -> Self {
        let mut own = self.clone();
        let groups = own.groups_mut();
        for group in groups.iter_mut() {
            group.names.retain(|name| layout.named(name).is_ok());
        }
        groups.retain(|group| !group.names.is_empty());
        own
    }

    /// Checks that each name in groups is that of a parameter of one of these networks at least.
    ///
    /// # Errors
    /// [`NnError::Config`] with the first name that is not, and the nearest ones.
    pub fn check_names(&self, layouts: &[&Layout]) -> Result<(), NnError> {
        for name in self.groups().iter().flat_map(|group| &group.names) {
            let tried: Vec<_> = layouts.iter().map(|layout| layout.named(name)).collect();
            if tried.iter().all(Result::is_err) {
                let names = layouts.iter().flat_map(|layout| layout.specs()).map(|spec| spec.name.as_str());
                return Err(NnError::Config(format!("the optimiser's groups: {}", unknown(name, names))));
            }
        }
        Ok(())
    }
}

/// Adam (Kingma and Ba 2015): `m <- beta1 m + (1 - beta1) g`, `v <- beta2 v + (1 - beta2) g^2`,
/// `p <- p - lr m' / (sqrt(v') + eps)` with the moments `m'`, `v'` corrected for their start at zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamConfig {
    /// The share of the first moment that is kept at each step, `0 <= beta1 < 1`.
    pub beta1: f64,
    /// The share of the second moment that is kept at each step, `0 <= beta2 < 1`.
    pub beta2: f64,
    /// Keeps the step finite where gradients vanish. PPO and A2C use 1e-5.
    pub eps: f64,
    /// `weight_decay_l2 p` is added to the gradient.
    pub weight_decay_l2: f64,
    /// Each value shrinks by `lr weight_decay_decoupled p`, past the moments.
    pub weight_decay_decoupled: f64,
    /// `weight_decay_l1 sign(p)` is added to the gradient.
    pub weight_decay_l1: f64,
    /// Parameters whose learning rate or weight decay is another.
    pub groups: Vec<ParameterGroup>,
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay_l2: 0.0,
            weight_decay_decoupled: 0.0,
            weight_decay_l1: 0.0,
            groups: Vec::new(),
        }
    }
}

impl AdamConfig {
    fn validate(&self) -> Result<(), NnError> {
        check_kept_share("beta1", self.beta1)?;
        check_kept_share("beta2", self.beta2)?;
        check_eps(self.eps)?;
        check_decay(self.weight_decay_l2, self.weight_decay_decoupled, self.weight_decay_l1)
    }
}

/// AdamW (Loshchilov and Hutter 2019): Adam whose weight decay is decoupled and not zero by default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamwConfig {
    /// The share of the first moment that is kept at each step, `0 <= beta1 < 1`.
    pub beta1: f64,
    /// The share of the second moment that is kept at each step, `0 <= beta2 < 1`.
    pub beta2: f64,
    /// Keeps the step finite where gradients vanish.
    pub eps: f64,
    /// `weight_decay_l2 p` is added to the gradient.
    pub weight_decay_l2: f64,
    /// Each value shrinks by `lr weight_decay_decoupled p`, past the moments.
    pub weight_decay_decoupled: f64,
    /// `weight_decay_l1 sign(p)` is added to the gradient.
    pub weight_decay_l1: f64,
    /// Parameters whose learning rate or weight decay is another.
    pub groups: Vec<ParameterGroup>,
}

impl Default for AdamwConfig {
    fn default() -> Self {
        let AdamConfig { beta1, beta2, eps, weight_decay_l2, weight_decay_l1, groups, .. } =
            AdamConfig::default();
        Self { beta1, beta2, eps, weight_decay_l2, weight_decay_decoupled: 0.01, weight_decay_l1, groups }
    }
}

impl From<AdamwConfig> for AdamConfig {
    fn from(config: AdamwConfig) -> Self {
        let AdamwConfig {
            beta1,
            beta2,
            eps,
            weight_decay_l2,
            weight_decay_decoupled,
            weight_decay_l1,
            groups,
        } = config;
        Self { beta1, beta2, eps, weight_decay_l2, weight_decay_decoupled, weight_decay_l1, groups }
    }
}

/// RMSprop (Tieleman and Hinton 2012; centred: Graves 2013): `s <- alpha s + (1 - alpha) g^2`,
/// `p <- p - lr g / (sqrt(s) + eps)`; centred, `s` less the square of the gradient's average stands for `s`.
///
/// The momentum buffer gathers `g / (sqrt(s) + eps)`, as in PyTorch, and the learning rate multiplies it when
/// it is used. TensorFlow gathers the product with the learning rate: the same as long as that is constant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmspropConfig {
    /// The share of the averages that is kept at each step, `0 <= alpha < 1`.
    pub alpha: f64,
    /// Keeps the step finite where gradients vanish.
    pub eps: f64,
    /// True if `eps` stands under the root, `sqrt(s + eps)`, as TensorFlow and DQN (Mnih et al. 2015) have
    /// it.
    pub eps_inside_root: bool,
    /// Where the average of squares starts: 0 in PyTorch, 1 in TensorFlow, whose first steps are smaller.
    pub square_average_start: f64,
    /// True if the square of the gradient's average is taken off the average of squares.
    pub centered: bool,
    /// The share of the momentum that is kept at each step, `0 <= momentum < 1`; 0 goes without.
    pub momentum: f64,
    /// `weight_decay_l2 p` is added to the gradient.
    pub weight_decay_l2: f64,
    /// Each value shrinks by `lr weight_decay_decoupled p`, past the averages.
    pub weight_decay_decoupled: f64,
    /// `weight_decay_l1 sign(p)` is added to the gradient.
    pub weight_decay_l1: f64,
    /// Parameters whose learning rate or weight decay is another.
    pub groups: Vec<ParameterGroup>,
}

impl Default for RmspropConfig {
    fn default() -> Self {
        Self {
            alpha: 0.99,
            eps: 1e-8,
            eps_inside_root: false,
            square_average_start: 0.0,
            centered: false,
            momentum: 0.0,
            weight_decay_l2: 0.0,
            weight_decay_decoupled: 0.0,
            weight_decay_l1: 0.0,
            groups: Vec::new(),
        }
    }
}

impl RmspropConfig {
    /// TensorFlow's variant, which A2C's published numbers were reached with: `eps` under the root, the
    /// average of squares starts at 1.
    pub fn tensorflow() -> Self {
        Self { eps_inside_root: true, square_average_start: 1.0, ..Self::default() }
    }

    fn validate(&self) -> Result<(), NnError> {
        check_kept_share("alpha", self.alpha)?;
        check_eps(self.eps)?;
        check_not_negative("square_average_start", self.square_average_start)?;
        check_kept_share("momentum", self.momentum)?;
        check_decay(self.weight_decay_l2, self.weight_decay_decoupled, self.weight_decay_l1)
    }
}

/// Stochastic gradient descent: `b <- momentum b + (1 - dampening) g`, `p <- p - lr b`; the buffer starts as
/// the first gradient. Nesterov's variant steps along `g + momentum b` (Sutskever et al. 2013).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SgdConfig {
    /// The share of the momentum that is kept at each step, `0 <= momentum < 1`; 0 goes without.
    pub momentum: f64,
    /// The share of each gradient that does not enter the momentum, `0 <= dampening <= 1`.
    pub dampening: f64,
    /// True if the step looks ahead by one step of momentum.
    pub nesterov: bool,
    /// `weight_decay_l2 p` is added to the gradient.
    pub weight_decay_l2: f64,
    /// Each value shrinks by `lr weight_decay_decoupled p`, past the momentum.
    pub weight_decay_decoupled: f64,
    /// `weight_decay_l1 sign(p)` is added to the gradient.
    pub weight_decay_l1: f64,
    /// Parameters whose learning rate or weight decay is another.
    pub groups: Vec<ParameterGroup>,
}

impl SgdConfig {
    fn validate(&self) -> Result<(), NnError> {
        check_kept_share("momentum", self.momentum)?;
        if !(0.0..=1.0).contains(&self.dampening) {
            return refuse("dampening", self.dampening, "a number from 0 to 1");
        }
        let contradiction = match (self.nesterov, self.momentum > 0.0, self.dampening > 0.0) {
            (true, false, _) => "nesterov needs momentum: give momentum more than 0, or nesterov = false",
            (true, true, true) => "nesterov goes without dampening: give dampening = 0, or nesterov = false",
            (false, false, true) => {
                "dampening does nothing without momentum: give momentum, or dampening = 0"
            }
            _ => return check_decay(self.weight_decay_l2, self.weight_decay_decoupled, self.weight_decay_l1),
        };
        Err(NnError::Config(contradiction.into()))
    }
}

fn refuse(field: &str, value: f64, wanted: &str) -> Result<(), NnError> {
    Err(NnError::Config(format!("{field} is {value}: give {wanted}")))
}

fn check_not_negative(field: &str, value: f64) -> Result<(), NnError> {
    match value.is_finite() && value >= 0.0 {
        true => Ok(()),
        false => refuse(field, value, "a number that is not negative"),
    }
}

/// The factor of an exponential average.
fn check_kept_share(field: &str, value: f64) -> Result<(), NnError> {
    match (0.0..1.0).contains(&value) {
        true => Ok(()),
        false => refuse(field, value, "0 or more, and less than 1"),
    }
}

/// Zero would make NaN of every parameter whose gradient is zero, and so would what is zero as an f32.
fn check_eps(value: f64) -> Result<(), NnError> {
    match value.is_finite() && value >= f64::from(f32::MIN_POSITIVE) {
        true => Ok(()),
        false => refuse("eps", value, "a small number above 0, for instance 1e-8"),
    }
}

fn check_decay(l2: f64, decoupled: f64, l1: f64) -> Result<(), NnError> {
    check_not_negative("weight_decay_l2", l2)?;
    check_not_negative("weight_decay_decoupled", decoupled)?;
    check_not_negative("weight_decay_l1", l1)
}
