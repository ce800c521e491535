//! What entropy is worth, alpha in the papers: given, or trained towards an entropy.

use pavlov_common::SeededRng;
use pavlov_nn::{
    Init, Layout, NnError, OptimizerConfig, ParameterId, Parameters, StateDict, StateView, Trainable,
};
use tch::Device;

use super::Temperature;
use crate::core::AgentError;

/// The temperature as it stands.
#[derive(Debug)]
pub struct TrainedTemperature {
    /// The logarithm, which is what is trained: the temperature stays above 0.
    trained: Option<(Trainable, ParameterId)>,
    present: f64,
    target_entropy: f64,
}

impl TrainedTemperature {
    /// A temperature that moves the policy's entropy towards `target_entropy`, or stays as it is given.
    ///
    /// # Errors
    /// [`AgentError`] when the optimiser's configuration makes no sense.
    pub fn new(
        config: Temperature,
        start: f64,
        target_entropy: f64,
        optimizer: &OptimizerConfig,
    ) -> Result<Self, AgentError> {
        if let Temperature::Fixed(present) = config {
            return Ok(Self { trained: None, present, target_entropy });
        }
        let mut layout = Layout::new();
        let id = layout.add("log_temperature", &[1], Init::Constant { value: start.ln() })?;
        // It is one number, and every loss is computed in ordinary memory: it lives there.
        let parameters = Parameters::new(&layout, &mut SeededRng::seeded(0), Device::Cpu)?;
        let trained = Trainable::new(parameters, optimizer, None, 0)?;
        Ok(Self { trained: Some((trained, id)), present: start, target_entropy })
    }

    /// The temperature.
    pub fn value(&self) -> f64 {
        self.present
    }

    /// One step down `log alpha (entropy - target entropy)`, where it is trained.
    ///
    /// # Errors
    /// [`AgentError`] when the learning rate makes no sense.
    pub fn update(&mut self, entropy: f64, learning_rate: f64) -> Result<(), AgentError> {
        let Some((trained, id)) = &mut self.trained else { return Ok(()) };
        let by_logarithm = entropy - self.target_entropy;
        trained.descend_by(learning_rate, |parameters| match parameters.gradient(*id) {
            Some(gradient) => gradient.shallow_clone().f_fill_(by_logarithm).map(drop).map_err(NnError::from),
            None => Ok(()),
        })?;
        self.present = trained.parameters().get(*id).f_double_value(&[0])?.exp();
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
        state.put_value("present", &self.present)?;
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
        self.present = state.value("present")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temperature(config: Temperature) -> TrainedTemperature {
        TrainedTemperature::new(config, 0.5, -1.0, &OptimizerConfig::default()).unwrap()
    }

    #[test]
    fn it_falls_where_there_is_more_entropy_than_asked_for_and_rises_where_there_is_less() {
        let mut trained = temperature(Temperature::Trained);
        trained.update(3.0, 0.1).unwrap();
        assert!((trained.value() - 0.5 * (-0.1f64).exp()).abs() < 1e-6, "{}", trained.value());
        let mut trained = temperature(Temperature::Trained);
        trained.update(-3.0, 0.1).unwrap();
        assert!((trained.value() - 0.5 * 0.1f64.exp()).abs() < 1e-6, "{}", trained.value());
    }

    #[test]
    fn a_given_one_stays() {
        let mut fixed = temperature(Temperature::Fixed(0.2));
        fixed.update(3.0, 0.1).unwrap();
        assert_eq!(fixed.value(), 0.2);
    }
}
