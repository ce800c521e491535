//! Transforms that move the pixels of an image.

use pavlov_common::SeededRng;
use rand::RngExt;

use super::{Size, Transform};
use crate::Input;

/// An image moved by whole pixels. A crop of a padded image is the same move, seen from the window.
#[derive(Debug)]
pub(super) struct Shift {
    output: Input,
    size: Size,
    pixels: i64,
}

impl Shift {
    pub(super) fn new(input: &Input, size: Size, pixels: usize) -> Self {
        Self { output: input.clone(), size, pixels: pixels as i64 }
    }
}

impl Transform for Shift {
    fn output(&self) -> &Input {
        &self.output
    }

    fn augments(&self) -> bool {
        true
    }

    fn apply(&self, input: &[f32], output: &mut [f32], rng: &mut SeededRng) {
        let mut pixels = || rng.random_range(-self.pixels..=self.pixels) as isize;
        let (down, right) = (pixels(), pixels());
        shift(self.size, input, output, down, right);
    }
}

/// Moves an image; pixels from outside are 0.
fn shift(size: Size, input: &[f32], output: &mut [f32], down: isize, right: isize) {
    let width = size.width;
    // The columns of the source that stay visible, and the first column that they move to.
    let (from, to) = (right.min(0).unsigned_abs().min(width), right.max(0).unsigned_abs().min(width));
    let count = width - from.max(to);
    let planes = input.chunks_exact(size.plane()).zip(output.chunks_exact_mut(size.plane()));
    for (input, output) in planes {
        for (row, output) in output.chunks_exact_mut(width).enumerate() {
            output.fill(0.0);
            let source = row.checked_add_signed(-down).filter(|source| *source < size.height);
            if let Some(source) = source {
                let input = &input[source * width..][..width];
                output[to..to + count].copy_from_slice(&input[from..from + count]);
            }
        }
    }
}

/// An image mirrored, left to right.
#[derive(Debug)]
pub(super) struct FlipHorizontal {
    output: Input,
    size: Size,
    probability: f64,
}

impl FlipHorizontal {
    pub(super) fn new(input: &Input, size: Size, probability: f64) -> Self {
        Self { output: input.clone(), size, probability }
    }
}

impl Transform for FlipHorizontal {
    fn output(&self) -> &Input {
        &self.output
    }

    fn augments(&self) -> bool {
        true
    }

    fn apply(&self, input: &[f32], output: &mut [f32], rng: &mut SeededRng) {
        output.copy_from_slice(input);
        if rng.random::<f64>() < self.probability {
            output.chunks_exact_mut(self.size.width).for_each(<[f32]>::reverse);
        }
    }
}

/// An image turned about its centre.
#[derive(Debug)]
pub(super) struct Rotate {
    output: Input,
    size: Size,
    radians: f64,
}

impl Rotate {
    pub(super) fn new(input: &Input, size: Size, degrees: f64) -> Self {
        Self { output: input.clone(), size, radians: degrees.to_radians() }
    }
}

impl Transform for Rotate {
    fn output(&self) -> &Input {
        &self.output
    }

    fn augments(&self) -> bool {
        true
    }

    fn apply(&self, input: &[f32], output: &mut [f32], rng: &mut SeededRng) {
        let angle = rng.uniform(-self.radians, self.radians);
        rotate(self.size, input, output, angle);
    }
}

/// Turns an image by an angle in radians, clockwise: each pixel is interpolated between the four that its
/// place had before the turn.
fn rotate(size: Size, input: &[f32], output: &mut [f32], angle: f64) {
    let (sin, cos) = angle.sin_cos();
    let (sin, cos) = (sin as f32, cos as f32);
    let (centre_y, centre_x) = ((size.height as f32 - 1.0) / 2.0, (size.width as f32 - 1.0) / 2.0);
    for row in 0..size.height {
        let y = row as f32 - centre_y;
        for column in 0..size.width {
            let x = column as f32 - centre_x;
            let spot = Spot::new(centre_y + cos * y - sin * x, centre_x + cos * x + sin * y);
            let place = row * size.width + column;
            // The channels share the place and the weights.
            for plane in (0..size.channels).map(|channel| channel * size.plane()) {
                output[plane + place] = spot.value(size, &input[plane..plane + size.plane()]);
            }
        }
    }
}

/// A place between pixels: the pixel above and to the left, and the distance from it.
#[derive(Clone, Copy)]
struct Spot {
    top: i32,
    left: i32,
    below: f32,
    right: f32,
}

impl Spot {
    fn new(y: f32, x: f32) -> Self {
        let (top, left) = (floor(y), floor(x));
        Self { top, left, below: y - top as f32, right: x - left as f32 }
    }

    /// The value between the four pixels; outside of the image it is 0.
    #[inline]
    fn value(self, size: Size, plane: &[f32]) -> f32 {
        let Self { top, left, below, right } = self;
        let (height, width) = (size.height as i32, size.width as i32);
        if top >= 0 && left >= 0 && top + 1 < height && left + 1 < width {
            let place = top as usize * size.width + left as usize;
            if let Some(four) = plane.get(place..place + size.width + 2) {
                let upper = mix(four[0], four[1], right);
                return mix(upper, mix(four[size.width], four[size.width + 1], right), below);
            }
        }
        let at = |row: i32, column: i32| {
            let inside = (0..height).contains(&row) && (0..width).contains(&column);
            if inside { plane[row as usize * size.width + column as usize] } else { 0.0 }
        };
        let upper = mix(at(top, left), at(top, left + 1), right);
        mix(upper, mix(at(top + 1, left), at(top + 1, left + 1), right), below)
    }
}

