//! Pooling over windows of sequences and images.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::fusion::Fusible;
use super::item::{Built, Item, Short, Site};
use super::pair::Pair;
use super::{at_least, is_one, is_yes, is_zero, one, takes, unfit, wrong_input, yes};
use crate::{Module, NnError, Pass};

/// The largest number of each window of a sequence, as PyTorch's `nn.MaxPool1d`. In a list of layers:
/// `{ max_pool1d = 2 }`, or `{ max_pool1d = { kernel = 3, stride = 2, padding = 1 } }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool1d {
    /// Steps per window.
    pub kernel: i64,
    /// Distance between neighbouring windows. Default: the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<i64>,
    /// Number of steps of minus infinity before and after the sequence.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub padding: i64,
    /// Distance between the steps of a window.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub dilation: i64,
}

/// The mean of each window of a sequence, as PyTorch's `nn.AvgPool1d`. In a list of layers: `{ avg_pool1d = 2
/// }`, or `{ avg_pool1d = { kernel = 3, stride = 2 } }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool1d {
    /// Steps per window.
    pub kernel: i64,
    /// Distance between neighbouring windows. Default: the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<i64>,
    /// Number of zeros before and after the sequence.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub padding: i64,
    /// Count these zeros in the means.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub count_padding: bool,
}

/// The largest number of each window of an image, as PyTorch's `nn.MaxPool2d`. In a list of layers:
/// `{ max_pool2d = 2 }`, or `{ max_pool2d = { kernel = 3, stride = 2, padding = 1 } }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool2d {
    /// The sides of a window, in pixels.
    pub kernel: Pair,
    /// Distance between neighbouring windows. Default: the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<Pair>,
    /// Number of pixels of minus infinity at each side of the image.
    #[serde(default = "Pair::zero", skip_serializing_if = "Pair::is_zero")]
    pub padding: Pair,
    /// Distance between the pixels of a window.
    #[serde(default = "Pair::one", skip_serializing_if = "Pair::is_one")]
    pub dilation: Pair,
}

/// The mean of each window of an image, as PyTorch's `nn.AvgPool2d`. In a list of layers: `{ avg_pool2d = 2
/// }`, or `{ avg_pool2d = { kernel = 3, stride = 2 } }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool2d {
    /// The sides of a window, in pixels.
    pub kernel: Pair,
    /// Distance between neighbouring windows. Default: the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<Pair>,
    /// Number of zeros at each side of the image.
    #[serde(default = "Pair::zero", skip_serializing_if = "Pair::is_zero")]
    pub padding: Pair,
    /// Count these zeros in the means.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub count_padding: bool,
}

/// The windows of a pooling; each list has one number for each dimension of space or time.
struct Windows {
    kernel: Vec<i64>,
    stride: Vec<i64>,
    padding: Vec<i64>,
    dilation: Vec<i64>,
}

impl Windows {
    fn validate(&self) -> Result<(), NnError> {
        for index in 0..self.kernel.len() {
            let (kernel, padding) = (self.kernel[index], self.padding[index]);
            at_least("kernel", kernel, 1)?;
            at_least("stride", self.stride[index], 1)?;
            at_least("padding", padding, 0)?;
            at_least("dilation", self.dilation[index], 1)?;
            if padding > kernel / 2 {
                return Err(NnError::Config(format!(
                    "padding is {padding}: give at most half of the kernel of {kernel}"
                )));
            }
        }
        Ok(())
    }

    /// The shape of one sample that comes out for one of `[channels, sizes ...]`.
    fn output(&self, shape: &[i64]) -> Result<Vec<i64>, NnError> {
        let takes = takes(self.kernel.len());
        let [channels, sizes @ ..] = shape else { return Err(unfit(takes, shape)) };
        if sizes.len() != self.kernel.len() {
            return Err(unfit(takes, shape));
        }
        let mut output = vec![*channels];
        for (index, size) in sizes.iter().enumerate() {
            let window = self.dilation[index] * (self.kernel[index] - 1) + 1;
            let room = size + 2 * self.padding[index] - window;
            if room < 0 {
                let kernel = &self.kernel;
                return Err(NnError::Config(format!(
                    "samples of shape {shape:?} are too small for windows of {kernel:?}: give larger ones, \
                     fewer layers before this one, or a smaller kernel"
                )));
            }
            output.push(room / self.stride[index] + 1);
        }
        Ok(output)
    }

