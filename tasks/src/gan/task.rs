//! The updates of a GAN, its measures and its samples.

use pavlov_common::{SeededRng, derive_seed};
use pavlov_data::Batch;
use pavlov_nn::means::check_losses;
use pavlov_nn::{Draw, LoadReport, Means, Parameters, Pass, Rename, StateDict, StateView, random};
use rand::RngExt;
use tch::{Kind, Reduction, Tensor};

use super::config::{Adversary, GanConfig};
use super::losses::{gradient_penalty, sliced_wasserstein};
use super::networks::{Layouts, Networks};
use crate::core::{
    Batches, Criterion, Learner, Measured, Metrics, Pictures, SampleRequest, Samples, Task, TaskContext,
    TaskError, Tensors, check_loss, sheet,
};

const CRITERION: Criterion = Criterion { metric: "sliced_wasserstein", highest_is_best: false };
const LOSSES: [&str; 2] = ["train/discriminator_loss", "train/generator_loss"];
const OTHERS: [&str; 3] = ["train/score_real", "train/score_made", "train/gradient_penalty"];
/// Pictures that a measurement compares.
const COMPARED: i64 = 1_024;

/// A generator and a discriminator that learn from each other.
pub(super) struct Gan {
    config: GanConfig,
    networks: Networks,
    generator: Learner,
    discriminator: Learner,
    context: TaskContext,
    means: Means,
    rng: SeededRng,
}

impl Gan {
    pub fn new(
        config: GanConfig,
        networks: Networks,
        layouts: Layouts,
        context: &TaskContext,
    ) -> Result<Self, TaskError> {
        let TaskContext { learning, seed, device, group, .. } = context;
        let circumstances = (*seed, *device, group);
        let all = [&layouts.generator, &layouts.discriminator];
        let generating = learning.for_network(all[0], &all)?;
        let mut discriminating = learning.for_network(all[1], &all)?;
        // The moving mean is of the network that is used, and that is the generator alone.
        discriminating.ema_decay = None;
        Ok(Self {
            generator: Learner::new(&layouts.generator, &generating, "generator", circumstances)?,
            discriminator: Learner::new(
                &layouts.discriminator,
                &discriminating,
                "discriminator",
                circumstances,
            )?
            .with_rate_factor(config.discriminator_rate),
            config,
            networks,
            context: context.clone(),
            means: Means::default(),
            rng: SeededRng::seeded(derive_seed(*seed, "noise", group.shard() as u64)),
        })
    }

    fn noise(&mut self, rows: i64) -> Result<Tensor, TaskError> {
        Ok(random(&[rows, self.config.noise], self.context.device, Draw::Normal, self.rng.random())?)
    }

    fn tensors(&self, batch: &Batch) -> Result<Tensors, TaskError> {
        let TaskContext { input, target, device, .. } = &self.context;
        Tensors::of(batch, input, target, *device)
    }

    /// One step of the discriminator on a batch of real pictures and as many made ones.
    fn discriminate(&mut self, batch: &Tensors, progress: f64) -> Result<(), TaskError> {
        let noise = self.noise(batch.rows)?;
        let mix_seed: u64 = self.rng.random();
        let shares: Vec<f32> = match self.config.adversary {
            Adversary::Standard => Vec::new(),
            Adversary::Wasserstein => (0..batch.rows).map(|_| self.rng.random()).collect(),
        };
        let Self { config, networks, generator, discriminator, context, means, .. } = self;
        let real = centred(&batch.inputs)?;
        let made = {
            let _guard = tch::no_grad_guard();
            // The statistics of the batch, as in training: those of use would show the discriminator
            // pictures that it never judges.
            let mut rng = SeededRng::seeded(mix_seed);
            networks.generate(&mut Pass::train(generator.parameters(), &mut rng), &noise, &batch.classes)?
        };
        discriminator.update(progress, batch.rows as usize, |pass| {
            let real_scores = networks.score(pass, &real, &batch.classes)?;
            let made_scores = networks.score(pass, &made, &batch.classes)?;
            let loss = match config.adversary {
                Adversary::Standard => cross_entropy(&real_scores, config.real_label)?
                    .f_add(&cross_entropy(&made_scores, 0.0)?)?,
                Adversary::Wasserstein => {
                    let difference =
                        made_scores.f_mean(Kind::Float)?.f_sub(&real_scores.f_mean(Kind::Float)?)?;
                    let shares = Tensor::f_from_slice(&shares)?.f_view([batch.rows, 1, 1, 1])?;
                    let shares = shares.f_to_device(context.device)?;
                    let penalty = gradient_penalty(&real, &made, &shares, |between| {
                        networks.score(pass, between, &batch.classes)
                    })?;
                    means.add_scalar("train/gradient_penalty", &penalty.f_detach()?.into())?;
                    difference.f_add(&penalty.f_mul_scalar(config.gradient_penalty)?)?
                }
            };
            check_loss(&loss, &batch.indices)?;
            loss.f_backward()?;
            means.add_scalar("train/discriminator_loss", &loss.into())?;
            means.add_scalar("train/score_real", &real_scores.f_mean(Kind::Float)?.into())?;
            Ok(means.add_scalar("train/score_made", &made_scores.f_mean(Kind::Float)?.into())?)
        })
    }

