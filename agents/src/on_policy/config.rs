//! The settings that agents share which learn from their own fresh experience. They stand here once, and are
//! fields of each one's configuration.

/// Declares a configuration: the fields in the braces, and beside them those that all policy gradients have,
/// so that all are keys of one table.
macro_rules! policy_gradient_config {
    ($(#[$about:meta])* pub struct $name:ident { $($(#[$of_own:meta])* pub $own:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// The optimiser's step size, over the share of training that is done.
            pub learning_rate: pavlov_nn::Schedule,
            /// The discount, `gamma` in the papers.
            pub discount: f64,
            /// True if the advantages of an update are brought to mean 0 and deviation 1.
            pub normalize_advantages: bool,
            /// The weight of the entropy.
            pub entropy_coefficient: pavlov_nn::Schedule,
            /// The weight of the value's squared error.
            pub value_coefficient: f64,
            /// The largest norm of an update's gradient, or "off".
            #[serde(with = "pavlov_common::optional")]
            pub gradient_clip_norm: Option<f64>,
            /// The networks.
            pub net: $crate::networks::NetConfig,
            /// The exploration of continuous actions.
            pub exploration: $crate::on_policy::ExplorationConfig,
            /// The optimiser.
            pub optimizer: pavlov_nn::OptimizerConfig,
            $($(#[$of_own])* pub $own: $type,)*
        }

        impl $name {
            /// Checks the settings that are shared with other policy gradients.
            fn validate_shared(&self) -> Result<(), $crate::core::AgentError> {
                use $crate::core::checks::{not_negative, positive_or_off, schedule, share};
                share("discount", self.discount)?;
                not_negative("value_coefficient", self.value_coefficient)?;
                positive_or_off("gradient_clip_norm", self.gradient_clip_norm)?;
                self.net.validate()?;
                self.exploration.validate(&self.net)?;
                self.optimizer.validate()?;
                schedule("learning_rate", &self.learning_rate)?;
                schedule("entropy_coefficient", &self.entropy_coefficient)
            }
        }
    };
}
pub(crate) use policy_gradient_config;

/// Declares a configuration of an agent that learns from rollouts: the fields in the braces, those of
/// `policy_gradient_config!`, and those of a rollout.
macro_rules! rollout_config {
    ($(#[$about:meta])* pub struct $name:ident { $($(#[$of_own:meta])* pub $own:ident: $type:ty,)* }) => {
        $crate::on_policy::policy_gradient_config! {
            $(#[$about])*
            pub struct $name {
                /// Steps of each environment from one update phase to the next.
                pub rollout_steps: usize,
                /// The decay of later steps in an advantage, `lambda` in the papers: 0 is one step, 1 the
                /// whole rollout.
                pub gae_lambda: f64,
                $($(#[$of_own])* pub $own: $type,)*
            }
        }

        impl $name {
            /// Checks the settings that are shared with other agents that learn from rollouts.
            fn validate_rollouts(&self) -> Result<(), $crate::core::AgentError> {
                use $crate::core::checks::{MOST_ROWS, count, share};
                count("rollout_steps", self.rollout_steps as u64, MOST_ROWS)?;
                share("gae_lambda", self.gae_lambda)?;
                self.validate_shared()
            }

            fn setup(&self) -> $crate::on_policy::OnPolicySetup<'_> {
                $crate::on_policy::OnPolicySetup {
                    net: &self.net,
                    exploration: &self.exploration,
                    optimizer: &self.optimizer,
                    gradient_clip_norm: self.gradient_clip_norm,
                    rollout_steps: self.rollout_steps,
                }
            }
        }
    };
}
pub(crate) use rollout_config;
