//! The language model: its loss, its measures and the texts that it writes.

use pavlov_common::SeededRng;
use pavlov_data::Vocabulary;
use pavlov_nn::layers::Sequential;
use pavlov_nn::{Module, Parameters, Pass};
use rand::RngExt;
use tch::{Kind, Reduction, Tensor};

use crate::core::{Criterion, Loss, Measured, Model, SampleRequest, Samples, TaskError, Tensors};

#[derive(Debug)]
pub(super) struct LanguageModel {
    pub network: Sequential,
    pub vocabulary: Vec<String>,
    /// The tokens of a window.
    pub length: usize,
}

/// The sums of a measurement.
#[derive(Debug, Default)]
pub(super) struct Sums {
    nats: f64,
    right: f64,
    tokens: f64,
}

impl LanguageModel {
    /// The logits of each next token, f32 `[rows * steps, vocabulary]`.
    fn logits(&self, pass: &mut Pass<'_>, tokens: &Tensor) -> Result<Tensor, TaskError> {
        Ok(self.network.forward(pass, tokens)?.f_reshape([-1, self.vocabulary.len() as i64])?)
    }

    /// The next token after each of these texts.
    fn draw(
        &self,
        parameters: &Parameters,
        texts: &[Vec<i64>],
        temperature: f64,
        rng: &mut SeededRng,
    ) -> Result<Vec<i64>, TaskError> {
        let steps = texts.iter().map(Vec::len).min().unwrap_or(0).min(self.length);
        let window: Vec<i64> = texts.iter().flat_map(|text| text[text.len() - steps..].to_vec()).collect();
        let tokens = Tensor::f_from_slice(&window)?.f_view([texts.len() as i64, steps as i64])?;
        let outputs =
            self.network.forward(&mut Pass::eval(parameters), &tokens.f_to(parameters.device())?)?;
        let last = outputs.f_select(1, steps as i64 - 1)?.f_div_scalar(temperature)?;
        let shares = last.f_softmax(1, Kind::Double)?.f_contiguous()?.f_view([-1])?;
        let shares = Vec::<f64>::try_from(shares)?;
        let choose = |row: &[f64]| {
            let mut left = rng.random::<f64>() * row.iter().sum::<f64>();
            let place = row.iter().position(|share| {
                left -= share;
                left < 0.0
            });
            place.unwrap_or(row.len() - 1) as i64
        };
        Ok(shares.chunks_exact(self.vocabulary.len()).map(choose).collect())
    }

    /// True if every token is one character.
    fn of_characters(&self) -> bool {
        self.vocabulary.iter().all(|token| token.chars().count() <= 1)
    }
}

impl Model for LanguageModel {
    type Sums = Sums;

    const CRITERION: Criterion = Criterion { metric: "loss", highest_is_best: false };

    fn loss(&self, pass: &mut Pass<'_>, batch: &Tensors, _: &mut SeededRng) -> Result<Loss, TaskError> {
        let logits = self.logits(pass, &batch.inputs)?;
        let next = batch.classes.f_view([-1])?;
        Ok(Loss::of(logits.f_cross_entropy_loss::<Tensor>(&next, None, Reduction::Mean, -100, 0.0)?))
    }

    fn add(&self, pass: &mut Pass<'_>, batch: &Tensors, sums: &mut Sums) -> Result<(), TaskError> {
        let logits = self.logits(pass, &batch.inputs)?;
        let next = batch.classes.f_view([-1])?;
        let nats = logits.f_cross_entropy_loss::<Tensor>(&next, None, Reduction::Sum, -100, 0.0)?;
        sums.nats += nats.f_double_value(&[])?;
        let right = logits.f_argmax(1, false)?.f_eq_tensor(&next)?;
        sums.right += right.f_sum(Kind::Double)?.f_double_value(&[])?;
        sums.tokens += next.numel() as f64;
        Ok(())
    }

    fn measured(&self, _: &mut Pass<'_>, sums: Sums) -> Result<Measured, TaskError> {
        let loss = sums.nats / sums.tokens.max(1.0);
        let bits = if self.of_characters() { "bits_per_character" } else { "bits_per_word" };
        let metrics = [
            ("loss", loss),
            ("perplexity", loss.exp()),
            (bits, loss / std::f64::consts::LN_2),
            ("accuracy", sums.right / sums.tokens.max(1.0)),
        ];
        let metrics = metrics.map(|(name, value)| (name.to_string(), value)).into();
        Ok(Measured { metrics, pictures: Vec::new() })
    }

    fn predict(&self, pass: &mut Pass<'_>, inputs: &Tensor) -> Result<Tensor, TaskError> {
        Ok(self.network.forward(pass, inputs)?.f_softmax(-1, Kind::Float)?)
    }

    fn samples(&self, parameters: &Parameters, request: &SampleRequest) -> Result<Samples, TaskError> {
        let mut rng = SeededRng::seeded(request.seed);
        let vocabulary = Vocabulary::of_list(&self.vocabulary)?;
        let prompt = vocabulary.encode(&request.prompt)?;
        // Without a prompt each text begins with a token by chance.
        let begin = |rng: &mut SeededRng| match prompt.is_empty() {
            true => vec![rng.random_range(0..self.vocabulary.len()) as i64],
            false => prompt.clone(),
        };
        let mut texts: Vec<Vec<i64>> = (0..request.count).map(|_| begin(&mut rng)).collect();
        for _ in 0..request.length {
            let next = self.draw(parameters, &texts, request.temperature, &mut rng)?;
            texts.iter_mut().zip(next).for_each(|(text, token)| text.push(token));
        }
        Ok(Samples::Texts(texts.iter().map(|tokens| vocabulary.decode(tokens)).collect()))
    }
}