/// The whole number below. `f32::floor` is a function call on processors without SSE 4.1.
fn floor(number: f32) -> i32 {
    let whole = number as i32;
    whole - i32::from(number < whole as f32)
}

fn mix(a: f32, b: f32, share: f32) -> f32 {
    a * (1.0 - share) + b * share
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn image(size: Size, seed: u64) -> Vec<f32> {
        let mut rng = SeededRng::seeded(seed);
        (0..size.channels * size.plane()).map(|_| rng.random()).collect()
    }

    fn size() -> impl Strategy<Value = Size> {
        (1..4usize, 1..9usize, 1..9usize).prop_map(|(channels, height, width)| Size {
            channels,
            height,
            width,
        })
    }

    fn input(size: Size) -> Input {
        Input::Image { channels: size.channels, height: size.height, width: size.width }
    }

    proptest! {
        #[test]
        fn a_shift_moves_each_pixel(
            size in size(), down in -10..=10isize, right in -10..=10isize, seed: u64,
        ) {
            let image = image(size, seed);
            let mut moved = vec![f32::NAN; image.len()];
            shift(size, &image, &mut moved, down, right);
            let (height, width) = (size.height as isize, size.width as isize);
            for channel in 0..size.channels as isize {
                for (row, column) in (0..height).flat_map(|row| (0..width).map(move |column| (row, column))) {
                    let (y, x) = (row - down, column - right);
                    let inside = (0..height).contains(&y) && (0..width).contains(&x);
                    let at = |y, x| ((channel * height + y) * width + x) as usize;
                    let wanted = if inside { image[at(y, x)] } else { 0.0 };
                    prop_assert_eq!(moved[at(row, column)], wanted);
                }
            }
        }

        #[test]
        fn a_flip_mirrors_and_two_flips_or_moves_by_nothing_change_nothing(size in size(), seed: u64) {
            let image = image(size, seed);
            let mut rng = SeededRng::seeded(seed);
            let mut output = vec![f32::NAN; image.len()];
            Shift::new(&input(size), size, 0).apply(&image, &mut output, &mut rng);
            prop_assert_eq!(&output, &image);
            Rotate::new(&input(size), size, 0.0).apply(&image, &mut output, &mut rng);
            prop_assert_eq!(&output, &image);
            let never = FlipHorizontal::new(&input(size), size, 0.0);
            never.apply(&image, &mut output, &mut rng);
            prop_assert_eq!(&output, &image);
            let flip = FlipHorizontal::new(&input(size), size, 1.0);
            flip.apply(&image, &mut output, &mut rng);
            for (mirrored, row) in output.chunks_exact(size.width).zip(image.chunks_exact(size.width)) {
                prop_assert!(mirrored.iter().eq(row.iter().rev()));
            }
            let mut back = vec![f32::NAN; image.len()];
            flip.apply(&output, &mut back, &mut rng);
            prop_assert_eq!(&back, &image);
        }

        /// A crop is a window of the padded image.
        #[test]
        fn a_crop_is_a_window_of_the_padded_image(size in size(), padding in 0..4usize, seed: u64) {
            let padding = padding.min(size.height.min(size.width));
            let image = image(size, seed);
            let mut cropped = vec![f32::NAN; image.len()];
            let crop = Shift::new(&input(size), size, padding);
            crop.apply(&image, &mut cropped, &mut SeededRng::seeded(seed));
            let (height, width) = (size.height + 2 * padding, size.width + 2 * padding);
            let mut padded = vec![0.0; size.channels * height * width];
            for (row, line) in image.chunks_exact(size.width).enumerate() {
                let (channel, row) = (row / size.height, row % size.height + padding);
                padded[(channel * height + row) * width + padding..][..size.width].copy_from_slice(line);
            }
            let window = |top: usize, left: usize| {
                cropped.chunks_exact(size.width).enumerate().all(|(row, line)| {
                    let (channel, row) = (row / size.height, row % size.height + top);
                    padded[(channel * height + row) * width + left..][..size.width] == *line
                })
            };
            let places = 0..=2 * padding;
            prop_assert!(places.clone().any(|top| places.clone().any(|left| window(top, left))));
        }
    }

    #[test]
    fn a_quarter_turn_is_exact_and_clockwise() {
        let size = Size { channels: 1, height: 3, width: 3 };
        let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        let mut turned = [0.0; 9];
        rotate(size, &image, &mut turned, std::f64::consts::FRAC_PI_2);
        let wanted = [7.0, 4.0, 1.0, 8.0, 5.0, 2.0, 9.0, 6.0, 3.0];
        for (turned, wanted) in turned.iter().zip(wanted) {
            assert!((turned - wanted).abs() < 1e-5, "{turned} {wanted}");
        }
    }
}
