//! The registry: environments by id.

mod options;
mod spec;

use std::collections::BTreeMap;

pub use options::EnvOptions;
pub use spec::EnvSpec;

use crate::{Env, EnvError, box2d, classic, gymnasium, memory, minatar, pixels, probes, toy_text};
use pavlov_common::did_you_mean;

/// The environments that can be asked for by id.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    specs: BTreeMap<String, EnvSpec>,
    providers: BTreeMap<String, Provider>,
}

/// Returns the environment for the part of an id that follows a prefix.
pub type Provider = fn(&str) -> Result<EnvSpec, EnvError>;

impl Registry {
    /// A registry without environments.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The environments of this crate, and Gymnasium's in Python by ids that begin with `gym:`.
    pub fn bundled() -> Self {
        let families = [
            classic::specs(),
            box2d::specs(),
            toy_text::specs(),
            minatar::specs(),
            memory::specs(),
            pixels::specs(),
            probes::specs(),
        ];
        let specs = families.into_iter().flatten();
        let providers = [(gymnasium::PREFIX.into(), gymnasium::spec as Provider)];
        Self { specs: specs.map(|spec| (spec.id.clone(), spec)).collect(), providers: providers.into() }
    }

    /// Adds an environment.
    ///
    /// # Errors
    /// [`EnvError::Contract`] when the id is taken or empty.
    pub fn register(&mut self, spec: EnvSpec) -> Result<(), EnvError> {
        if spec.id.trim().is_empty() || self.specs.contains_key(&spec.id) {
            let message = format!("the id `{}` is empty or taken: give the environment another", spec.id);
            return Err(EnvError::Contract(message));
        }
        self.specs.insert(spec.id.clone(), spec);
        Ok(())
    }

    /// Registers `provider` for all ids that begin with `prefix`: worlds that cannot be listed beforehand.
    ///
    /// # Errors
    /// [`EnvError::Contract`] when the prefix is empty or taken.
    pub fn register_provider(&mut self, prefix: &str, provider: Provider) -> Result<(), EnvError> {
        if prefix.is_empty() || self.providers.contains_key(prefix) {
            let message = format!("the prefix `{prefix}` is empty or taken: give the provider another");
            return Err(EnvError::Contract(message));
        }
        self.providers.insert(prefix.into(), provider);
        Ok(())
    }

    /// The environments, by id, without those of providers.
    pub fn specs(&self) -> impl Iterator<Item = &EnvSpec> {
        self.specs.values()
    }

    /// The environment of this id.
    ///
    /// # Errors
    /// [`EnvError::UnknownId`], with the nearest id that there is.
    pub fn spec(&self, id: &str) -> Result<EnvSpec, EnvError> {
        let provided = |(prefix, provider): (&String, &Provider)| Some((id.strip_prefix(prefix)?, *provider));
        if let Some((rest, provider)) = self.providers.iter().find_map(provided) {
            return provider(rest);
        }
        self.specs.get(id).cloned().ok_or_else(|| {
            let hint = did_you_mean(id, self.specs.keys().map(String::as_str));
            EnvError::UnknownId { id: id.into(), hint }
        })
    }

    /// Makes the environment of this id with its own time limit and options.
    ///
    /// # Errors
    /// As [`Registry::spec`] and [`EnvSpec::make`].
    pub fn make(&self, id: &str) -> Result<Box<dyn Env>, EnvError> {
        self.make_with(id, &EnvOptions::default())
    }

    /// Makes the environment of this id with these options.
    ///
    /// # Errors
    /// As [`Registry::spec`] and [`EnvSpec::make`].
    pub fn make_with(&self, id: &str, options: &EnvOptions) -> Result<Box<dyn Env>, EnvError> {
        self.spec(id)?.make(options)
    }
}
