//! The generator and the discriminator.

use pavlov_nn::layers::{Layers, Linear, Sequential};
use pavlov_nn::{Layout, Module, Pass};
use tch::{Kind, Tensor};

use super::config::{Adversary, GanConfig};
use crate::core::TaskError;
use crate::networks::{layers, quarter};

/// The two networks of a GAN.
#[derive(Debug)]
pub(super) struct Networks {
    generator: Sequential,
    discriminator: Sequential,
    head: Linear,
    /// Channels, height and width of a picture.
    pub image: [i64; 3],
    /// The number of classes that can be asked for; 0 of a GAN that is not conditional.
    pub classes: i64,
}

/// The parameters of the generator and of the discriminator.
pub(super) struct Layouts {
    pub generator: Layout,
    pub discriminator: Layout,
}

impl Networks {
    pub fn new(config: &GanConfig, image: [i64; 3], classes: i64) -> Result<(Self, Layouts), TaskError> {
        let [channels, height, width] = image;
        let mut layouts = Layouts { generator: Layout::new(), discriminator: Layout::new() };
        let noise = [config.noise + classes];
        let (generator, made) =
            config
                .generator
                .build(&mut layouts.generator, ("generator", "net."), &noise, || generator(image))?;
        if made.iter().product::<i64>() != image.iter().product::<i64>() {
            return Err(TaskError::Config(format!(
                "generator.layers: the generator gives samples of shape {made:?}, and a picture has {image:?}: let \
                 it give as many numbers"
            )));
        }
        let seen = [channels + classes, height, width];
        let normalised = config.discriminator.spectral_norm;
        let standard = || discriminator(image, config.adversary == Adversary::Standard && !normalised);
        let (discriminator, features) = config.discriminator.build(
            &mut layouts.discriminator,
            ("discriminator", "net."),
            &seen,
            standard,
        )?;
        let features = features.iter().product();
        let head =
            Linear::new(&mut layouts.discriminator, "score.", features, &config.discriminator.linear(1))?;
        Ok((Self { generator, discriminator, head, image, classes }, layouts))
    }

    /// Pictures of these classes, numbers from -1 to 1, from noise f32 `[rows, noise]`.
    pub fn generate(
        &self,
        pass: &mut Pass<'_>,
        noise: &Tensor,
        classes: &Tensor,
    ) -> Result<Tensor, TaskError> {
        let rows = noise.size()[0];
        let input = match self.classes {
            0 => noise.shallow_clone(),
            count => {
                let code = classes.f_one_hot(count)?.f_to_kind(Kind::Float)?;
                Tensor::f_cat(&[noise, &code], 1)?
            }
        };
        let [channels, height, width] = self.image;
        Ok(self.generator.forward(pass, &input)?.f_reshape([rows, channels, height, width])?.f_tanh()?)
    }

    /// The score of each picture, f32 `[rows]`: high for real ones.
    pub fn score(
        &self,
        pass: &mut Pass<'_>,
        pictures: &Tensor,
        classes: &Tensor,
    ) -> Result<Tensor, TaskError> {
        let rows = pictures.size()[0];
        let [_, height, width] = self.image;
        let input = match self.classes {
            0 => pictures.shallow_clone(),
            count => {
                let code = classes.f_one_hot(count)?.f_to_kind(Kind::Float)?;
                let code = code.f_view([rows, count, 1, 1])?.f_expand([rows, count, height, width], false)?;
                Tensor::f_cat(&[pictures, &code], 1)?
            }
        };
        let features = self.discriminator.forward(pass, &input)?.f_flatten(1, -1)?;
        Ok(self.head.forward(pass, &features)?.f_view([rows])?)
    }
}

/// DCGAN's generator for pictures whose sides are multiples of 4.
fn generator(image: [i64; 3]) -> Result<Layers, TaskError> {
    let [channels, height, width] = quarter(&image)?;
    layers(&format!(
        r#"{{ linear = {} }}, {{ reshape = [128, {height}, {width}] }}, "batch_norm", "relu",
           {{ conv_transpose2d = {{ filters = 64, kernel = 4, stride = 2, padding = 1 }} }}, "batch_norm", "relu",
           {{ conv_transpose2d = {{ filters = {channels}, kernel = 4, stride = 2, padding = 1 }} }}"#,
        128 * height * width
    ))
}

/// DCGAN's discriminator. Batch norm is left out of Wasserstein's game, whose penalty is of each sample alone,
/// and where the weights are normalised.
fn discriminator(image: [i64; 3], batch_norm: bool) -> Result<Layers, TaskError> {
    quarter(&image)?;
    let norm = if batch_norm { r#""batch_norm","# } else { "" };
    layers(&format!(
        r#"{{ conv2d = {{ filters = 64, kernel = 4, stride = 2, padding = 1 }} }}, {{ leaky_relu = 0.2 }},
           {{ conv2d = {{ filters = 128, kernel = 4, stride = 2, padding = 1 }} }}, {norm}
           {{ leaky_relu = 0.2 }}, "flatten""#
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discriminator_of(text: &str) -> Vec<String> {
        let config: GanConfig = toml::from_str(text).unwrap();
        let (_, layouts) = Networks::new(&config, [1, 8, 8], 0).unwrap();
        layouts.discriminator.specs().iter().map(|spec| spec.name.clone()).collect()
    }

    #[test]
    fn spectral_norm_takes_every_weight_of_the_discriminator_and_the_place_of_batch_norm() {
        let plain = discriminator_of("");
        assert!(plain.iter().any(|name| name.ends_with("running_mean")));
        assert!(!plain.iter().any(|name| name.contains("parametrizations")));
        let normalised = discriminator_of("discriminator.spectral_norm = true");
        assert!(!normalised.iter().any(|name| name.ends_with("running_mean")));
        for layer in ["net.0", "net.2", "score"] {
            let name = format!("{layer}.parametrizations.weight.original");
            assert!(normalised.contains(&name), "{name} is not in {normalised:?}");
        }
        assert!(!normalised.iter().any(|name| name.ends_with(".weight")));
    }
}
