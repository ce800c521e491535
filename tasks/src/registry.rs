//! The tasks by name: the roof over all of them.

use std::fmt;
use std::sync::Arc;

use pavlov_common::did_you_mean;
use pavlov_common::tables::{WrongKey, typed};
use toml::Table;

use crate::autoencoder::AutoencoderConfig;
use crate::classifier::{ClassifierConfig, SpeechConfig};
use crate::core::{Task, TaskConfig, TaskContext, TaskError};
use crate::gan::GanConfig;
use crate::language::LanguageConfig;
use crate::regression::RegressionConfig;

type Resolve = dyn Fn(&Table) -> Result<Table, TaskError> + Send + Sync;
type Build = dyn Fn(&Table, &TaskContext) -> Result<Box<dyn Task>, TaskError> + Send + Sync;

/// A registered task: its name and what its configuration can do, the configuration's type erased.
#[derive(Clone)]
pub struct TaskSpec {
    /// The name on the command line.
    pub name: &'static str,
    /// One line that says what the task is.
    pub summary: &'static str,
    resolve: Arc<Resolve>,
    build: Arc<Build>,
}

impl fmt::Debug for TaskSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TaskSpec {
    /// The task that is built from configurations of type `C`.
    pub fn of<C: TaskConfig>() -> Self {
        let read = |table: &Table| {
            let config: C = typed(table.clone()).map_err(wrong)?;
            config.validate()?;
            Ok::<C, TaskError>(config)
        };
        Self {
            name: C::NAME,
            summary: C::SUMMARY,
            resolve: Arc::new(move |table| {
                Table::try_from(read(table)?).map_err(|error| TaskError::Config(error.to_string()))
            }),
            build: Arc::new(move |table, context| read(table)?.build(context)),
        }
    }

    /// The configuration with every field that `table` leaves out at its default, checked.
    ///
    /// # Errors
    /// [`TaskError::Config`] for a wrong type or value.
    pub fn resolve(&self, table: &Table) -> Result<Table, TaskError> {
        (self.resolve)(table)
    }

    /// Builds the task from a configuration.
    ///
    /// # Errors
    /// As [`TaskConfig::validate`] and [`TaskConfig::build`].
    pub fn build(&self, table: &Table, context: &TaskContext) -> Result<Box<dyn Task>, TaskError> {
        context.learning.validate()?;
        (self.build)(table, context)
    }
}

fn wrong(key: WrongKey) -> TaskError {
    TaskError::Config(key.to_string())
}

/// The tasks that can be asked for by name.
#[derive(Clone, Debug)]
pub struct TaskRegistry {
    specs: Vec<TaskSpec>,
}

impl TaskRegistry {
    /// The tasks of this crate.
    pub fn bundled() -> Self {
        Self {
            specs: vec![
                TaskSpec::of::<ClassifierConfig>(),
                TaskSpec::of::<RegressionConfig>(),
                TaskSpec::of::<AutoencoderConfig>(),
                TaskSpec::of::<GanConfig>(),
                TaskSpec::of::<LanguageConfig>(),
                TaskSpec::of::<SpeechConfig>(),
            ],
        }
    }

    /// Adds a task.
    ///
    /// # Errors
    /// [`TaskError::Config`] when the name is taken.
    pub fn register(&mut self, spec: TaskSpec) -> Result<(), TaskError> {
        if self.specs.iter().any(|other| other.name == spec.name) {
            return Err(TaskError::Config(format!("a task named `{}` is registered already", spec.name)));
        }
        self.specs.push(spec);
        Ok(())
    }

    /// The tasks in the order of their registration.
    pub fn specs(&self) -> &[TaskSpec] {
        &self.specs
    }

    /// The task of this name.
    ///
    /// # Errors
    /// [`TaskError::UnknownTask`] with the nearest name.
    pub fn get(&self, name: &str) -> Result<&TaskSpec, TaskError> {
        self.specs.iter().find(|spec| spec.name == name).ok_or_else(|| TaskError::UnknownTask {
            name: name.into(),
            hint: did_you_mean(name, self.specs.iter().map(|spec| spec.name)),
        })
    }
}
