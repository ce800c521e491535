//! The mathematics of soft actor-critic, as free functions of plain numbers and, under `tensors`, of tensors.

use std::f32::consts::PI;

use pavlov_nn::distributions::squashed;

/// Between these lies the logarithm of the deviation.
pub const LOG_DEVIATION: (f32, f32) = (-20.0, 2.0);

/// One row's draw: `u = mean + deviation noise`, `a = tanh(u)` into `action`. Gives the log-density of `a`.
///
/// `outputs` is `[2 n]`: means, then logarithms of deviations, which are clamped to [`LOG_DEVIATION`];
/// `noise` is standard normal, `[n]`.
pub fn draw(outputs: &[f32], noise: &[f32], action: &mut [f32]) -> f32 {
    let (means, log_deviations) = outputs.split_at(noise.len());
    let mut log_prob = 0.0;
    for (((mean, log_deviation), noise), action) in
        means.iter().zip(log_deviations).zip(noise).zip(action.iter_mut())
    {
        let log_deviation = log_deviation.clamp(LOG_DEVIATION.0, LOG_DEVIATION.1);
        let u = mean + log_deviation.exp() * noise;
        *action = u.tanh();
        let density = -0.5 * (noise * noise + (2.0 * PI).ln()) - log_deviation;
        log_prob += density - squashed::log_slope(u);
    }
    log_prob
}

/// The gradient of `temperature log pi(a) - Q(s, a)` of one row with respect to the policy's outputs, `[2
/// n]`, by the reparameterised draw. `by_action`, `[n]`, is the gradient of `-Q`; noise and action are those
/// of [`draw`].
///
/// With `a = tanh(u)`, `d log pi / du = 2 a` comes from the squashing alone, since the Gaussian's own density
/// at its draw depends on the noise and the deviation only.
pub fn policy_gradient(
    outputs: &[f32],
    noise: &[f32],
    action: &[f32],
    by_action: &[f32],
    temperature: f32,
    gradient: &mut [f32],
) {
    let n = noise.len();
    let (by_mean, by_log_deviation) = gradient.split_at_mut(n);
    for i in 0..n {
        let raw = outputs[n + i];
        let by_draw = temperature * 2.0 * action[i] + by_action[i] * (1.0 - action[i] * action[i]);
        by_mean[i] = by_draw;
        // Beyond the clamp the output changes nothing.
        let free = (LOG_DEVIATION.0..=LOG_DEVIATION.1).contains(&raw);
        by_log_deviation[i] = match free {
            true => by_draw * raw.exp() * noise[i] - temperature,
            false => 0.0,
        };
    }
}

/// The soft value of a state whose action has this value and log-probability.
pub fn soft_value(value: f32, log_prob: f32, temperature: f32) -> f32 {
    value - temperature * log_prob
}

/// The logarithms of the choices' probabilities from their logits, both `[actions]`; minus infinity for those
/// that the mask rules out. NaN comes through.
pub fn log_probabilities(logits: &[f32], mask: Option<&[f32]>, log_probs: &mut [f32]) {
    let allowed = |choice: usize| mask.is_none_or(|mask| mask[choice] == 1.0);
    let each = || logits.iter().enumerate().filter(|(choice, _)| allowed(*choice)).map(|(_, logit)| logit);
    let largest = each().copied().fold(f32::NEG_INFINITY, f32::max);
    let log_sum = largest + each().map(|logit| (logit - largest).exp()).sum::<f32>().ln();
    for (choice, (out, logit)) in log_probs.iter_mut().zip(logits).enumerate() {
        *out = if allowed(choice) { logit - log_sum } else { f32::NEG_INFINITY };
    }
}

/// The mean target of the entropies of these states, given that of a state which allows all `actions`. Where
/// a mask, `[batch, actions]`, allows `k` of them, a state's target is `ln k / ln actions` of it, the same
/// share of the largest entropy: the entropy of the whole set could not be reached, and the temperature would
/// rise for ever.
pub fn target_entropy(usual: f64, actions: usize, masks: &[f32]) -> f64 {
    if masks.is_empty() || actions < 2 {
        return usual;
    }
    let shares = masks.chunks_exact(actions).map(|mask| {
        let allowed = mask.iter().filter(|allowed| **allowed == 1.0).count();
        // A mask of an episode's end allows none, and means nothing.
        if allowed == 0 { 1.0 } else { (allowed as f64).ln() / (actions as f64).ln() }
    });
    let (sum, count) = shares.fold((0.0, 0.0), |(sum, count), share| (sum + share, count + 1.0));
    usual * (sum / count)
}

