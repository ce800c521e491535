//! The weight of the entropy, alpha in the papers: given, or trained towards an entropy.

use pavlov_common::SeededRng;
use pavlov_group::Group;
use pavlov_nn::{
    Init, Layout, NnError, OptimizerConfig, ParameterId, Parameters, StateDict, StateView, Trainable,
};
use tch::{Device, Kind, Tensor};

use super::Temperature;
use crate::core::{AgentError, LossForm, Scalar};

/// The temperature as it stands, on the device where the losses are computed.
#[derive(Debug)]
pub struct TrainedTemperature {
    /// The logarithm, which is what is trained: the temperature stays above 0.
    trained: Option<(Trainable, ParameterId)>,
    device: Device,
    /// The number: known, or the device's (f32 `[]`).
    present: Scalar,
    target_entropy: f64,
}

impl TrainedTemperature {
    /// A temperature that moves the policy's entropy towards `target_entropy`, or stays as it is given.
    /// `device` is where the losses are computed: the CPU for losses by rows.
    ///
    /// # Errors
    /// [`AgentError`] when the optimiser's configuration makes no sense.
    pub fn new(
        config: Temperature,
        start: f64,
        target_entropy: f64,
        optimizer: &OptimizerConfig,
        device: Device,
    ) -> Result<Self, AgentError> {
        if let Temperature::Fixed(present) = config {
            return Ok(Self { trained: None, device, present: present.into(), target_entropy });
        }
        let mut layout = Layout::new();
        let id = layout.add("log_temperature", &[1], Init::Constant { value: start.ln() })?;
        let parameters = Parameters::new(&layout, &mut SeededRng::seeded(0), device)?;
        let trained = Trainable::new(parameters, optimizer, None, 0)?;
        Ok(Self { trained: Some((trained, id)), device, present: start.into(), target_entropy })
    }

    /// The same in a group, whose shards move it together.
    pub fn in_group(mut self, group: &Group) -> Self {
        self.trained = self.trained.map(|(trained, id)| (trained.in_group(group), id));
        self
    }

    /// The temperature. Waits for the device where it was trained there.
    ///
    /// # Errors
    /// [`AgentError::Nn`] when libtorch fails.
    pub fn value(&self) -> Result<f64, AgentError> {
        Ok(self.present.value()?)
    }

    /// The temperature for losses in this form; a tensor, f32 `[]`, is left as it is by later updates.
    ///
    /// # Errors
    /// [`AgentError::Nn`] when libtorch fails.
    pub fn now(&self, form: LossForm) -> Result<Scalar, AgentError> {
        Ok(match (&self.present, form) {
            (Scalar::Pending(tensor), LossForm::Tensors) => tensor.shallow_clone().into(),
            (Scalar::Known(number), LossForm::Tensors) => {
                Tensor::f_full([0; 0], *number, (Kind::Float, self.device))?.into()
            }
            (present, LossForm::Rows) => present.value()?.into(),
        })
    }

    /// The entropy that a policy with all its actions is moved towards.
    pub fn target_entropy(&self) -> f64 {
        self.target_entropy
    }

    /// One step down `log alpha (entropy - target entropy)`, where it is trained. Entropies that are still
    /// being computed are not waited for.
    ///
    /// # Errors
    /// [`AgentError`] when the learning rate makes no sense.
    pub fn update(
        &mut self,
        entropy: &Scalar,
        target: &Scalar,
        learning_rate: f64,
    ) -> Result<(), AgentError> {
        let Some((trained, id)) = &mut self.trained else { return Ok(()) };
        trained.descend_by(learning_rate, |parameters| {
            let Some(gradient) = parameters.gradient(*id) else { return Ok::<_, NnError>(()) };
            let mut gradient = gradient.shallow_clone();
            let by_logarithm = match (entropy, target) {
                (Scalar::Known(entropy), target) => {
                    drop(gradient.f_fill_(entropy - target.value()?)?);
                    return Ok(());
                }
                (Scalar::Pending(entropy), Scalar::Known(target)) => {
                    entropy.f_detach()?.f_sub_scalar(*target)?
                }
                (Scalar::Pending(entropy), Scalar::Pending(target)) => {
                    entropy.f_detach()?.f_sub(&target.f_detach()?)?
                }
            };
            gradient.f_copy_(&by_logarithm.f_expand_as(&gradient)?)?;
            Ok(())
        })?;
        let logarithm = trained.parameters().get(*id);
        self.present = match entropy {
            Scalar::Known(_) => logarithm.f_double_value(&[0])?.exp().into(),
            Scalar::Pending(_) => logarithm.f_detach()?.f_exp()?.f_squeeze_dim(0)?.into(),
        };
        Ok(())
    }

    /// Everything to continue from.
    ///
    /// # Errors
    /// [`AgentError`] when a tensor cannot be copied.
    pub fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = match &self.trained {
            Some((trained, _)) => trained.state()?,
            None => StateDict::new(),
        };
        state.put_value("present", &self.value()?)?;
        Ok(state)
    }

    /// Continues from a saved state.
    ///
    /// # Errors
    /// [`AgentError`] when it does not fit.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        if let Some((trained, _)) = &mut self.trained {
            trained.load_state(state)?;
        }
        self.present = Scalar::Known(state.value("present")?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temperature(config: Temperature) -> TrainedTemperature {
        TrainedTemperature::new(config, 0.5, -1.0, &OptimizerConfig::default(), Device::Cpu).unwrap()
    }

    #[test]
    fn it_falls_where_there_is_more_entropy_than_asked_for_and_rises_where_there_is_less() {
        let mut trained = temperature(Temperature::Trained);
        trained.update(&3.0.into(), &(-1.0).into(), 0.1).unwrap();
        assert!((trained.value().unwrap() - 0.5 * (-0.1f64).exp()).abs() < 1e-6, "{trained:?}");
        let mut trained = temperature(Temperature::Trained);
        trained.update(&(-3.0).into(), &(-1.0).into(), 0.1).unwrap();
        assert!((trained.value().unwrap() - 0.5 * 0.1f64.exp()).abs() < 1e-6, "{trained:?}");
    }

    #[test]
    fn a_given_one_stays() {
        let mut fixed = temperature(Temperature::Fixed(0.2));
        fixed.update(&3.0.into(), &(-1.0).into(), 0.1).unwrap();
        assert_eq!(fixed.value().unwrap(), 0.2);
    }

    #[test]
    fn a_step_on_tensors_is_that_of_plain_numbers_and_is_not_read() {
        let (mut known, mut pending) = (temperature(Temperature::Trained), temperature(Temperature::Trained));
        for entropy in [3.0, -2.5, 0.75] {
            known.update(&entropy.into(), &(-1.0).into(), 0.1).unwrap();
            let target = if entropy > 1.0 { (-1.0).into() } else { Tensor::from(-1.0f32).into() };
            pending.update(&Tensor::from(entropy as f32).into(), &target, 0.1).unwrap();
            assert!(matches!(pending.present, Scalar::Pending(_)));
            assert!((known.value().unwrap() - pending.value().unwrap()).abs() < 1e-6);
        }
        let mut resumed = temperature(Temperature::Trained);
        resumed.load_state(&pending.state().unwrap().view()).unwrap();
        let now =
            |temperature: &TrainedTemperature| temperature.now(LossForm::Tensors).unwrap().value().unwrap();
        assert_eq!(now(&resumed), now(&pending));
    }
}
