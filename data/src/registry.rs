//! The registry: data sets by name.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pavlov_common::{did_you_mean, tables};
use serde::de::DeserializeOwned;

use crate::{DataError, Dataset, sets, sound, text};

/// The path and the settings that a data set is opened with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DatasetOptions {
    /// The user's file or folder, for data sets that are read from one.
    pub path: Option<PathBuf>,
    /// The data set's own settings.
    pub options: toml::Table,
}

impl DatasetOptions {
    /// The options of a data set in this file or folder.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), ..Self::default() }
    }

    /// The file or folder.
    ///
    /// # Errors
    /// [`DataError::Config`] when none is given.
    pub fn path(&self) -> Result<&Path, DataError> {
        let missing = || DataError::Config("this data set is read from files: give their `path`".into());
        self.path.as_deref().ok_or_else(missing)
    }

    /// The settings as a type of the data set.
    ///
    /// # Errors
    /// [`DataError::Config`], with the path of the first key that does not fit.
    pub fn typed<T: DeserializeOwned>(&self) -> Result<T, DataError> {
        tables::typed(self.options.clone()).map_err(|error| DataError::Config(error.to_string()))
    }
}

/// Opens a data set with these options.
pub type DatasetConstructor = dyn Fn(&DatasetOptions) -> Result<Arc<dyn Dataset>, DataError> + Send + Sync;

/// A registered data set.
#[derive(Clone)]
pub struct DatasetSpec {
    /// The name that it is asked for by.
    pub name: String,
    /// One line on the samples and the source.
    pub summary: String,
    /// True for a data set that is read from the user's files.
    pub needs_path: bool,
    /// False for a data set that is generated.
    pub takes_path: bool,
    constructor: Arc<DatasetConstructor>,
}

impl DatasetSpec {
    /// A data set that `constructor` opens, without a path.
    pub fn new(
        name: impl Into<String>,
        constructor: impl Fn(&DatasetOptions) -> Result<Arc<dyn Dataset>, DataError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            summary: String::new(),
            needs_path: false,
            takes_path: true,
            constructor: Arc::new(constructor),
        }
    }

    /// Sets the line on the samples and the source.
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// Asks for the user's file or folder: opening without one is an error.
    pub fn needs_path(mut self) -> Self {
        self.needs_path = true;
        self
    }

    /// Refuses a path: the samples are generated.
    pub fn generated(mut self) -> Self {
        self.takes_path = false;
        self
    }

    /// Opens the data set.
    ///
    /// # Errors
    /// [`DataError::Config`] when the path is missing or has no effect, or an option is wrong, and the
    /// constructor's own errors.
    pub fn open(&self, options: &DatasetOptions) -> Result<Arc<dyn Dataset>, DataError> {
        if self.needs_path && options.path.is_none() {
            let message = format!("the data set `{}` is read from files: give their `path`", self.name);
            return Err(DataError::Config(message));
        }
        if let (false, Some(path)) = (self.takes_path, &options.path) {
            let (name, path) = (&self.name, path.display());
            let message =
                format!("the data set `{name}` is generated and takes no `path`, and {path} is given");
            return Err(DataError::Config(message));
        }
        (self.constructor)(options)
    }
}

impl fmt::Debug for DatasetSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatasetSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The data sets that can be asked for by name.
#[derive(Clone, Debug, Default)]
pub struct DatasetRegistry {
    specs: BTreeMap<String, DatasetSpec>,
}

impl DatasetRegistry {
    /// A registry without data sets.
    pub fn new() -> Self {
        Self::default()
    }

    /// The data sets of this crate.
    pub fn bundled() -> Self {
        let families = [sets::specs(), text::specs(), sound::specs()];
        let specs = families.into_iter().flatten();
        Self { specs: specs.map(|spec| (spec.name.clone(), spec)).collect() }
    }

    /// Adds a data set.
    ///
    /// # Errors
    /// [`DataError::Config`] when the name is taken or empty.
    pub fn register(&mut self, spec: DatasetSpec) -> Result<(), DataError> {
        if spec.name.trim().is_empty() || self.specs.contains_key(&spec.name) {
            let message = format!("the name `{}` is empty or taken: give the data set another", spec.name);
            return Err(DataError::Config(message));
        }
        self.specs.insert(spec.name.clone(), spec);
        Ok(())
    }

    /// The data set of this name.
    ///
    /// # Errors
    /// [`DataError::Unknown`], with the nearest name that there is.
    pub fn get(&self, name: &str) -> Result<&DatasetSpec, DataError> {
        self.specs.get(name).ok_or_else(|| {
            let hint = did_you_mean(name, self.specs.keys().map(String::as_str));
            let names: Vec<_> = self.specs.keys().map(String::as_str).collect();
            let message = format!("there is no data set `{name}`{hint}; there are: {}", names.join(", "));
            DataError::Unknown(message)
        })
    }

    /// The data sets, by name.
    pub fn specs(&self) -> impl Iterator<Item = &DatasetSpec> {
        self.specs.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_given_once_and_a_slip_is_recognised() {
        let mut registry = DatasetRegistry::bundled();
        let digits = registry.get("digits").unwrap().clone();
        assert!(matches!(registry.register(digits), Err(DataError::Config(_))));
        let error = registry.get("digit").unwrap_err().to_string();
        assert!(error.contains("did you mean `digits`?"), "{error}");
    }

    #[test]
    fn a_data_set_of_files_asks_for_a_path_and_names_a_wrong_option() {
        let registry = DatasetRegistry::bundled();
        for spec in registry.specs() {
            assert!(!spec.summary.is_empty(), "{}", spec.name);
            if spec.needs_path {
                let error = spec.open(&DatasetOptions::default()).unwrap_err().to_string();
                assert!(error.contains("path"), "{error}");
            }
            let options = "no_such_option = 1".parse().unwrap();
            let path = spec.takes_path.then(|| "nowhere".into());
            let options = DatasetOptions { path, options };
            let error = spec.open(&options).unwrap_err().to_string();
            assert!(error.contains("no_such_option"), "{}: {error}", spec.name);
            if !spec.takes_path {
                let error = spec.open(&DatasetOptions::at("nowhere")).unwrap_err().to_string();
                assert!(error.contains("takes no `path`"), "{error}");
            }
        }
    }
}