/// The expectations over the discrete actions of one state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// `sum_a pi(a) (Q(a) - temperature log pi(a))`
    pub soft_value: f32,
    /// `-sum_a pi(a) log pi(a)`
    pub entropy: f32,
}

/// The soft value and the entropy over all actions, from [`log_probabilities`] and values, `[actions]`.
pub fn expected(log_probs: &[f32], values: &[f32], temperature: f32) -> Expected {
    let (mut soft_value, mut entropy) = (0.0, 0.0);
    for (&log_prob, &value) in
        log_probs.iter().zip(values).filter(|(log_prob, _)| **log_prob != f32::NEG_INFINITY)
    {
        let probability = log_prob.exp();
        soft_value += probability * (value - temperature * log_prob);
        entropy -= probability * log_prob;
    }
    Expected { soft_value, entropy }
}

/// The gradient of minus the soft value with respect to the logits, `[actions]`:
/// `pi(a) (V - (Q(a) - temperature log pi(a)))`.
pub fn discrete_gradient(
    log_probs: &[f32],
    values: &[f32],
    soft_value: f32,
    temperature: f32,
    gradient: &mut [f32],
) {
    for ((out, &log_prob), &value) in gradient.iter_mut().zip(log_probs).zip(values) {
        *out = match log_prob == f32::NEG_INFINITY {
            true => 0.0,
            false => log_prob.exp() * (soft_value - (value - temperature * log_prob)),
        };
    }
}

/// The same in operations that autograd records.
pub mod tensors {
    use pavlov_nn::distributions::squashed;
    use tch::{Kind, Tensor};

    use super::LOG_DEVIATION;
    use crate::core::{AgentError, Scalar};

    /// The draws of a batch.
    #[derive(Debug)]
    pub struct Draws {
        /// f32 `[batch, n]`, from -1 to 1
        pub actions: Tensor,
        /// The logarithm of each draw's density, f32 `[batch]`.
        pub log_probs: Tensor,
    }

    /// [`draw`](super::draw) for each row of outputs, f32 `[batch, 2 n]`, and of standard normal noise, f32
    /// `[batch, n]`.
    ///
    /// # Errors
    /// [`AgentError::Nn`] when the shapes do not fit.
    pub fn draw(outputs: &Tensor, noise: &Tensor) -> Result<Draws, AgentError> {
        let n = noise.size()[1];
        let (smallest, largest) = LOG_DEVIATION;
        let means = outputs.f_narrow(1, 0, n)?;
        let log_deviations = outputs.f_narrow(1, n, n)?.f_clamp(f64::from(smallest), f64::from(largest))?;
        let parameters = Tensor::f_cat(&[means, log_deviations], 1)?;
        let u = squashed::reparameterized(&parameters, noise)?;
        Ok(Draws { actions: u.f_tanh()?, log_probs: squashed::log_prob(&parameters, &u)? })
    }

    /// The policy's loss with continuous actions, `mean(temperature log pi(a) - Q(s, a))`: f32 `[]`. Values
    /// and log-probabilities are f32 `[batch]`, the temperature f32 `[]`.
    ///
    /// # Errors
    /// [`AgentError::Nn`] when the shapes do not fit.
    pub fn policy_loss(
        log_probs: &Tensor,
        values: &Tensor,
        temperature: &Tensor,
    ) -> Result<Tensor, AgentError> {
        Ok(soft_value(values, log_probs, temperature)?.f_mean(Kind::Float)?.f_neg()?)
    }

    /// [`soft_value`](super::soft_value) of each row.
    ///
    /// # Errors
    /// [`AgentError::Nn`] when the shapes do not fit.
    pub fn soft_value(
        values: &Tensor,
        log_probs: &Tensor,
        temperature: &Tensor,
    ) -> Result<Tensor, AgentError> {
        Ok(values.f_sub(&log_probs.f_mul(temperature)?)?)
    }