    /// One step of the generator, which makes pictures of the batch's classes.
    fn generate(&mut self, batch: &Tensors, progress: f64) -> Result<(), TaskError> {
        let noise = self.noise(batch.rows)?;
        let Self { config, networks, generator, discriminator, means, rng, .. } = self;
        // The discriminator judges and does not learn: its gradients have nowhere to go.
        let judge = discriminator.parameters().frozen_view()?;
        generator.update(progress, batch.rows as usize, |pass| {
            let made = networks.generate(pass, &noise, &batch.classes)?;
            let scores = networks.score(&mut Pass::train(&judge, rng), &made, &batch.classes)?;
            let loss = match config.adversary {
                Adversary::Standard => cross_entropy(&scores, 1.0)?,
                Adversary::Wasserstein => scores.f_mean(Kind::Float)?.f_neg()?,
            };
            check_loss(&loss, &batch.indices)?;
            loss.f_backward()?;
            Ok(means.add_scalar("train/generator_loss", &loss.into())?)
        })
    }

    /// Pictures from 0 to 1 by the weights that are used.
    fn drawn(&self, classes: &Tensor, seed: u64) -> Result<Tensor, TaskError> {
        let rows = classes.size()[0];
        let noise = random(&[rows, self.config.noise], self.context.device, Draw::Normal, seed)?;
        let parameters: &Parameters = self.generator.best_parameters();
        let made = self.networks.generate(&mut Pass::eval(parameters), &noise, classes)?;
        Ok(made.f_add_scalar(1.0)?.f_div_scalar(2.0)?)
    }

    /// So many classes, one after the other and again.
    fn classes_in_turn(&self, count: i64) -> Result<Tensor, TaskError> {
        let options = (Kind::Int64, self.context.device);
        Ok(Tensor::f_arange(count, options)?.f_remainder(self.networks.classes.max(1))?)
    }
}

/// Refuses pictures that the generator's last layer, a tanh, cannot make.
fn check_range(pictures: &Tensor) -> Result<(), TaskError> {
    let (least, largest) = (pictures.f_min()?.f_double_value(&[])?, pictures.f_max()?.f_double_value(&[])?);
    if least >= -1e-3 && largest <= 1.001 {
        return Ok(());
    }
    Err(TaskError::Unsupported(format!(
        "a GAN makes pictures of numbers from 0 to 1, and the first batch has numbers from {least} to {largest}: \
         scale the data (of `csv` by data.options.scale)"
    )))
}

/// Pictures from 0 to 1 as the networks have them, from -1 to 1.
fn centred(pictures: &Tensor) -> Result<Tensor, TaskError> {
    Ok(pictures.f_mul_scalar(2.0)?.f_sub_scalar(1.0)?)
}

/// The mean cross entropy of scores, as logits of a chance, and one label for all.
fn cross_entropy(scores: &Tensor, label: f64) -> Result<Tensor, TaskError> {
    let labels = scores.f_full_like(label)?;
    Ok(scores.f_binary_cross_entropy_with_logits::<Tensor>(&labels, None, None, Reduction::Mean)?)
}

impl Task for Gan {
    fn learn(&mut self, batches: &[Batch], progress: f64) -> Result<(), TaskError> {
        let batches = batches.iter().map(|batch| self.tensors(batch)).collect::<Result<Vec<_>, _>>()?;
        // Batch norm and the game look at the batch as a whole: batches that count together are one.
        let batch = Tensors::joined(&batches)?;
        if self.updates() == 0 {
            check_range(&batch.inputs)?;
        }
        self.discriminate(&batch, progress)?;
        // Each network passes in training when the other learns, too.
        self.generator.average_buffers()?;
        if self.discriminator.updates().is_multiple_of(self.config.discriminator_steps as u64) {
            self.generate(&batch, progress)?;
            self.discriminator.average_buffers()?;
        }
        Ok(())
    }

    fn updates(&self) -> u64 {
        self.discriminator.updates()
    }

    fn take_metrics(&mut self) -> Result<Metrics, TaskError> {
        let means = self.means.take(&[&LOSSES[..], &OTHERS].concat())?;
        check_losses(&means, &LOSSES)?;
        let mut metrics: Metrics = means.into_iter().map(|(tag, mean)| (tag.to_string(), mean)).collect();
        if let Some(loss) = metrics.get("train/generator_loss").copied() {
            metrics.insert("train/loss".into(), loss);
        }
        metrics.insert("train/learning_rate".into(), self.generator.rate());
        metrics.insert("train/n_updates".into(), self.updates() as f64);
        for (tag, learner) in [
            ("train/generator_gradient_norm", &mut self.generator),
            ("train/discriminator_gradient_norm", &mut self.discriminator),
        ] {
            if let Some(norm) = learner.take_gradient_norm()? {
                metrics.insert(tag.into(), norm);
            }
        }
        Ok(metrics)
    }