    /// Checks an input before libtorch sees it.
    fn check(&self, x: &Tensor) -> Result<(), NnError> {
        self.validate()?;
        check_batch(x, self.kernel.len())?;
        self.output(&x.size()[1..]).map(|_| ())
    }
}

fn check_batch(x: &Tensor, dimensions: usize) -> Result<(), NnError> {
    match x.dim() == dimensions + 2 && x.is_floating_point() {
        true => Ok(()),
        false => Err(wrong_input("a pooling layer", format!("a batch of f32 {}", takes(dimensions)), x)),
    }
}

impl MaxPool1d {
    /// Windows of this many steps side by side.
    pub const fn new(kernel: i64) -> Self {
        Self { kernel, stride: None, padding: 0, dilation: 1 }
    }

    fn windows(&self) -> Windows {
        Windows {
            kernel: vec![self.kernel],
            stride: vec![self.stride.unwrap_or(self.kernel)],
            padding: vec![self.padding],
            dilation: vec![self.dilation],
        }
    }
}

impl AvgPool1d {
    /// Windows of this many steps side by side.
    pub const fn new(kernel: i64) -> Self {
        Self { kernel, stride: None, padding: 0, count_padding: true }
    }

    fn windows(&self) -> Windows {
        Windows {
            kernel: vec![self.kernel],
            stride: vec![self.stride.unwrap_or(self.kernel)],
            padding: vec![self.padding],
            dilation: vec![1],
        }
    }
}

impl MaxPool2d {
    /// Squares of this many pixels side by side.
    pub const fn new(kernel: i64) -> Self {
        Self { kernel: Pair::both(kernel), stride: None, padding: Pair::zero(), dilation: Pair::one() }
    }

    fn windows(&self) -> Windows {
        Windows {
            kernel: self.kernel.sizes().into(),
            stride: self.stride.unwrap_or(self.kernel).sizes().into(),
            padding: self.padding.sizes().into(),
            dilation: self.dilation.sizes().into(),
        }
    }
}

impl AvgPool2d {
    /// Squares of this many pixels side by side.
    pub const fn new(kernel: i64) -> Self {
        Self { kernel: Pair::both(kernel), stride: None, padding: Pair::zero(), count_padding: true }
    }

    fn windows(&self) -> Windows {
        Windows {
            kernel: self.kernel.sizes().into(),
            stride: self.stride.unwrap_or(self.kernel).sizes().into(),
            padding: self.padding.sizes().into(),
            dilation: vec![1; 2],
        }
    }
}

impl Module for MaxPool1d {
    /// From f32 `[batch, channels, steps]` to f32 `[batch, channels, windows]`.
    fn forward(&self, _: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let windows = self.windows();
        windows.check(x)?;
        let Windows { kernel, stride, padding, dilation } = &windows;
        Ok(x.f_max_pool1d(kernel, stride, padding, dilation, false)?)
    }
}

impl Module for AvgPool1d {
    /// From f32 `[batch, channels, steps]` to f32 `[batch, channels, windows]`.
    fn forward(&self, _: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let windows = self.windows();
        windows.check(x)?;
        let Windows { kernel, stride, padding, .. } = &windows;
        Ok(x.f_avg_pool1d(kernel, stride, padding, false, self.count_padding)?)
    }
}

impl Module for MaxPool2d {
    /// From f32 `[batch, channels, height, width]` to f32 `[batch, channels, windows down, windows across]`.
    fn forward(&self, _: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let windows = self.windows();
        windows.check(x)?;
        let Windows { kernel, stride, padding, dilation } = &windows;
        Ok(x.f_max_pool2d(kernel, stride, padding, dilation, false)?)
    }

    fn fusible(&self) -> Option<Fusible> {
        let [side, _] = self.kernel.sizes();
        let tiles = Self { stride: self.stride.filter(|&stride| stride != self.kernel), ..*self };
        (tiles == Self::new(side)).then_some(Fusible::MaxPool2d { side })
    }
}

