//! The agents by name: the roof over all of them.

use std::fmt;
use std::sync::Arc;

use pavlov_common::did_you_mean;
use pavlov_common::tables::{WrongKey, typed};
use toml::Table;

use crate::a2c::A2cConfig;
use crate::agent::{Agent, AgentConfig, AgentContext};
use crate::apex::ApexConfig;
use crate::core::AgentError;
use crate::ddpg::DdpgConfig;
use crate::dqn::DqnConfig;
use crate::impala::ImpalaConfig;
use crate::networks::check_renamed;
use crate::ppo::PpoConfig;
use crate::reinforce::ReinforceConfig;
use crate::review::Review;
use crate::sac::SacConfig;
use crate::td3::Td3Config;

type Resolve = dyn Fn(&Table) -> Result<Table, AgentError> + Send + Sync;
type Examine = dyn Fn(&Table, &AgentContext) -> Result<Review, AgentError> + Send + Sync;
type Build = dyn Fn(&Table, &AgentContext) -> Result<Box<dyn Agent>, AgentError> + Send + Sync;

/// A registered agent: its name and what its configuration can do, the configuration's type erased.
#[derive(Clone)]
pub struct AgentSpec {
    /// The name on the command line.
    pub name: &'static str,
    /// One line that says what the agent is.
    pub summary: &'static str,
    resolve: Arc<Resolve>,
    review: Arc<Examine>,
    build: Arc<Build>,
}

impl fmt::Debug for AgentSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

impl AgentSpec {
    /// The agent that is built from configurations of type `C`.
    pub fn of<C: AgentConfig>() -> Self {
        Self {
            name: C::NAME,
            summary: C::SUMMARY,
            resolve: Arc::new(|table| {
                check_renamed(table)?;
                let config: C = typed(table.clone()).map_err(wrong)?;
                config.validate()?;
                Table::try_from(config).map_err(|error| AgentError::Config(error.to_string()))
            }),
            review: Arc::new(|table, context| {
                let config: C = typed(table.clone()).map_err(wrong)?;
                config.review(context)
            }),
            build: Arc::new(|table, context| {
                let config: C = typed(table.clone()).map_err(wrong)?;
                config.validate()?;
                config.split(context.group.shards())?.build(context)
            }),
        }
    }

    /// The configuration with every field that `table` leaves out at its default, checked.
    ///
    /// # Errors
    /// [`AgentError::Config`] for a wrong type or value.
    pub fn resolve(&self, table: &Table) -> Result<Table, AgentError> {
        (self.resolve)(table)
    }

    /// Reviews a configuration, which [`AgentSpec::resolve`] gave, before its training begins.
    ///
    /// # Errors
    /// As [`AgentConfig::review`].
    pub fn review(&self, table: &Table, context: &AgentContext) -> Result<Review, AgentError> {
        (self.review)(table, context)
    }

    /// Builds the agent from a configuration.
    ///
    /// # Errors
    /// As [`AgentConfig::validate`] and [`AgentConfig::build`].
    pub fn build(&self, table: &Table, context: &AgentContext) -> Result<Box<dyn Agent>, AgentError> {
        (self.build)(table, context)
    }
}

fn wrong(key: WrongKey) -> AgentError {
    AgentError::Config(key.to_string())
}

/// The agents that can be asked for by name.
#[derive(Clone, Debug)]
pub struct AgentRegistry {
    specs: Vec<AgentSpec>,
}

impl AgentRegistry {
    /// The agents of this crate.
    pub fn bundled() -> Self {
        Self {
            specs: vec![
                AgentSpec::of::<DqnConfig>(),
                AgentSpec::of::<ApexConfig>(),
                AgentSpec::of::<ReinforceConfig>(),
                AgentSpec::of::<A2cConfig>(),
                AgentSpec::of::<ImpalaConfig>(),
                AgentSpec::of::<PpoConfig>(),
                AgentSpec::of::<DdpgConfig>(),
                AgentSpec::of::<Td3Config>(),
                AgentSpec::of::<SacConfig>(),
            ],
        }
    }

    /// Adds an agent.
    ///
    /// # Errors
    /// [`AgentError::Config`] when the name is taken.
    pub fn register(&mut self, spec: AgentSpec) -> Result<(), AgentError> {
        if self.specs.iter().any(|other| other.name == spec.name) {
            return Err(AgentError::Config(format!("an agent named `{}` is registered already", spec.name)));
        }
        self.specs.push(spec);
        Ok(())
    }

    /// The agents in the order of their registration.
    pub fn specs(&self) -> &[AgentSpec] {
        &self.specs
    }

    /// The agent of this name.
    ///
    /// # Errors
    /// [`AgentError::UnknownAgent`], with the nearest name that there is.
    pub fn get(&self, name: &str) -> Result<&AgentSpec, AgentError> {
        self.specs.iter().find(|spec| spec.name == name).ok_or_else(|| {
            let hint = did_you_mean(name, self.specs.iter().map(|spec| spec.name));
            AgentError::UnknownAgent { name: name.into(), hint }
        })
    }
}
