//! One gradient step: zero, backward, reduce, clip, step, count.

use pavlov_common::SeededRng;
use pavlov_group::Group;
use tch::{Device, Kind, Tensor};

use crate::optim::{self, check_trainable};
use crate::shim::on_the_cpu_alone;
use crate::{
    HostBuffer, Layout, LoadReport, NnError, Optimizer, OptimizerConfig, Parameters, Pass, Rename, Role,
    StateDict, StateView, backward,
};

/// The other shards of a training, with which every step is made together.
#[derive(Debug)]
struct Together {
    group: Group,
    /// The weight of this shard's next gradient.
    weight: f32,
    /// Numbers on their way between the shards, in ordinary memory: at least as many as are needed.
    room: Option<HostBuffer<f32>>,
}

impl Together {
    /// Replaces the gradients, and the buffers that a pass in training wrote, by their weighted means over all
    /// shards. Returns false if no shard has anything to learn from.
    fn reduce(&mut self, parameters: &Parameters) -> Result<bool, NnError> {
        let weight = std::mem::replace(&mut self.weight, 1.0);
        let Some(gradients) = parameters.gradients() else { return Ok(true) };
        self.mean(&[gradients.shallow_clone(), buffers(parameters)?], weight)
    }

    /// Replaces flat tensors by their means over all shards, of which this one counts with this weight. Returns
    /// false, and leaves them, if all weights are 0.
    fn mean(&mut self, tensors: &[Tensor], weight: f32) -> Result<bool, NnError> {
        let of_weight: usize = tensors.iter().map(Tensor::numel).sum();
        let len = of_weight + 1;
        let room = match self.room.take() {
            Some(room) if room.tensor().numel() >= len => room,
            _ => HostBuffer::bound_for(tensors[0].device(), &[len as i64])?,
        };
        let room = self.room.insert(room);
        let _guard = tch::no_grad_guard();
        let (mut parts, mut start) = (Vec::new(), 0);
        for tensor in tensors {
            let len = tensor.numel() as i64;
            let mut part = room.tensor().f_narrow(0, start, len)?;
            part.f_copy_(tensor)?;
            parts.push(part);
            start += len;
        }
        let numbers = &mut room.as_mut_slice()[..len];
        numbers[of_weight] = 1.0;
        if weight != 1.0 {
            numbers.iter_mut().for_each(|number| *number *= weight);
        }
        self.group.sum(numbers)?;
        let total = numbers[of_weight];
        if total == 0.0 {
            return Ok(false);
        }
        numbers[..of_weight].iter_mut().for_each(|number| *number /= total);
        for (tensor, part) in tensors.iter().zip(&parts) {
            tensor.shallow_clone().f_copy_(part)?;
        }
        Ok(true)
    }
}

/// The buffers, flat, in the same memory.
fn buffers(parameters: &Parameters) -> Result<Tensor, NnError> {
    let layout = parameters.layout();
    let from = layout.parameters_len();
    Ok(parameters.values().f_narrow(0, from, layout.len() - from)?)
}

/// A network's numbers with all that a gradient step needs: the optimiser, the clipping, the generator that
/// dropout draws from, and the count of steps made.
#[derive(Debug)]
pub struct Trainable {
    parameters: Parameters,
    optimizer: Optimizer,
    gradient_clip_norm: Option<f64>,
    rng: SeededRng,
    together: Option<Together>,
    updates: u64,
    /// The sum of the gradients' norms before clipping since they were last asked for, f64 `[]` on the
    /// device: no step waits for it.
    norms: Tensor,
    counted: u64,
}

impl Trainable {
    /// Parameters that have made no step yet. `seed` starts the generator that dropout draws from.
    ///
    /// # Errors
    /// [`NnError::Config`] when the optimiser's configuration makes no sense or nothing is trainable.
    pub fn new(
        parameters: Parameters,
        optimizer: &OptimizerConfig,
        gradient_clip_norm: Option<f64>,
        seed: u64,
    ) -> Result<Self, NnError> {
        Ok(Self {
            optimizer: Optimizer::new(optimizer, &parameters)?,
            norms: Tensor::f_zeros([0; 0], (Kind::Double, parameters.device()))?,
            parameters,
            gradient_clip_norm,
            rng: SeededRng::seeded(seed),
            together: None,
            updates: 0,
            counted: 0,
        })
    }