impl Module for AvgPool2d {
    /// From f32 `[batch, channels, height, width]` to f32 `[batch, channels, windows down, windows across]`.
    fn forward(&self, _: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let windows = self.windows();
        windows.check(x)?;
        let Windows { kernel, stride, padding, .. } = &windows;
        Ok(x.f_avg_pool2d(kernel, stride, padding, false, self.count_padding, None)?)
    }
}

macro_rules! items {
    ($($layer:ty,)*) => {$(
        impl Item for $layer {
            fn from_short(short: Short) -> Option<Self> {
                short.whole().map(Self::new)
            }

            fn to_short(&self) -> Option<Short> {
                let kernel = self.windows().kernel[0];
                (*self == Self::new(kernel)).then_some(Short::Whole(kernel))
            }

            fn build(&self, _: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
                let windows = self.windows();
                windows.validate()?;
                Ok(Built::new(*self, windows.output(shape)?))
            }
        }
    )*};
}

items! {
    MaxPool1d,
    AvgPool1d,
    MaxPool2d,
    AvgPool2d,
}

macro_rules! adaptive {
    ($(
        $(#[$doc:meta])*
        $layer:ident, $size:ty, $sizes:expr, $dimensions:literal, $shapes:literal, $pool:expr;
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $layer(pub $size);

        impl $layer {
            fn output(&self, shape: &[i64]) -> Result<Vec<i64>, NnError> {
                let sizes: Vec<i64> = $sizes(self.0);
                for &size in &sizes {
                    at_least("the output's size", size, 1)?;
                }
                match shape.len() == $dimensions + 1 {
                    true => Ok([&shape[..1], &sizes].concat()),
                    false => Err(unfit(takes($dimensions), shape)),
                }
            }
        }

        impl Module for $layer {
            #[doc = $shapes]
            fn forward(&self, _: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
                check_batch(x, $dimensions)?;
                let output = self.output(&x.size()[1..])?;
                Ok($pool(x, &output[1..])?)
            }
        }

        impl Item for $layer {
            fn from_short(short: Short) -> Option<Self> {
                short.whole().map(|size| Self(size.into()))
            }

            fn build(&self, _: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
                Ok(Built::new(*self, self.output(shape)?))
            }
        }
    )*};
}

adaptive! {
    /// The means of as many windows as are asked for, as PyTorch's `nn.AdaptiveAvgPool1d`. In a list of
    /// layers: `{ adaptive_avg_pool1d = 1 }`.
    AdaptiveAvgPool1d, i64, |size| vec![size], 1,
    "From f32 `[batch, channels, steps]` to f32 `[batch, channels, size]`.",
    Tensor::f_adaptive_avg_pool1d;
    /// The largest numbers of as many windows as are asked for, as PyTorch's `nn.AdaptiveMaxPool1d`. In a
    /// list of layers: `{ adaptive_max_pool1d = 1 }`.
    AdaptiveMaxPool1d, i64, |size| vec![size], 1,
    "From f32 `[batch, channels, steps]` to f32 `[batch, channels, size]`.",
    |x: &Tensor, size: &[i64]| x.f_adaptive_max_pool1d(size).map(|(largest, _)| largest);
    /// The means of as many windows as are asked for, as PyTorch's `nn.AdaptiveAvgPool2d`. In a list of
    /// layers: `{ adaptive_avg_pool2d = 1 }`, or `{ adaptive_avg_pool2d = [7, 5] }`.
    AdaptiveAvgPool2d, Pair, |size: Pair| size.sizes().to_vec(), 2,
    "From f32 `[batch, channels, height, width]` to f32 `[batch, channels, size ...]`.",
    Tensor::f_adaptive_avg_pool2d;
    /// The largest numbers of as many windows as are asked for, as PyTorch's `nn.AdaptiveMaxPool2d`. In a
    /// list of layers: `{ adaptive_max_pool2d = 1 }`, or `{ adaptive_max_pool2d = [7, 5] }`.
    AdaptiveMaxPool2d, Pair, |size: Pair| size.sizes().to_vec(), 2,
    "From f32 `[batch, channels, height, width]` to f32 `[batch, channels, size ...]`.",
    |x: &Tensor, size: &[i64]| x.f_adaptive_max_pool2d(size).map(|(largest, _)| largest);
}
