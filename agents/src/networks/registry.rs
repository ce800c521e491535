//! Backbones by name.

use std::fmt;
use std::sync::Arc;

use pavlov_common::did_you_mean;
use pavlov_nn::{Layout, NnError};
use toml::Table;

use super::{Backbone, ObservationPart};

/// The circumstances that a backbone is made for.
#[derive(Debug)]
pub struct BackboneContext<'a> {
    /// Where its parameters are added; their names begin with `prefix`.
    pub layout: &'a mut Layout,
    /// The start of its parameters' names, `policy_backbone.` for instance.
    pub prefix: &'a str,
    /// The parts of an observation.
    pub parts: &'a [ObservationPart],
    /// Its own settings, from `net.backbone_options`.
    pub options: &'a Table,
}

type Build = dyn Fn(BackboneContext<'_>) -> Result<Box<dyn Backbone>, NnError> + Send + Sync;

/// The backbones that `net.backbone` can name. A clone shares them.
#[derive(Clone, Default)]
pub struct NetworkRegistry {
    entries: Vec<(String, Arc<Build>)>,
}

impl NetworkRegistry {
    /// A registry without entries: agents build the standard backbone and lists of layers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a backbone: `build` describes it for given observations.
    ///
    /// # Errors
    /// [`NnError::Config`] when the name is taken or stands for something else.
    pub fn register(
        &mut self,
        name: impl Into<String>,
        build: impl Fn(BackboneContext<'_>) -> Result<Box<dyn Backbone>, NnError> + Send + Sync + 'static,
    ) -> Result<(), NnError> {
        let name = name.into();
        if name == "auto" || self.names().any(|taken| taken == name) {
            return Err(NnError::Config(format!(
                "a backbone named `{name}` is there already: take another name"
            )));
        }
        self.entries.push((name, Arc::new(build)));
        Ok(())
    }

    /// The registered names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    /// Builds the backbone of this name.
    ///
    /// # Errors
    /// [`NnError::Config`] for an unknown name, with the nearest one, and those of the backbone.
    pub fn build(&self, name: &str, context: BackboneContext<'_>) -> Result<Box<dyn Backbone>, NnError> {
        let Some((_, build)) = self.entries.iter().find(|(known, _)| known == name) else {
            let hint = did_you_mean(name, ["auto"].into_iter().chain(self.names()));
            let known = match self.entries.is_empty() {
                true => "the program registers no backbones; give \"auto\" or a list of layers".to_string(),
                false => format!("registered are: {}", self.names().collect::<Vec<_>>().join(", ")),
            };
            return Err(NnError::Config(format!("net.backbone: unknown backbone `{name}`{hint}: {known}")));
        };
        build(context).map_err(|error| match error {
            NnError::Config(message) => NnError::Config(format!("backbone `{name}`: {message}")),
            other => other,
        })
    }
}

impl fmt::Debug for NetworkRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
