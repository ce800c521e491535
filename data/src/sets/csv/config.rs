//! The settings of a table.

use serde::Deserialize;

use super::columns::Survey;
use crate::DataError;

/// The data set's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CsvConfig {
    /// The column to be learned, or several that are numbers; without it the last.
    pub target: Option<Names>,
    /// What the target is.
    pub kind: Kind,
    /// What is done with columns of the input that have text.
    pub text: TextColumns,
    /// Columns to leave out.
    pub ignore: Vec<String>,
    /// The character between cells.
    pub delimiter: char,
    /// True if the first line has the columns' names; else they are `column 1`, `column 2`, ...
    pub header: bool,
    /// The shape, `[channels, height, width]`, of a picture that the columns of the input are.
    pub image: Option<[usize; 3]>,
    /// The number that all numbers of the input are divided by.
    pub scale: f32,
}

impl Default for CsvConfig {
    fn default() -> Self {
        Self {
            target: None,
            kind: Kind::Auto,
            text: TextColumns::Error,
            ignore: Vec::new(),
            delimiter: ',',
            header: true,
            image: None,
            scale: 1.0,
        }
    }
}

/// One name or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Names {
    One(String),
    Several(Vec<String>),
}

impl Names {
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// What the target of a table is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// A class where the target is one column with text, or with whole numbers of at most 20 different
    /// values; else numbers.
    Auto,
    Class,
    Number,
    /// There is no target: all columns are input.
    None,
}

/// The most different whole numbers of a target that is taken for classes.
const MOST_WHOLE_CLASSES: usize = 20;

impl Kind {
    /// The kind of these target columns, no longer `Auto`.
    pub fn decided(self, targets: &[usize], surveys: &[Survey]) -> Self {
        match (self, targets) {
            (Self::Auto, []) => Self::None,
            (Self::Auto, [column]) => {
                let survey = &surveys[*column];
                let few = survey.values().is_some_and(|values| values.len() <= MOST_WHOLE_CLASSES);
                let few = few && survey.is_whole();
                if survey.is_text() || few { Self::Class } else { Self::Number }
            }
            (Self::Auto, _) => Self::Number,
            (kind, _) => kind,
        }
    }
}

/// What is done with columns of the input that have text.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum TextColumns {
    /// They are an error.
    Error,
    /// Each value is a number of its own, 1 where the column has it and 0 elsewhere.
    OneHot,
}

impl CsvConfig {
    pub fn check(&self) -> Result<(), DataError> {
        let wrong = |message: String| Err(DataError::Config(message));
        if !self.delimiter.is_ascii() || "\"\r\n".contains(self.delimiter) {
            return wrong(format!("`delimiter` is {:?}: give one plain character", self.delimiter));
        }
        if !self.scale.is_normal() {
            return wrong(format!("`scale` is {}: give a number other than 0", self.scale));
        }
        if self.image.is_some_and(|shape| shape.contains(&0)) {
            return wrong("`image` has a 0: give channels, height and width".into());
        }
        if self.target.as_ref().is_some_and(|target| target.names().is_empty()) {
            return wrong("`target` names no column: set `kind = \"none\"` where there is none".into());
        }
        let names = self.target.as_ref().map_or(&[][..], Names::names);
        if let Some(twice) = names.iter().enumerate().find(|(place, name)| names[..*place].contains(name)) {
            return wrong(format!("`target` names the column `{}` twice", twice.1));
        }
        if self.kind == Kind::None && self.target.is_some() {
            return wrong("`kind` is \"none\", but `target` names a column: leave one of them out".into());
        }
        Ok(())
    }
}
