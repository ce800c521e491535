//! The factory that makes a run's environments: by id, with options and wrappers. Every thread of a run makes
//! its own.

use crate::checks::{Checked, Subject, Warnings, guarded};
use crate::vector::{NormalizeObservation, NormalizeReward, ObservationNormalizer};
use crate::wrappers::{Effects, WrapperConfig};
use crate::{
    Env, EnvError, EnvOptions, EnvSpec, Registry, RowEnvs, RowError, SingleRows, VectorEnv, VectorOptions,
};

/// The discount of `normalize_reward` where neither the wrapper nor an agent says one.
const USUAL_DISCOUNT: f64 = 0.99;

/// Makes environments of one kind: a registered one with its options, within its wrappers.
#[derive(Clone, Debug)]
pub struct EnvFactory {
    spec: EnvSpec,
    options: EnvOptions,
    /// The wrappers of single environments, the innermost first.
    wrappers: Vec<WrapperConfig>,
    /// The wrappers of all environments together.
    vector_wrappers: Vec<WrapperConfig>,
    warnings: Warnings,
}

impl EnvFactory {
    /// Environments of `spec` as they are registered.
    pub fn plain(spec: EnvSpec) -> Self {
        let warnings = warnings(&spec);
        let options = EnvOptions::default();
        Self { spec, options, wrappers: Vec::new(), vector_wrappers: Vec::new(), warnings }
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
        let warnings = warnings(&spec);
        Ok(Self { spec, options, wrappers: single.to_vec(), vector_wrappers: together.to_vec(), warnings })
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

    /// The wrappers of single environments, the innermost first.
    pub fn wrappers(&self) -> &[WrapperConfig] {
        &self.wrappers
    }

    /// The same environments without wrappers: the bare world.
    #[must_use]
    pub fn unwrapped(&self) -> Self {
        Self { wrappers: Vec::new(), vector_wrappers: Vec::new(), ..self.clone() }
    }

    /// The new warnings about what the environments of this factory and its clones have given.
    pub fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    /// One environment. What its world gives is checked, and a panic of the world is an error. Wrappers of all
    /// environments together are left out: see [`EnvFactory::normalizer`].
    ///
    /// # Errors
    /// [`EnvError::Option`] for an option or a wrapper that does not fit, and the constructor's own errors.
    pub fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        self.make_around(|world| world)
    }

    /// One environment with a layer of the caller's between the world and the wrappers, which sees each step of the
    /// world, several of which a wrapper may make for one action.
    ///
    /// # Errors
    /// As [`EnvFactory::make`].
    pub fn make_around(
        &self,
        layer: impl FnOnce(Box<dyn Env>) -> Box<dyn Env>,
    ) -> Result<Box<dyn Env>, EnvError> {
        let world = guarded(|| self.spec.make(&self.options))?;
        let world = layer(Box::new(Checked::world(world, &self.warnings)?));
        self.wrappers.iter().try_fold(world, |env, wrapper| wrapper.wrap(env))
    }

    /// The wrappers of single environments that change nothing, each in a sentence.
    ///
    /// # Errors
    /// As [`EnvFactory::make`].
    pub fn idle_wrappers(&self) -> Result<Vec<String>, EnvError> {
        if self.wrappers.is_empty() {
            return Ok(Vec::new());
        }
        let world = guarded(|| self.spec.make(&self.options))?;
        let mut effects = Effects::new(&self.spec.id, self.spec.limit(&self.options)?, world.as_ref());
        self.wrappers.iter().try_fold(world, |env, wrapper| effects.wrap(env, wrapper))?;
        Ok(effects.found())
    }

    /// Many environments, checked as those of [`EnvFactory::make`].
    ///
    /// # Errors
    /// As [`EnvFactory::make`].
    pub fn make_vector(&self, vector: &VectorOptions) -> Result<Box<dyn VectorEnv>, EnvError> {
        let mut bare = if self.wrappers.is_empty() {
            guarded(|| self.spec.make_vector(&self.options, vector))?
        } else {
            vector.of_single(|_| self.make())?
        };
        bare.watch(&self.warnings);
        self.vector_wrappers.iter().try_fold(bare, wrap_vector)
    }

    /// Environments side by side, for whole episodes with seeds of their own, checked as those of
    /// [`EnvFactory::make`]; wrappers of all environments together are left out.
    ///
    /// # Errors
    /// As [`EnvFactory::make`], with the number of the environment that cannot be made.
    pub fn make_rows(&self, num_envs: usize) -> Result<Box<dyn RowEnvs>, RowError> {
        if !self.wrappers.is_empty() || !self.spec.has_rows() {
            return Ok(Box::new(SingleRows::new(num_envs, || self.make())?));
        }
        let mut rows = self.spec.make_rows(&self.options, num_envs)?;
        rows.watch(&self.warnings);
        Ok(rows)
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

/// The place for warnings about environments of `spec`.
fn warnings(spec: &EnvSpec) -> Warnings {
    let warnings = Warnings::default();
    if spec.has_loose_bounds {
        warnings.leave_out(Subject::Bounds);
    }
    warnings
}

fn wrap_vector(inner: Box<dyn VectorEnv>, wrapper: &WrapperConfig) -> Result<Box<dyn VectorEnv>, EnvError> {
    Ok(match *wrapper {
        WrapperConfig::NormalizeObservation { clip, epsilon } => {
            Box::new(NormalizeObservation::new(inner, clip, epsilon)?)
        }
        WrapperConfig::NormalizeReward { discount, clip, epsilon } => {
            Box::new(NormalizeReward::new(inner, discount.unwrap_or(USUAL_DISCOUNT), clip, epsilon)?)
        }
        _ => inner,
    })
}
