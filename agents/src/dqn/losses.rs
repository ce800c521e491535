//! The mathematics of Q-learning, as free functions of tensors.

use tch::Tensor;

use crate::core::AgentError;

/// The action that counts in the next state, `argmax_a Q(s', a)`: i64 `[batch, 1]` of f32 `[batch, actions]`.
/// The values are the target network's (Mnih et al. 2015), or the online network's for Double DQN (van
/// Hasselt et al. 2016); what the action is worth says the target network in either case.
///
/// # Errors
/// [`AgentError::Nn`] when the shape does not fit.
pub fn greedy(q: &Tensor) -> Result<Tensor, AgentError> {
    Ok(q.f_argmax(1, true)?)
}

/// The values of the actions that make sense; the others are minus infinity, so that no maximum is theirs.
///
/// `q` is f32 `[batch, actions]`; `masks` has its shape, 1 where an action makes sense, or is `[batch, 0]`
/// where all do.
///
/// # Errors
/// [`AgentError::Nn`] when the shapes do not fit.
pub fn masked(q: Tensor, masks: &Tensor) -> Result<Tensor, AgentError> {
    if masks.size().last() == Some(&0) {
        return Ok(q);
    }
    Ok(q.f_masked_fill(&masks.f_eq(0.0)?, f64::NEG_INFINITY)?)
}

/// The target of an action value: `r + gamma V(s')` where the world goes on or was cut off, `r` where it
/// ended.
///
/// `rewards`, `continues` (1 or 0; of several steps a power of the discount or 0) and `next_values` are f32
/// `[batch]`.
///
/// # Errors
/// [`AgentError::Nn`] when the shapes do not fit.
pub fn td_target(
    rewards: &Tensor,
    continues: &Tensor,
    next_values: &Tensor,
    discount: f64,
) -> Result<Tensor, AgentError> {
    Ok(rewards.f_addcmul(&continues.f_mul_scalar(discount)?, next_values)?)
}

/// The chance of a random action after `env_steps`: from `start` to `end`, linearly over `decay_env_steps`.
pub fn epsilon(env_steps: u64, start: f64, end: f64, decay_env_steps: f64) -> f64 {
    if env_steps as f64 >= decay_env_steps {
        return end;
    }
    start + (end - start) * env_steps as f64 / decay_env_steps
}

/// Environment `index`'s share of epsilon, of `total` environments: `epsilon ^ (1 + spread index / (total -
/// 1))`. What is certain stays certain.
pub fn spread(epsilon: f64, index: usize, total: usize, spread: f64) -> f64 {
    if spread == 0.0 || total < 2 {
        return epsilon;
    }
    epsilon.powf(1.0 + spread * index as f64 / (total - 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(tensor: &Tensor, expected: &[f32]) -> bool {
        (tensor - Tensor::from_slice(expected)).abs().max().double_value(&[]) < 1e-6
    }

    /// The values that `by` gives to the actions that `chosen_by` ranks first.
    fn valued(chosen_by: &Tensor, by: &Tensor) -> Tensor {
        by.gather(1, &greedy(chosen_by).unwrap(), false).squeeze_dim(1)
    }

    #[test]
    fn truncation_bootstraps_and_termination_does_not() {
        let rewards = Tensor::from_slice(&[1f32, 1.0, -2.0]);
        let continues = Tensor::from_slice(&[1f32, 0.0, 1.0]);
        let next = Tensor::from_slice(&[10f32, 10.0, 4.0]);
        let target = td_target(&rewards, &continues, &next, 0.9).unwrap();
        assert!(close(&target, &[10.0, 1.0, 1.6]));
    }

    #[test]
    fn double_dqn_values_the_online_networks_choice() {
        let online = Tensor::from_slice(&[1f32, 2.0, 5.0, 3.0]).reshape([2, 2]);
        let target = Tensor::from_slice(&[7f32, 4.0, 0.5, 9.0]).reshape([2, 2]);
        assert!(close(&valued(&target, &target), &[7.0, 9.0]));
        assert!(close(&valued(&online, &target), &[4.0, 0.5]));
    }

    #[test]
    fn a_masked_action_is_never_the_best() {
        let q = || Tensor::from_slice(&[1f32, 2.0, 5.0, 3.0]).reshape([2, 2]);
        let masks = Tensor::from_slice(&[1f32, 0.0, 0.0, 1.0]).reshape([2, 2]);
        let q_masked = masked(q(), &masks).unwrap();
        assert!(close(&valued(&q_masked, &q()), &[1.0, 3.0]));
        assert_eq!(masked(q(), &Tensor::zeros([2, 0], (tch::Kind::Float, tch::Device::Cpu))).unwrap(), q());
    }

    #[test]
    fn epsilon_falls_linearly_and_stays() {
        assert_eq!(epsilon(0, 1.0, 0.1, 100.0), 1.0);
        assert!((epsilon(50, 1.0, 0.1, 100.0) - 0.55).abs() < 1e-12);
        assert_eq!(epsilon(100, 1.0, 0.1, 100.0), 0.1);
        assert_eq!(epsilon(7, 1.0, 0.1, 0.0), 0.1);
    }

    #[test]
    fn epsilon_is_spread_as_in_ape_x() {
        assert_eq!(spread(0.4, 0, 8, 7.0), 0.4);
        assert!((spread(0.4, 7, 8, 7.0) - 0.4f64.powi(8)).abs() < 1e-12);
        assert!((spread(0.4, 1, 8, 7.0) - 0.4f64.powi(2)).abs() < 1e-12);
        assert_eq!((spread(0.4, 3, 8, 0.0), spread(0.4, 0, 1, 7.0), spread(1.0, 5, 8, 7.0)), (0.4, 0.4, 1.0));
    }
}