    /// [`log_probabilities`](super::log_probabilities) of logits, f32 `[batch, actions]`; masks have the same
    /// shape, or `[batch, 0]` where all actions make sense.
    ///
    /// # Errors
    /// [`AgentError::Nn`] when the shapes do not fit.
    pub fn log_probabilities(logits: &Tensor, masks: &Tensor) -> Result<Tensor, AgentError> {
        Ok(match masks.size()[1] {
            0 => logits.f_log_softmax(1, None)?,
            _ => logits.f_masked_fill(&masks.f_eq(0.0)?, f64::NEG_INFINITY)?.f_log_softmax(1, None)?,
        })
    }

    /// The expectations over the actions of each state, f32 `[batch]` each.
    #[derive(Debug)]
    pub struct Expected {
        /// `sum_a pi(a) (Q(a) - temperature log pi(a))`
        pub soft_values: Tensor,
        /// `-sum_a pi(a) log pi(a)`
        pub entropies: Tensor,
    }

    /// [`target_entropy`](super::target_entropy) for masks f32 `[batch, actions]`, or none.
    ///
    /// # Errors
    /// [`AgentError::Nn`] when libtorch fails.
    pub fn target_entropy(usual: f64, masks: &Tensor) -> Result<Scalar, AgentError> {
        let actions = masks.size().last().copied().unwrap_or(0);
        if masks.numel() == 0 || actions < 2 {
            return Ok(usual.into());
        }
        let allowed = masks.f_sum_dim_intlist(Some(&[1i64][..]), false, Kind::Float)?;
        let allowed = allowed.f_masked_fill(&allowed.f_eq(0.0)?, actions as f64)?;
        let share = allowed.f_log()?.f_mean(Kind::Float)?.f_div_scalar((actions as f64).ln())?;
        Ok(share.f_mul_scalar(usual)?.into())
    }

