//! Sine, cosine and the normalised angle in plain arithmetic, with the same bits on every machine.
//!
//! The standard library's functions differ in their last bit from machine to machine, and a compiler cannot
//! vectorise them. These have neither a branch nor a call: they give the same bits everywhere, alone or in a
//! vector.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_4, TAU};

/// Adding this to a number of moderate size and subtracting it again rounds to the nearest whole number,
/// which in between stands in the lowest bits.
const ROUNDING: f64 = 6_755_399_441_055_744.0;

/// A quarter turn in three parts. Times a whole number up to 2^20, the first two are exact.
const QUARTER: [f64; 3] = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21];

/// `sin(x) = x + x^3 P(x^2)` within 2^-56 of it for x from -pi/4 to pi/4, by Remez' algorithm.
const SINE: [f64; 6] = [
    -0.1666666666666663,
    0.008333333333322063,
    -0.00019841269829542587,
    2.7557313604519624e-6,
    -2.505074503683901e-8,
    1.5896067458787827e-10,
];

/// `cos(x) = 1 - x^2 / 2 + x^4 P(x^2)` within 2^-59 of it for x from -pi/4 to pi/4, by Remez' algorithm.
const COSINE: [f64; 6] = [
    0.041666666666666595,
    -0.0013888888888872975,
    2.4801587288800065e-5,
    -2.755731416398826e-7,
    2.087569871009439e-9,
    -1.1358423595903961e-11,
];

/// Sine and cosine of an angle in radians, each within two units in the last place for angles up to a
/// million. Far beyond that they lose their meaning, but never leave -1 to 1.
#[inline(always)]
pub fn sin_cos(angle: f64) -> (f64, f64) {
    let shifted = angle * FRAC_2_PI + ROUNDING;
    let quarters = shifted - ROUNDING;
    let rest = QUARTER.iter().fold(angle, |rest, part| rest - quarters * part);
    let x = rest.clamp(-FRAC_PI_4 * 1.001, FRAC_PI_4 * 1.001);
    let square = x * x;
    let sine = x + x * square * polynomial(SINE, square);
    let cosine = 1.0 - (0.5 * square - square * square * polynomial(COSINE, square));

    // The lowest two bits count the quarter turns: one swaps sine and cosine, two turn the signs around.
    let bits = shifted.to_bits();
    let swapped = bits & 1 == 1;
    let (s, c) = if swapped { (cosine, sine) } else { (sine, cosine) };
    let signed = |number: f64, bits: u64| f64::from_bits(number.to_bits() ^ (bits & 2) << 62);
    (signed(s, bits), signed(c, bits.wrapping_add(1)))
}

/// Estrin's scheme: its products do not wait for one another.
#[inline(always)]
fn polynomial([a, b, c, d, e, f]: [f64; 6], x: f64) -> f64 {
    let square = x * x;
    (a + b * x) + square * ((c + d * x) + square * (e + f * x))
}

/// The equivalent angle between -pi and pi.
#[inline(always)]
pub fn wrapped(angle: f64) -> f64 {
    let turns = (angle / TAU + ROUNDING) - ROUNDING;
    angle - turns * TAU
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// The distance in units in the last place of `right`.
    fn ulps(ours: f64, right: f64) -> f64 {
        let unit = f64::from_bits(right.abs().to_bits() + 1) - right.abs();
        (ours - right).abs() / unit
    }

    /// The greatest distances of sine and cosine from the standard library's among `count` angles up to
    /// `limit`.
    fn farthest(limit: f64, count: u32) -> (f64, f64) {
        (0..=count).fold((0.0, 0.0), |(sine, cosine): (f64, f64), index| {
            let angle = limit * (2.0 * f64::from(index) / f64::from(count) - 1.0);
            let ((s, c), (right_s, right_c)) = (sin_cos(angle), angle.sin_cos());
            (sine.max(ulps(s, right_s)), cosine.max(ulps(c, right_c)))
        })
    }

    #[test]
    fn sine_and_cosine_are_right_to_the_last_places() {
        for limit in [0.25, 4.0, 10.0, 200.0, 1e6] {
            let (sine, cosine) = farthest(limit, 300_000);
            println!("up to {limit}: sine {sine} ulp, cosine {cosine} ulp");
            assert!(sine <= 2.0 && cosine <= 2.0, "up to {limit}: {sine} and {cosine} ulp");
        }
    }

    #[test]
    fn sine_and_cosine_stay_numbers_wherever_they_are_asked() {
        assert_eq!(sin_cos(0.0), (0.0, 1.0));
        for angle in [1e15, -1e18, f64::MAX, f64::MIN] {
            let (sine, cosine) = sin_cos(angle);
            assert!(sine.abs() <= 1.0 && cosine.abs() <= 1.0, "{angle}: {sine}, {cosine}");
        }
        assert!(sin_cos(f64::NAN).0.is_nan() && sin_cos(f64::INFINITY).1.is_nan());
    }

    #[test]
    fn wrapped_angles_point_the_same_way() {
        for index in -2000..2000 {
            let angle = f64::from(index) * 0.0137;
            let turned = wrapped(angle);
            assert!(turned.abs() <= PI + 1e-12, "{angle} became {turned}");
            assert!((turned.sin() - angle.sin()).abs() < 1e-13, "{angle} became {turned}");
            if angle.abs() < PI {
                assert_eq!(turned, angle);
            }
        }
    }
}