    /// The same in a group: each step is made along the mean of the gradients of all shards, and so is what a
    /// pass in training writes into buffers (the statistics of batch norm). Every shard makes its steps at the
    /// same points; parameters that begin equal stay equal.
    pub fn in_group(mut self, group: &Group) -> Self {
        let together = || Together { group: group.clone(), weight: 1.0, room: None };
        self.together = (!group.is_alone()).then(together);
        self
    }

    /// Gives this shard's gradient in the next step such a weight in the mean over the shards: the number of
    /// rows that it is the mean of. Without this, all shards count alike.
    pub fn weigh(&mut self, rows: usize) {
        if let Some(together) = &mut self.together {
            together.weight = rows as f32;
        }
    }

    /// Replaces the buffers by their means over the shards of the group, after a pass in training that no step
    /// belongs to. Alone, it does nothing.
    ///
    /// # Errors
    /// When a shard is lost.
    pub fn average_buffers(&mut self) -> Result<(), NnError> {
        let buffers = buffers(&self.parameters)?;
        match &mut self.together {
            Some(together) if buffers.numel() > 0 => together.mean(&[buffers], 1.0).map(drop),
            _ => Ok(()),
        }
    }

    /// Takes part in a step of the group without anything to learn from. Alone, it does nothing.
    ///
    /// # Errors
    /// As [`Trainable::descend`].
    pub fn abstain(&mut self, learning_rate: f64) -> Result<(), NnError> {
        if self.together.is_none() {
            return Ok(());
        }
        self.weigh(0);
        self.descend_by(learning_rate, |_| Ok(()))
    }