    /// [`expected`](super::expected) of each row of log-probabilities and values, f32 `[batch, actions]`.
    ///
    /// # Errors
    /// [`AgentError::Nn`] when the shapes do not fit.
    pub fn expected(
        log_probs: &Tensor,
        values: &Tensor,
        temperature: &Tensor,
    ) -> Result<Expected, AgentError> {
        // An action that is masked adds nothing and passes no gradient on.
        let finite = log_probs.f_masked_fill(&log_probs.f_eq(f64::NEG_INFINITY)?, 0.0)?;
        let sum = |tensor: Tensor| tensor.f_sum_dim_intlist(Some(&[1i64][..]), false, None);
        let probabilities = log_probs.f_exp()?;
        let soft = soft_value(values, &finite, temperature)?;
        Ok(Expected {
            soft_values: sum(probabilities.f_mul(&soft)?)?,
            entropies: sum(probabilities.f_mul(&finite)?)?.f_neg()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::LN_2;

    use tch::{Kind, Tensor};

    use super::*;

    const OUTPUTS: [f32; 4] = [0.3, -1.2, -0.5, 0.4];
    const NOISE: [f32; 2] = [0.7, -1.1];

    #[test]
    fn a_draw_has_the_density_of_the_squashed_gaussian() {
        let mut action = [0.0; 2];
        let log_prob = draw(&OUTPUTS, &NOISE, &mut action);
        let outputs = Tensor::from_slice(&OUTPUTS).reshape([1, 4]);
        let u = squashed::reparameterized(&outputs, &Tensor::from_slice(&NOISE).reshape([1, 2])).unwrap();
        let expected = squashed::log_prob(&outputs, &u).unwrap().double_value(&[0]);
        assert!((f64::from(log_prob) - expected).abs() < 1e-5, "{log_prob} {expected}");
        assert!((f64::from(action[1]) - u.tanh().double_value(&[0, 1])).abs() < 1e-6);
    }

    #[test]
    fn far_out_the_density_stays_finite() {
        let mut action = [0.0; 1];
        let log_prob = draw(&[30.0, 2.0], &[1.0], &mut action);
        assert_eq!(action, [1.0]);
        assert!(log_prob.is_finite() && log_prob > 20.0, "{log_prob}");
        // Without the clamp the deviation would be e^50.
        assert!(draw(&[0.0, 50.0], &[1.0], &mut action).is_finite());
        assert!(draw(&[f32::NAN, 0.0], &[1.0], &mut action).is_nan());
    }

    #[test]
    fn the_gradient_by_hand_is_autograds() {
        let (temperature, by_action) = (0.3f32, [0.8f32, -0.25]);
        for outputs in [OUTPUTS, [0.3, -1.2, 2.5, -21.0]] {
            let leaf = Tensor::from_slice(&outputs).reshape([1, 4]).set_requires_grad(true);
            let noise = Tensor::from_slice(&NOISE).reshape([1, 2]);
            let clamped = Tensor::cat(&[leaf.narrow(1, 0, 2), leaf.narrow(1, 2, 2).clamp(-20.0, 2.0)], 1);
            let u = squashed::reparameterized(&clamped, &noise).unwrap();
            let log_prob = squashed::log_prob(&clamped, &u).unwrap();
            let value = -(u.tanh() * Tensor::from_slice(&by_action)).sum(Kind::Float);
            (log_prob.sum(Kind::Float) * f64::from(temperature) - value).backward();
            let (mut action, mut gradient) = ([0.0; 2], [9.0; 4]);
            draw(&outputs, &NOISE, &mut action);
            policy_gradient(&outputs, &NOISE, &action, &by_action, temperature, &mut gradient);
            let expected = leaf.grad().reshape([4]);
            for (i, gradient) in gradient.iter().enumerate() {
                let expected = expected.double_value(&[i as i64]);
                assert!((f64::from(*gradient) - expected).abs() < 1e-4, "{i}: {gradient} {expected}");
            }
        }
    }

    #[test]
    fn two_equal_choices_by_hand() {
        let mut log_probs = [0.0; 3];
        log_probabilities(&[1.0, 1.0, 50.0], Some(&[1.0, 1.0, 0.0]), &mut log_probs);
        assert!((log_probs[0] + LN_2).abs() < 1e-6 && log_probs[2] == f32::NEG_INFINITY);
        let expected = expected(&log_probs, &[2.0, 4.0, 1000.0], 0.5);
        assert!((expected.soft_value - (3.0 + 0.5 * LN_2)).abs() < 1e-6);
        assert!((expected.entropy - LN_2).abs() < 1e-6);
        log_probabilities(&[1.0, f32::NAN], None, &mut log_probs[..2]);
        assert!(log_probs[0].is_nan());
    }

    #[test]
    fn a_masked_states_target_is_its_share_of_the_largest_entropy() {
        let (usual, masks) = (0.98 * 10f64.ln(), [[1.0f32; 10], [0.0; 10]].concat());
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} {b}");
        assert_eq!(target_entropy(usual, 10, &[]), usual);
        close(target_entropy(usual, 10, &masks), usual);
        // Two of ten, one of ten, all.
        let mut masks = vec![0.0; 30];
        [0, 1, 10, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29].into_iter().for_each(|at| masks[at] = 1.0);
        let expected = 0.98 * (2f64.ln() + 0.0 + 10f64.ln()) / 3.0;
        close(target_entropy(usual, 10, &masks), expected);
        let on_tensors = tensors::target_entropy(usual, &Tensor::from_slice(&masks).reshape([3, 10]));
        close(on_tensors.unwrap().value().unwrap(), expected);
        let none = tensors::target_entropy(usual, &Tensor::zeros([3, 0], (Kind::Float, tch::Device::Cpu)));
        assert_eq!(none.unwrap().value().unwrap(), usual);
    }

    #[test]
    fn the_discrete_gradient_by_hand_is_autograds() {
        let (logits, values, temperature) = ([0.2f32, -1.0, 0.7], [1.0f32, 3.0, -2.0], 0.4f32);
        let leaf = Tensor::from_slice(&logits).set_requires_grad(true);
        let log_pi = leaf.log_softmax(0, Kind::Float);
        let soft = Tensor::from_slice(&values) - &log_pi * f64::from(temperature);
        (-(log_pi.exp() * soft).sum(Kind::Float)).backward();
        let (mut log_probs, mut gradient) = ([0.0; 3], [0.0; 3]);
        log_probabilities(&logits, None, &mut log_probs);
        let value = expected(&log_probs, &values, temperature).soft_value;
        discrete_gradient(&log_probs, &values, value, temperature, &mut gradient);
        for (i, gradient) in gradient.iter().enumerate() {
            assert!((f64::from(*gradient) - leaf.grad().double_value(&[i as i64])).abs() < 1e-6);
        }
    }
}
