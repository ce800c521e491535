//! The options of an environment, read with errors that name the option and the values that it can have.

use toml::{Table, Value};

use super::spec::LIMIT;
use crate::EnvError;
use pavlov_common::did_you_mean;

/// The options with which an environment is made, as they stand in a configuration file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnvOptions(Table);

impl EnvOptions {
    /// Options from a table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// The flag of this name, or `default` where it is not given.
    ///
    /// # Errors
    /// [`EnvError::Option`] when it is given and is neither true nor false.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, EnvError> {
        self.get(name, default, Value::as_bool, "true or false")
    }

    /// The whole number of this name, or `default` where it is not given.
    ///
    /// # Errors
    /// [`EnvError::Option`] when it is given and is not a whole number.
    pub fn integer(&self, name: &str, default: i64) -> Result<i64, EnvError> {
        self.get(name, default, Value::as_integer, "a whole number")
    }

    /// The number of this name, or `default` where it is not given.
    ///
    /// # Errors
    /// [`EnvError::Option`] when it is given and is not a number, NaN or infinite.
    pub fn number(&self, name: &str, default: f64) -> Result<f64, EnvError> {
        self.get(name, default, |value| number(value).filter(|x| x.is_finite()), "a finite number")
    }

    /// The value among `choices` whose word is given under this name, or `default` where none is given.
    ///
    /// # Errors
    /// [`EnvError::Option`] when it is given and is none of the choices.
    pub fn choice<T: Copy>(&self, name: &str, default: T, choices: &[(&str, T)]) -> Result<T, EnvError> {
        let chosen = |value: &Value| {
            let word = value.as_str()?;
            choices.iter().find(|(choice, _)| *choice == word).map(|(_, meaning)| *meaning)
        };
        let words: Vec<_> = choices.iter().map(|(choice, _)| format!("\"{choice}\"")).collect();
        self.get(name, default, chosen, &words.join(" or "))
    }

    /// The text of this name, or `default` where it is not given.
    ///
    /// # Errors
    /// [`EnvError::Option`] when it is given and is not a text.
    pub fn text(&self, name: &str, default: &str) -> Result<String, EnvError> {
        self.get(name, default.into(), |value| value.as_str().map(String::from), "a text in quotes")
    }

    /// The list of texts of this name, or `None` where it is not given.
    ///
    /// # Errors
    /// [`EnvError::Option`] when it is given and is not a list of texts.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, EnvError> {
        let text = |value: &Value| value.as_str().map(String::from);
        let texts = |value: &Value| value.as_array()?.iter().map(text).collect::<Option<Vec<_>>>().map(Some);
        self.get(name, None, texts, "a list of texts in quotes")
    }

    /// The `N` numbers of this name, or `default` where they are not given.
    ///
    /// # Errors
    /// [`EnvError::Option`] when they are given and are not a list of `N` numbers.
    pub fn numbers<const N: usize>(&self, name: &str, default: [f64; N]) -> Result<[f64; N], EnvError> {
        let numbers = |value: &Value| {
            let numbers: Option<Vec<_>> = value.as_array()?.iter().map(number).collect();
            numbers?.try_into().ok()
        };
        self.get(name, default, numbers, &format!("a list of {N} numbers"))
    }

    /// The table of this name, or an empty one where it is not given.
    ///
    /// # Errors
    /// [`EnvError::Option`] when it is given and is not a table.
    pub fn table(&self, name: &str) -> Result<Table, EnvError> {
        self.get(name, Table::new(), |value| value.as_table().cloned(), "a table: { key = value }")
    }

    /// The list of this name, with values of any kind, or an empty one where it is not given.
    ///
    /// # Errors
    /// [`EnvError::Option`] when it is given and is not a list.
    pub fn list(&self, name: &str) -> Result<Vec<Value>, EnvError> {
        self.get(name, Vec::new(), |value| value.as_array().cloned(), "a list: [value, value]")
    }

    /// Returns true if the option is given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn get<T>(
        &self,
        name: &str,
        default: T,
        read: impl Fn(&Value) -> Option<T>,
        what: &str,
    ) -> Result<T, EnvError> {
        match self.0.get(name) {
            None => Ok(default),
            Some(value) => {
                read(value).ok_or_else(|| EnvError::Option(format!("`{name}` is {value}: give {what}")))
            }
        }
    }

    pub(super) fn check_names(&self, id: &str, known: &[&str]) -> Result<(), EnvError> {
        let known = || known.iter().copied().chain([LIMIT]);
        let Some(wrong) = self.0.keys().find(|key| known().all(|name| name != key.as_str())) else {
            return Ok(());
        };
        let (hint, known) = (did_you_mean(wrong, known()), known().collect::<Vec<_>>().join(", "));
        Err(EnvError::Option(format!("{id} has no option `{wrong}`{hint}; there are: {known}")))
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|number| number as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> EnvOptions {
        EnvOptions::new(text.parse().unwrap())
    }

    #[test]
    fn options_of_every_kind_are_read() {
        let options = options("name = \"a\"\nlist = [\"b\", \"c\"]\nnumbers = [1, 2.5]");
        assert_eq!(options.text("name", "z"), Ok("a".into()));
        assert_eq!(options.text("other", "z"), Ok("z".into()));
        assert_eq!(options.texts("list"), Ok(Some(vec!["b".into(), "c".into()])));
        assert_eq!(options.texts("other"), Ok(None));
        assert_eq!(options.list("numbers").map(|list| list.len()), Ok(2));
        assert_eq!(options.list("other"), Ok(Vec::new()));
        assert_eq!(options.table("other"), Ok(Table::new()));
        assert_eq!(options.numbers("numbers", [0.0; 2]), Ok([1.0, 2.5]));
        assert_eq!(options.numbers("other", [3.0]), Ok([3.0]));
    }

    #[test]
    fn a_value_of_another_kind_is_refused() {
        let options = options("name = 1\nlist = [\"b\", 2]\nnumbers = [1, 2.5]");
        let message = |given: &str| format!("environment option: {given}");
        let error = options.text("name", "z").unwrap_err().to_string();
        assert_eq!(error, message("`name` is 1: give a text in quotes"));
        let error = options.texts("list").unwrap_err().to_string();
        assert_eq!(error, message("`list` is [\"b\", 2]: give a list of texts in quotes"));
        let error = options.table("name").unwrap_err().to_string();
        assert_eq!(error, message("`name` is 1: give a table: { key = value }"));
        let error = options.list("name").unwrap_err().to_string();
        assert_eq!(error, message("`name` is 1: give a list: [value, value]"));
        let error = options.numbers("numbers", [0.0; 3]).unwrap_err().to_string();
        assert_eq!(error, message("`numbers` is [1, 2.5]: give a list of 3 numbers"));
    }
}