    /// The network's numbers.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The number of steps that were made.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// A pass whose output a step will be made from.
    pub fn pass(&mut self) -> Pass<'_> {
        Pass::train(&self.parameters, &mut self.rng)
    }

    /// One step down a loss, given by its gradient with respect to `output`.
    ///
    /// # Errors
    /// [`NnError`] when the gradient does not fit, [`NnError::Diverged`] when it is no longer finite.
    pub fn descend(&mut self, output: &Tensor, gradient: &Tensor, learning_rate: f64) -> Result<(), NnError> {
        self.descend_by(learning_rate, |_| backward(output, gradient))
    }

    /// One step down a loss that autograd recorded, f32 `[]`.
    ///
    /// # Errors
    /// As [`Trainable::descend`].
    pub fn descend_loss(&mut self, loss: &Tensor, learning_rate: f64) -> Result<(), NnError> {
        self.descend_by(learning_rate, |_| Ok(loss.f_backward()?))
    }

    /// One step along the gradients that `accumulate` leaves in the parameters: they are zeroed before,
    /// summed over processes where there are several, and clipped after that.
    ///
    /// # Errors
    /// Those of `accumulate`, and [`NnError::Diverged`] when the norm of the gradients is not finite; the
    /// parameters are left as they are then. On a GPU that is found when the norm is asked for
    /// ([`Trainable::take_gradient_norm`]); without clipping the norm is not computed.
    pub fn descend_by<E: From<NnError>>(
        &mut self,
        learning_rate: f64,
        accumulate: impl FnOnce(&Parameters) -> Result<(), E>,
    ) -> Result<(), E> {
        self.parameters.zero_gradients();
        accumulate(&self.parameters)?;
        Ok(self.step(learning_rate)?)
    }

    /// The same with a pass in which losses are computed: of several batches, say, whose gradients add up.
    ///
    /// # Errors
    /// As [`Trainable::descend_by`].
    pub fn descend_in_pass<E: From<NnError>>(
        &mut self,
        learning_rate: f64,
        accumulate: impl FnOnce(&mut Pass<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.parameters.zero_gradients();
        accumulate(&mut Pass::train(&self.parameters, &mut self.rng))?;
        Ok(self.step(learning_rate)?)
    }

    /// The step along the gradients as they stand.
    fn step(&mut self, learning_rate: f64) -> Result<(), NnError> {
        if let Some(together) = &mut self.together
            && !together.reduce(&self.parameters)?
        {
            return Ok(());
        }
        self.clip()?;
        self.optimizer.step(&mut self.parameters, learning_rate)?;
        self.updates += 1;
        Ok(())
    }

    fn clip(&mut self) -> Result<(), NnError> {
        let Some(largest) = self.gradient_clip_norm else { return Ok(()) };
        let norm = optim::clip_gradient_norm(&mut self.parameters, largest)?;
        if self.parameters.device() == Device::Cpu {
            check_norm(on_the_cpu_alone(|| norm.f_double_value(&[]))?)?;
        }
        let _guard = tch::no_grad_guard();
        let _ = self.norms.f_add_(&norm)?;
        self.counted += 1;
        Ok(())
    }

    /// The mean norm of the gradients before clipping, over the steps since the last call; `None` where
    /// nothing was clipped.
    ///
    /// # Errors
    /// [`NnError::Diverged`] when it is not finite.
    pub fn take_gradient_norm(&mut self) -> Result<Option<f64>, NnError> {
        if self.counted == 0 {
            return Ok(None);
        }
        let mean = self.norms.f_double_value(&[])? / self.counted as f64;
        self.counted = 0;
        let _ = self.norms.f_zero_()?;
        check_norm(mean)?;
        Ok(Some(mean))
    }

    /// Freezes parameters, by the patterns of [`Layout::freeze`]. The moments of the others are kept.
    ///
    /// # Errors
    /// [`NnError::Config`] for a pattern that names no parameter, when nothing would be left to train, or
    /// while a view of the parameters is alive ([`Parameters::frozen_view`]); nothing is changed then.
    pub fn freeze<N: AsRef<str>>(&mut self, patterns: &[N]) -> Result<(), NnError> {
        let mut layout = self.parameters.layout().clone();
        layout.freeze(patterns)?;
        self.rearrange(layout)
    }

    /// Makes parameters trainable again, by the patterns of [`Layout::freeze`]. Their moments start anew.
    ///
    /// # Errors
    /// As [`Trainable::freeze`].
    pub fn unfreeze<N: AsRef<str>>(&mut self, patterns: &[N]) -> Result<(), NnError> {
        let mut layout = self.parameters.layout().clone();
        layout.unfreeze(patterns)?;
        self.rearrange(layout)
    }

    fn rearrange(&mut self, layout: Layout) -> Result<(), NnError> {
        check_trainable(&layout)?;
        self.parameters.rearrange(layout)?;
        self.optimizer.follow(&self.parameters)
    }

    /// Takes over saved weights; the optimiser goes on as it stands.
    ///
    /// # Errors
    /// [`NnError::State`] when they do not fit; nothing is changed then.
    pub fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), NnError> {
        self.parameters.load_state(weights)
    }

    /// Takes over the saved weights that fit, by name ([`Parameters::load_matching`]).
    ///
    /// # Errors
    /// [`NnError::State`] when two arrays come to the same name; nothing is changed then.
    pub fn load_matching(
        &mut self,
        weights: &StateView<'_>,
        renames: &[Rename],
    ) -> Result<LoadReport, NnError> {
        self.parameters.load_matching(weights, renames)
    }

    /// Everything to continue from, what is frozen included.
    ///
    /// # Errors
    /// [`NnError`] when a tensor cannot be copied.
    pub fn state(&self) -> Result<StateDict<'_>, NnError> {
        let mut state = StateDict::new();
        state.nest("parameters", self.parameters.state()?);
        state.nest("optimizer", self.optimizer.state()?);
        state.put_value("frozen", &self.frozen())?;
        state.put_value("rng", &self.rng)?;
        state.put_value("updates", &self.updates)?;
        state.put_value("norms", &(self.norms.f_double_value(&[])?, self.counted))?;
        Ok(state)
    }

    fn frozen(&self) -> Vec<&str> {
        let specs = self.parameters.layout().specs().iter();
        specs.filter(|spec| spec.role == Role::Frozen).map(|spec| spec.name.as_str()).collect()
    }

    /// Continues from a saved state. What was frozen then is frozen now, and nothing else.
    ///
    /// # Errors
    /// [`NnError::State`] when it does not fit.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), NnError> {
        let frozen: Vec<String> = state.value("frozen")?;
        self.rearrange(self.parameters.layout().with_frozen(&frozen)?)?;
        self.parameters.load_state(&state.part("parameters"))?;
        self.optimizer.load_state(&state.part("optimizer"))?;
        self.rng = state.value("rng")?;
        self.updates = state.value("updates")?;
        let (norms, counted): (f64, u64) = state.value("norms")?;
        let _ = self.norms.f_fill_(norms)?;
        self.counted = counted;
        Ok(())
    }
}

