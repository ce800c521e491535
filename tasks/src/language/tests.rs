//! The measures of language models, held to torchmetrics' and PyTorch's.

use pavlov_data::{Batch, Input};

use super::*;
use crate::recorded::{CUTS, Recorded, assert_near, measured, passing, task, told, waves};

#[test]
fn measures_are_torchmetrics_however_windows_are_cut_into_batches() {
    let recorded = Recorded::case("language");
    for (vocabulary, bits) in [
        (["a", "b", "c", "d", "e", "f"], "bits_per_character"),
        (["the", "b", "c", "d", "e", "f"], "bits_per_word"),
    ] {
        let input = Input::Tokens { length: 4, vocabulary: vocabulary.map(String::from).to_vec() };
        // The logits of the next token are the embedding of the last one.
        let mut weights = passing(6);
        weights.push(("net.0.weight", waves(&[6, 6], 1.1, 2.0, 0.0)));
        let layers = "net.layers = [{ embedding = { vocabulary = 6, width = 6 } }]";
        let mut task = task::<LanguageConfig>(layers, input, Target::Next, &weights);
        let tokens = recorded.integers("tokens");
        let batch = Batch { rows: 8, tokens, indices: (0..8).collect(), ..Batch::default() };
        for sizes in CUTS {
            let metrics = measured(task.as_mut(), &batch, sizes);
            for key in ["loss", "perplexity", "accuracy"] {
                recorded.hold(key, metrics[key]);
            }
            recorded.hold("bits_per_character", metrics[bits]);
        }
        assert_near("train/loss", told(task.as_mut(), &batch)["train/loss"], recorded.number("loss"));
    }
}
