//! Language models: the probability of each next token, by the cross entropy.
//!
//! The network reads windows of a text, each from an empty memory. What it writes is drawn token by token
//! from its probabilities; `temperature` divides the logits.

mod model;

use pavlov_data::{Input, Target};
use pavlov_nn::Layout;
use serde::{Deserialize, Serialize};

use crate::core::{Supervised, Task, TaskConfig, TaskContext, TaskError};
use crate::networks::{NetConfig, reader};
use model::LanguageModel;

/// The configuration of language models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LanguageConfig {
    /// The network: from tokens `[steps]` to `[steps, width]`. What it gives at a step must not depend on
    /// later tokens.
    pub net: NetConfig,
}

impl TaskConfig for LanguageConfig {
    const NAME: &'static str = "language";
    const SUMMARY: &'static str =
        "Language models of characters or words, by the cross entropy of the next token";

    fn validate(&self) -> Result<(), TaskError> {
        Ok(())
    }

    fn build(&self, context: &TaskContext) -> Result<Box<dyn Task>, TaskError> {
        let (Input::Tokens { length, vocabulary }, Target::Next) = (&context.input, &context.target) else {
            return Err(TaskError::Unsupported(
                "a language model learns the next token, and the data is no text: try the data set `text`"
                    .into(),
            ));
        };
        let mut layout = Layout::new();
        let outputs = (vocabulary.len() as i64, true);
        let network =
            self.net.build_with_head(&mut layout, &context.input, outputs, || reader(&context.input))?;
        let model = LanguageModel { network, vocabulary: vocabulary.clone(), length: *length };
        Ok(Box::new(Supervised::new(model, &layout, context)?))
    }
}

#[cfg(test)]
mod tests;