fn check_norm(norm: f64) -> Result<(), NnError> {
    match norm.is_finite() {
        true => Ok(()),
        false => Err(NnError::Diverged(format!("the gradient's norm is {norm}"))),
    }
}

#[cfg(test)]
mod tests {
    use tch::kind::FLOAT_CPU;

    use super::*;
    use crate::{Layout, Mlp, MlpConfig};

    fn trainable(clip: Option<f64>) -> (Mlp, Trainable) {
        let mut layout = Layout::new();
        let config = MlpConfig { dropout: 0.5, ..MlpConfig::default() };
        let net = Mlp::new(&mut layout, "", 3, 1, &config).unwrap();
        let parameters = Parameters::new(&layout, &mut SeededRng::seeded(1), Device::Cpu).unwrap();
        (net, Trainable::new(parameters, &OptimizerConfig::default(), clip, 7).unwrap())
    }

    fn step(net: &Mlp, trainable: &mut Trainable) {
        let x = Tensor::arange(12, FLOAT_CPU).reshape([4, 3]) * 0.1;
        let y = net.forward(&mut trainable.pass(), &x).unwrap();
        trainable.descend_loss(&(y - 1.0).square().mean(Kind::Float), 1e-2).unwrap();
    }

    fn step_by_operations(net: &Mlp, trainable: &mut Trainable) {
        let x = Tensor::arange(12, FLOAT_CPU).reshape([4, 3]) * 0.1;
        let y = net.forward_by_operations(&mut trainable.pass(), &x).unwrap();
        trainable.descend_loss(&(y - 1.0).square().mean(Kind::Float), 1e-2).unwrap();
    }

    #[test]
    fn a_saved_state_continues_bit_for_bit_dropout_included() {
        let (net, mut whole) = trainable(Some(0.5));
        (0..3).for_each(|_| step(&net, &mut whole));
        let (_, mut resumed) = trainable(Some(0.5));
        resumed.load_state(&whole.state().unwrap().view()).unwrap();
        (0..3).for_each(|_| step(&net, &mut whole));
        (0..3).for_each(|_| step(&net, &mut resumed));
        assert_eq!(whole.parameters().values(), resumed.parameters().values());
        assert_eq!((whole.updates(), resumed.updates()), (6, 6));
        assert_eq!(whole.take_gradient_norm().unwrap(), resumed.take_gradient_norm().unwrap());
    }

    #[test]
    fn what_is_frozen_on_the_way_stays_and_is_still_frozen_after_a_resume() {
        let (net, mut whole) = trainable(Some(0.5));
        (0..3).for_each(|_| step(&net, &mut whole));
        whole.freeze(&["0.*"]).unwrap();
        let frozen = whole.parameters().state().unwrap().arrays["0.weight"].clone();
        (0..3).for_each(|_| step_by_operations(&net, &mut whole));
        whole.unfreeze(&["0.bias"]).unwrap();
        (0..3).for_each(|_| step_by_operations(&net, &mut whole));
        let (_, mut resumed) = trainable(Some(0.5));
        resumed.load_state(&whole.state().unwrap().view()).unwrap();
        assert_eq!(resumed.frozen(), ["0.weight"]);
        (0..3).for_each(|_| step_by_operations(&net, &mut whole));
        (0..3).for_each(|_| step_by_operations(&net, &mut resumed));
        assert_eq!(whole.parameters().values(), resumed.parameters().values());
        assert_eq!(whole.parameters().state().unwrap().arrays["0.weight"], frozen);
    }

