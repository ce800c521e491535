//! The configuration of classifiers.

use pavlov_data::{Input, Target};
use pavlov_nn::Layout;
use pavlov_nn::layers::Layers;
use serde::{Deserialize, Serialize};

use super::model::Classifier;
use crate::core::{Supervised, Task, TaskConfig, TaskContext, TaskError};
use crate::networks::{NetConfig, hearing, judge};

macro_rules! classifiers {
    ($($(#[$doc:meta])* $config:ident, $name:literal, $summary:literal, $standard:path;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $config {
            /// The network.
            pub net: NetConfig,
            /// The share of a label's weight that goes to all classes alike, `0 <= label_smoothing < 1`.
            pub label_smoothing: f64,
            /// Pairs of samples are mixed with a share drawn from Beta(alpha, alpha); 0 mixes none.
            pub mixup_alpha: f64,
            /// `accuracy_top_k` counts a sample if its class is among so many likeliest.
            pub top_k: i64,
        }

        impl Default for $config {
            fn default() -> Self {
                Self { net: NetConfig::default(), label_smoothing: 0.0, mixup_alpha: 0.0, top_k: 5 }
            }
        }

        impl TaskConfig for $config {
            const NAME: &'static str = $name;
            const SUMMARY: &'static str = $summary;

            fn validate(&self) -> Result<(), TaskError> {
                validate(self.label_smoothing, self.mixup_alpha, self.top_k)
            }

            fn build(&self, context: &TaskContext) -> Result<Box<dyn Task>, TaskError> {
                let Self { net, label_smoothing, mixup_alpha, top_k } = self;
                task(context, net, *label_smoothing, *mixup_alpha, *top_k, $standard)
            }
        }
    )*};
}

classifiers! {
    /// A classifier of pictures, rows of numbers or sequences of tokens.
    ClassifierConfig, "classifier", "Classification of pictures, tables and sequences, by cross entropy", judge;
    /// A recogniser of spoken words.
    SpeechConfig, "speech", "Recognition of spoken words in log-mel spectrograms, by a convolutional and recurrent network", hearing;
}

fn validate(label_smoothing: f64, mixup_alpha: f64, top_k: i64) -> Result<(), TaskError> {
    if !(0.0..1.0).contains(&label_smoothing) {
        return Err(TaskError::Config(format!("label_smoothing is {label_smoothing}: give 0 to below 1")));
    }
    if !(mixup_alpha >= 0.0 && mixup_alpha.is_finite()) {
        return Err(TaskError::Config(format!("mixup_alpha is {mixup_alpha}: give 0 or more")));
    }
    if top_k < 1 {
        return Err(TaskError::Config(format!("top_k is {top_k}: give at least 1")));
    }
    Ok(())
}

fn task(
    context: &TaskContext,
    net: &NetConfig,
    label_smoothing: f64,
    mixup_alpha: f64,
    top_k: i64,
    standard: fn(&Input) -> Result<Layers, TaskError>,
) -> Result<Box<dyn Task>, TaskError> {
    let Target::Class { names } = &context.target else {
        return Err(TaskError::Unsupported(
            "a classifier learns classes, and the data has none: `regression` learns numbers, `autoencoder` \
             and `gan` need no targets, `language` learns texts"
                .into(),
        ));
    };
    if names.len() < 2 {
        return Err(TaskError::Unsupported(
            "a classifier needs at least two classes; the data has one".into(),
        ));
    }
    if mixup_alpha > 0.0 && matches!(context.input, Input::Tokens { .. }) {
        return Err(TaskError::Config("mixup_alpha: tokens cannot be mixed; set it to 0".into()));
    }
    let mut layout = Layout::new();
    let input = &context.input;
    let network = net.build_with_head(&mut layout, input, (names.len() as i64, false), || standard(input))?;
    let model = Classifier {
        network,
        names: names.clone(),
        input: input.clone(),
        label_smoothing,
        mixup_alpha,
        top_k: top_k.min(names.len() as i64),
    };
    Ok(Box::new(Supervised::new(model, &layout, context)?))
}