    fn has_one_loss(&self) -> bool {
        false
    }

    fn measure(&mut self, batches: &mut dyn Batches) -> Result<Measured, TaskError> {
        let _guard = tch::no_grad_guard();
        let (mut real, mut classes, mut count) = (Vec::new(), Vec::new(), 0);
        while let Some(batch) = batches.next()? {
            if count < COMPARED {
                let batch = self.tensors(&batch)?;
                count += batch.rows;
                real.push(batch.inputs);
                classes.push(batch.classes);
            }
        }
        let real = Tensor::f_cat(&real, 0)?;
        let asked = match self.networks.classes {
            0 => self.classes_in_turn(count)?,
            _ => Tensor::f_cat(&classes, 0)?,
        };
        let distance = sliced_wasserstein(&real, &self.drawn(&asked, 1)?, 2)?;
        let samples = self.drawn(&self.classes_in_turn(self.networks.classes.max(8) * 8)?, 0)?;
        let columns = self.networks.classes.max(8) as usize;
        Ok(Measured {
            metrics: Metrics::from([("sliced_wasserstein".to_string(), distance)]),
            pictures: vec![("samples".to_string(), sheet(&samples, columns)?)],
        })
    }

    fn criterion(&self) -> Criterion {
        CRITERION
    }

    fn validated(&mut self, value: f64) {
        self.generator.validated(value, CRITERION);
        self.discriminator.validated(value, CRITERION);
    }

    fn predict(&mut self, _: &Batch) -> Result<Tensor, TaskError> {
        Err(TaskError::Unsupported(
            "a GAN makes pictures from noise and has no inputs: ask for samples".into(),
        ))
    }

    fn samples(&mut self, request: &SampleRequest) -> Result<Samples, TaskError> {
        let _guard = tch::no_grad_guard();
        let classes = self.networks.classes;
        let count = request.count as i64;
        let asked = match request.class {
            None => self.classes_in_turn(count)?,
            Some(class) if (class as i64) < classes => {
                Tensor::f_full([count], class as i64, (Kind::Int64, self.context.device))?
            }
            Some(class) => {
                return Err(TaskError::Unsupported(match classes {
                    0 => "this GAN is not conditional: it makes no pictures of a given class".into(),
                    _ => format!("there is no class {class}: give 0 to {}", classes - 1),
                }));
            }
        };
        let columns = match (classes, request.class) {
            (0, _) | (_, Some(_)) => (request.count as f64).sqrt().ceil() as usize,
            (classes, None) => classes as usize,
        };
        let mut pictures = Pictures::of(&self.drawn(&asked, request.seed)?, columns)?;
        if classes > 0 {
            pictures.classes =
                Vec::<i64>::try_from(&asked)?.into_iter().map(|class| class as usize).collect();
        }
        Ok(Samples::Pictures(pictures))
    }

    fn weights(&self) -> Result<StateDict<'static>, TaskError> {
        let mut weights = StateDict::new();
        weights.nest("generator", self.generator.weights()?);
        weights.nest("discriminator", self.discriminator.weights()?);
        Ok(weights)
    }

    fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), TaskError> {
        // The generator must not be changed by weights that the discriminator refuses.
        self.discriminator.check_weights(&weights.part("discriminator"))?;
        self.generator.load_weights(&weights.part("generator"))?;
        self.discriminator.load_weights(&weights.part("discriminator"))
    }

    /// The generator's and the discriminator's weights stand under these names, as [`Task::weights`] gives
    /// them.
    fn load_pretrained(
        &mut self,
        weights: &StateView<'_>,
        renames: &[Rename],
    ) -> Result<LoadReport, TaskError> {
        let mut whole = LoadReport::default();
        for (name, learner) in
            [("generator", &mut self.generator), ("discriminator", &mut self.discriminator)]
        {
            let report = learner.load_matching(&weights.part(name), renames)?;
            let named = |names: Vec<String>| names.into_iter().map(move |own| format!("{name}.{own}"));
            whole.matched.extend(named(report.matched));
            whole.missing.extend(named(report.missing));
            whole.unexpected.extend(named(report.unexpected));
            whole.other_shape.extend(report.other_shape);
        }
        Ok(whole)
    }

    fn state(&self) -> Result<StateDict<'_>, TaskError> {
        let mut state = StateDict::new();
        state.nest("generator", self.generator.state()?);
        state.nest("discriminator", self.discriminator.state()?);
        state.put_value("rng", &self.rng)?;
        state.put_value("means", &self.means.saved()?)?;
        Ok(state)
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), TaskError> {
        self.generator.load_state(&state.part("generator"))?;
        self.discriminator.load_state(&state.part("discriminator"))?;
        self.rng = state.value("rng")?;
        self.means = Means::from_saved(state.value("means")?);
        Ok(())
    }
}