    #[test]
    fn nothing_is_left_half_frozen() {
        let (net, mut trainable) = trainable(None);
        for (patterns, complaint) in [
            (&["*"][..], "every parameter is frozen"),
            (&["0.bias", "1.bias"], "no parameter is named `1.bias`"),
        ] {
            let error = trainable.freeze(patterns).unwrap_err().to_string();
            assert!(error.contains(complaint), "{error}");
        }
        step(&net, &mut trainable);
        assert_eq!((trainable.updates(), trainable.frozen()), (1, vec![]));
    }

    #[test]
    fn gradients_are_summed_before_they_are_clipped_and_weighed_by_rows() {
        // One shard has two rows, the other one, and the third none; the clip is below the norm of the mean.
        let rows = Tensor::arange(9, FLOAT_CPU).reshape([3, 3]) * 0.1;
        let whole = |rows: &Tensor, (net, mut trainable): (Mlp, Trainable)| {
            for _ in 0..3 {
                match rows.size()[0] {
                    0 => trainable.abstain(1e-2).unwrap(),
                    count => {
                        let y = net.forward(&mut trainable.pass(), rows).unwrap();
                        trainable.weigh(count as usize);
                        trainable.descend_loss(&(y - 1.0).square().mean(Kind::Float), 1e-2).unwrap();
                    }
                }
            }
            let norm = trainable.take_gradient_norm().unwrap().unwrap();
            let values = Vec::<f32>::try_from(trainable.parameters().values()).unwrap();
            (values, norm, trainable.updates())
        };
        let without_dropout = || {
            let mut layout = Layout::new();
            let net = Mlp::new(&mut layout, "", 3, 1, &MlpConfig::default()).unwrap();
            let parameters = Parameters::new(&layout, &mut SeededRng::seeded(1), Device::Cpu).unwrap();
            (net, Trainable::new(parameters, &OptimizerConfig::default(), Some(0.01), 7).unwrap())
        };
        let alone = whole(&rows, without_dropout());
        let shards = Group::of_process(3, None);
        let parts = [rows.narrow(0, 0, 2), rows.narrow(0, 2, 1), rows.narrow(0, 0, 0)];
        let together: Vec<_> = std::thread::scope(|scope| {
            let run = |(group, rows): (Group, Tensor)| {
                scope.spawn(move || {
                    let (net, trainable) = without_dropout();
                    whole(&rows, (net, trainable.in_group(&group)))
                })
            };
            let threads: Vec<_> = shards.into_iter().zip(parts).map(run).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(together.iter().all(|shard| shard.0 == together[0].0 && shard.1 == together[0].1));
        assert!((together[0].1 - alone.1).abs() < 1e-6, "{} {}", together[0].1, alone.1);
        assert!(alone.1 > 0.01);
        for (own, theirs) in alone.0.iter().zip(&together[0].0) {
            assert!((own - theirs).abs() < 1e-6, "{own} {theirs}");
        }
        assert_eq!((alone.2, together[0].2), (3, 3));
    }

    #[test]
    fn a_gradient_of_nan_stops_the_step() {
        let (net, mut trainable) = trainable(Some(1.0));
        let before = trainable.parameters().values().copy();
        let y = net.forward(&mut trainable.pass(), &Tensor::full([2, 3], f64::NAN, FLOAT_CPU)).unwrap();
        let error = trainable.descend_loss(&y.sum(Kind::Float), 1e-2).unwrap_err();
        assert!(matches!(error, NnError::Diverged(_)), "{error}");
        assert_eq!((trainable.parameters().values(), trainable.updates()), (&before, 0));
    }
}
