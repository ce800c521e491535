//! The factory that makes a run's environments: by id, with options and wrappers. Every thread of a run makes
//! its own.

use crate::vector::{NormalizeObservation, NormalizeReward, ObservationNormalizer};
use crate::wrappers::WrapperConfig;
use crate::{Env, EnvError, EnvOptions, EnvSpec, Registry, VectorEnv, VectorOptions};

/// Makes environments of one kind: a registered one with its options, within its wrappers.
#[derive(Clone, Debug)]
pub struct EnvFactory {
    spec: EnvSpec,
    options: EnvOptions,
    /// The wrappers of single environments, the innermost first.
    wrappers: Vec<WrapperConfig>,
    /// The wrappers of all environments together.
    vector_wrappers: Vec<WrapperConfig>,
}

impl EnvFactory {
    /// Environments of `spec` as they are registered.
    pub fn plain(spec: EnvSpec) -> Self {
        Self { spec, options: EnvOptions::default(), wrappers: Vec::new(), vector_wrappers: Vec::new() }
    }

    /// Environments of `spec` with these options, within these wrappers, the innermost first.
    ///
    /// # Errors
    /// [`EnvError::Option`] when a wrapper of all environments together stands before one of a single
    /// environment, or twice.
    pub fn new(spec: EnvSpec, options: EnvOptions, wrappers: &[WrapperConfig]) -> Result<Self, EnvError> {
        let single = wrappers.iter().take_while(|wrapper| !wrapper.is_vector()).count();
        let (single, together) = wrappers.split_at(single);
        if !together.iter().all(WrapperConfig::is_vector) {
            let message =
                "wrappers that normalise work on all environments together: put them last in the list";
            return Err(EnvError::Option(message.into()));
        }
        let twice = |wanted: fn(&WrapperConfig) -> bool| together.iter().filter(|w| wanted(w)).count() > 1;
        if twice(|w| matches!(w, WrapperConfig::NormalizeObservation { .. }))
            || twice(|w| matches!(w, WrapperConfig::NormalizeReward { .. }))
        {
            return Err(EnvError::Option(
                "two wrappers normalise the same numbers: give each kind once".into(),
            ));
        }
        Ok(Self { spec, options, wrappers: single.to_vec(), vector_wrappers: together.to_vec() })
    }

    /// The environments of this id in the registry, as they are registered.
    ///
    /// # Errors
    /// As [`Registry::spec`].
    pub fn by_id(registry: &Registry, id: &str) -> Result<Self, EnvError> {
        Ok(Self::plain(registry.spec(id)?))
    }

    /// The registered environment.
    pub fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    /// One environment. Wrappers of all environments together are left out: see [`EnvFactory::normalizer`].
    ///
    /// # Errors
    /// [`EnvError::Option`] for an option or a wrapper that does not fit, and the constructor's own errors.
    pub fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        self.wrappers.iter().try_fold(self.spec.make(&self.options)?, |env, wrapper| wrapper.wrap(env))
    }

    /// Many environments.
    ///
    /// # Errors
    /// As [`EnvFactory::make`].
    pub fn make_vector(&self, vector: &VectorOptions) -> Result<Box<dyn VectorEnv>, EnvError> {
        let bare = if self.wrappers.is_empty() {
            self.spec.make_vector(&self.options, vector)?
        } else {
            vector.of_single(|_| self.make())?
        };
        self.vector_wrappers.iter().try_fold(bare, wrap_vector)
    }

    /// An observation normaliser without statistics, if the wrappers name one: saved statistics can be loaded
    /// into it.
    ///
    /// # Errors
    /// As [`EnvFactory::make`].
    pub fn normalizer(&self) -> Result<Option<ObservationNormalizer>, EnvError> {
        let named = self.vector_wrappers.iter().find_map(|wrapper| match wrapper {
            WrapperConfig::NormalizeObservation { clip, epsilon } => Some((*clip, *epsilon)),
            _ => None,
        });
        let Some((clip, epsilon)) = named else { return Ok(None) };
        ObservationNormalizer::new(self.make()?.observation_space(), clip, epsilon).map(Some)
    }
}

fn wrap_vector(inner: Box<dyn VectorEnv>, wrapper: &WrapperConfig) -> Result<Box<dyn VectorEnv>, EnvError> {
    Ok(match *wrapper {
        WrapperConfig::NormalizeObservation { clip, epsilon } => {
            Box::new(NormalizeObservation::new(inner, clip, epsilon)?)
        }
        WrapperConfig::NormalizeReward { discount, clip, epsilon } => {
            Box::new(NormalizeReward::new(inner, discount, clip, epsilon)?)
        }
        _ => inner,
    })
}
