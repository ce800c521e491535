//! PPO's losses for one row, each with its derivative.

use super::ValueClipRule;

/// What a loss is for one row, and what it changes by with the number that the networks gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// The loss.
    pub value: f32,
    /// Its derivative.
    pub slope: f32,
}

/// The clipped surrogate, `-min(ratio A, clip(ratio, 1 - range, 1 + range) A)`, with `ratio = exp(log_ratio)` how much
/// likelier the action has become. The slope is with respect to the log-probability: nothing pushes a ratio further that
/// has left the range in the direction of the advantage.
pub fn clipped_surrogate(log_ratio: f32, advantage: f32, range: f32) -> Loss {
    let ratio = log_ratio.exp();
    let free = ratio * advantage;
    let clipped = ratio.clamp(1.0 - range, 1.0 + range) * advantage;
    match free <= clipped {
        true => Loss { value: -free, slope: -free },
        false => Loss { value: -clipped, slope: 0.0 },
    }
}

/// The value's squared error, or, with a range, that of a value that may not go further from the `old` one. The slope is
/// with respect to the value.
pub fn value_error(value: f32, returned: f32, old: f32, clip: Option<(f32, ValueClipRule)>) -> Loss {
    let error = value - returned;
    let free = Loss { value: error * error, slope: 2.0 * error };
    let Some((range, rule)) = clip else { return free };
    let moved = (value - old).clamp(-range, range);
    let error = old + moved - returned;
    let inside = (value - old).abs() <= range;
    let clipped = Loss { value: error * error, slope: if inside { 2.0 * error } else { 0.0 } };
    match rule {
        ValueClipRule::Clipped => clipped,
        ValueClipRule::Larger => match free.value >= clipped.value {
            true => free,
            false => clipped,
        },
    }
}

/// An estimate of `KL(old || new)` from one action that the old policy drew: `(ratio - 1) - log ratio`, which is never
/// negative (Schulman 2020, "Approximating KL divergence").
pub fn approximate_kl(log_ratio: f32) -> f32 {
    log_ratio.exp_m1() - log_ratio
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(have: Loss, value: f32, slope: f32) {
        assert!(
            (have.value - value).abs() < 1e-6 && (have.slope - slope).abs() < 1e-6,
            "{have:?} {value} {slope}"
        );
    }

    #[test]
    fn a_ratio_that_went_far_enough_is_pushed_no_further() {
        let log = |ratio: f32| ratio.ln();
        close(clipped_surrogate(0.0, 2.0, 0.2), -2.0, -2.0);
        close(clipped_surrogate(log(1.1), 2.0, 0.2), -2.2, -2.2);
        close(clipped_surrogate(log(1.5), 2.0, 0.2), -2.4, 0.0);
        close(clipped_surrogate(log(0.5), -1.0, 0.2), 0.8, 0.0);
        // Far off in the wrong direction: it is pulled back.
        close(clipped_surrogate(log(1.5), -1.0, 0.2), 1.5, 1.5);
        close(clipped_surrogate(log(0.5), 2.0, 0.2), -1.0, -1.0);
    }

    #[test]
    fn nan_is_not_clipped_away() {
        assert!(clipped_surrogate(f32::NAN, 1.0, 0.2).value.is_nan());
        assert!(clipped_surrogate(0.0, f32::NAN, 0.2).value.is_nan());
    }

    #[test]
    fn both_rules_of_value_clipping_by_hand() {
        let (larger, clipped) = (Some((0.2, ValueClipRule::Larger)), Some((0.2, ValueClipRule::Clipped)));
        close(value_error(1.5, 2.0, 1.0, None), 0.25, -1.0);
        // From 1.0 the value may reach 1.2: an error of 0.8, larger than the free 0.5.
        close(value_error(1.5, 2.0, 1.0, clipped), 0.64, 0.0);
        close(value_error(1.5, 2.0, 1.0, larger), 0.64, 0.0);
        // Beyond the return: the clipped error is the smaller one.
        close(value_error(1.5, 1.0, 1.0, clipped), 0.04, 0.0);
        close(value_error(1.5, 1.0, 1.0, larger), 0.25, 1.0);
        close(value_error(1.1, 2.0, 1.0, clipped), 0.81, -1.8);
    }

    #[test]
    fn the_estimate_of_the_divergence_is_zero_at_one_and_positive_elsewhere() {
        assert_eq!(approximate_kl(0.0), 0.0);
        assert!((approximate_kl(2f32.ln()) - (1.0 - 2f32.ln())).abs() < 1e-6);
        assert!(approximate_kl(-0.3) > 0.0);
    }
}
