//! The filters of a network's first layer as pictures.

use pavlov_data::Input;
use pavlov_nn::{Parameters, Role};
use tch::Tensor;

use super::error::TaskError;
use super::picture::{Picture, sheet};

/// The most filters that a sheet shows.
const SHOWN: i64 = 64;
const COLUMNS: usize = 8;

/// The filters of the first layer of the network whose parameters' names begin with `prefix`, on one sheet:
/// of a convolution over pictures its kernels, of a linear layer over whole pictures a picture for each unit.
/// Three channels are colours; of other numbers the mean over the channels is drawn. A weight of 0 is grey,
/// and the largest absolute weight of the sheet is black or white, of colours nothing or everything. `None`
/// where the first layer is another one, or its kernels are single pixels.
///
/// # Errors
/// [`TaskError::Nn`] when libtorch fails.
pub fn first_filters(
    parameters: &Parameters,
    prefix: &str,
    input: &Input,
) -> Result<Option<Picture>, TaskError> {
    let Input::Image { channels, height, width } = input else { return Ok(None) };
    let [channels, height, width] = [*channels, *height, *width].map(|side| side as i64);
    let layout = parameters.layout();
    let mut specs = layout.ids().zip(layout.specs());
    let is_weight = |spec: &pavlov_nn::ParameterSpec| spec.role != Role::Buffer && spec.shape.len() > 1;
    let first = specs.find(|(_, spec)| spec.name.starts_with(prefix) && is_weight(spec));
    let Some((id, spec)) = first else { return Ok(None) };
    let _guard = tch::no_grad_guard();
    let weight = parameters.get(id);
    let filters = match *spec.shape {
        [_, seen, down, across] if seen == channels && down * across > 1 => weight.shallow_clone(),
        [_, numbers] if numbers == channels * height * width => {
            weight.f_view([-1, channels, height, width])?
        }
        _ => return Ok(None),
    };
    Ok(Some(sheet(&shades(&filters)?, COLUMNS)?))
}

/// Filters `[count, channels, height, width]` as images of numbers from 0 to 1.
fn shades(filters: &Tensor) -> Result<Tensor, TaskError> {
    let filters = filters.f_narrow(0, 0, filters.size()[0].min(SHOWN))?;
    let drawn = match filters.size()[1] {
        1 | 3 => filters,
        _ => filters.f_mean_dim(1i64, true, tch::Kind::Float)?,
    };
    let largest = drawn.f_abs()?.f_max()?.f_clamp_min(1e-12)?;
    Ok(drawn.f_div(&largest.f_mul_scalar(2.0)?)?.f_add_scalar(0.5)?)
}

#[cfg(test)]
mod tests {
    use pavlov_common::SeededRng;
    use pavlov_nn::Layout;
    use pavlov_nn::layers::{Defaults, build};
    use tch::{Device, kind::FLOAT_CPU};

    use super::*;
    use crate::networks::layers;

    /// The parameters of a list under `net.`, behind a network that is not meant.
    fn parameters(text: &str, shape: &[i64]) -> Parameters {
        let mut layout = Layout::new();
        for prefix in ["other.", "net."] {
            build(&mut layout, prefix, shape, &layers(text).unwrap(), Defaults::default()).unwrap();
        }
        Parameters::new(&layout, &mut SeededRng::seeded(1), Device::Cpu).unwrap()
    }

    fn image(channels: usize) -> Input {
        Input::Image { channels, height: 4, width: 4 }
    }

    #[test]
    fn kernels_are_drawn_of_a_convolution_and_pictures_of_a_linear_layer() {
        for (text, channels, size) in [
            // Kernels of 3 x 3 are drawn 18 times as large.
            (r#""relu", { conv2d = { filters = 5, kernel = 3 } }"#, 1, (5 * 56 + 2, 56 + 2)),
            (
                r#"{ conv2d = { filters = 12, kernel = 3, spectral_norm = true } }"#,
                3,
                (8 * 56 + 2, 2 * 56 + 2),
            ),
            (r#"{ conv2d = { filters = 100, kernel = 2 } }"#, 2, (8 * 58 + 2, 8 * 58 + 2)),
            (r#""flatten", { linear = 9 }"#, 1, (8 * 58 + 2, 2 * 58 + 2)),
        ] {
            let parameters = parameters(text, &[channels as i64, 4, 4]);
            let picture = first_filters(&parameters, "net.", &image(channels)).unwrap().unwrap();
            assert_eq!((picture.width, picture.height), size, "{text}");
        }
    }

    #[test]
    fn a_weight_of_0_is_grey_and_the_largest_is_black_or_white() {
        let filters = Tensor::from_slice(&[0f32, 2.0, -2.0, 1.0]).view([1, 1, 2, 2]);
        assert_eq!(shades(&filters).unwrap().view([4]), Tensor::from_slice(&[0.5f32, 1.0, 0.0, 0.75]));
        let two_channels = Tensor::ones([3, 2, 2, 2], FLOAT_CPU);
        assert_eq!(shades(&two_channels).unwrap(), Tensor::ones([3, 1, 2, 2], FLOAT_CPU));
        let nothing = shades(&Tensor::zeros([1, 3, 2, 2], FLOAT_CPU)).unwrap();
        assert_eq!(nothing, Tensor::full([1, 3, 2, 2], 0.5, FLOAT_CPU));
    }

    #[test]
    fn other_first_layers_have_no_picture() {
        for text in [r#"{ conv2d = { filters = 4, kernel = 1 } }"#, r#"{ reshape = [2, 8] }, { linear = 3 }"#]
        {
            let parameters = parameters(text, &[1, 4, 4]);
            assert!(first_filters(&parameters, "net.", &image(1)).unwrap().is_none(), "{text}");
        }
        let numbers = Input::Numbers { names: vec!["x".to_string(); 16] };
        let parameters = parameters("{ linear = 3 }", &[16]);
        assert!(first_filters(&parameters, "net.", &numbers).unwrap().is_none());
    }
}
