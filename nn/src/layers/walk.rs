//! The geometry of convolutions: the outputs that there are, and the inputs that do not fit.

use super::{at_least, takes, unfit};
use crate::NnError;

/// The geometry of a convolution; each list has one number for each dimension of space or time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Walk {
    pub channels: i64,
    pub filters: i64,
    pub kernel: Vec<i64>,
    pub stride: Vec<i64>,
    pub padding: Vec<i64>,
    pub dilation: Vec<i64>,
    pub output_padding: Vec<i64>,
    pub groups: i64,
    pub transposed: bool,
}

impl Walk {
    pub fn validate(&self) -> Result<(), NnError> {
        at_least("channels", self.channels, 1)?;
        at_least("filters", self.filters, 1)?;
        at_least("groups", self.groups, 1)?;
        for index in 0..self.kernel.len() {
            at_least("kernel", self.kernel[index], 1)?;
            at_least("stride", self.stride[index], 1)?;
            at_least("dilation", self.dilation[index], 1)?;
            at_least("padding", self.padding[index], 0)?;
            at_least("output_padding", self.output_padding[index], 0)?;
            if self.output_padding[index] >= self.stride[index].max(self.dilation[index]).max(1) {
                let (extra, stride) = (self.output_padding[index], self.stride[index]);
                return Err(NnError::Config(format!(
                    "output_padding is {extra}: give less than the stride of {stride}"
                )));
            }
        }
        let (channels, filters, groups) = (self.channels, self.filters, self.groups);
        if channels % groups != 0 || filters % groups != 0 {
            return Err(NnError::Config(format!(
                "groups is {groups}: give a number that divides the {channels} channels and the {filters} \
                 filters"
            )));
        }
        Ok(())
    }

    /// The shape of one sample that comes out for one of `[channels, sizes ...]`.
    pub fn output(&self, shape: &[i64]) -> Result<Vec<i64>, NnError> {
        if shape.len() != 1 + self.kernel.len() {
            return Err(unfit(self.takes(), shape));
        }
        let mut output = vec![self.filters];
        for (index, &size) in shape[1..].iter().enumerate() {
            let window = self.dilation[index] * (self.kernel[index] - 1) + 1;
            let (stride, padding) = (self.stride[index], self.padding[index]);
            let count = match self.transposed {
                false if size + 2 * padding < window => return Err(self.too_small(shape)),
                false => (size + 2 * padding - window) / stride + 1,
                true => (size - 1) * stride - 2 * padding + window + self.output_padding[index],
            };
            if count < 1 {
                let message = format!("nothing is left of {shape:?}: give less padding or a larger kernel");
                return Err(NnError::Config(message));
            }
            output.push(count);
        }
        Ok(output)
    }

    fn too_small(&self, shape: &[i64]) -> NnError {
        let (sizes, kernel, what) = (by(&shape[1..]), by(&self.kernel), self.things());
        NnError::Config(format!(
            "{what} too small: it gets {sizes} and looks at {kernel}; give a larger one, fewer layers before \
             this one, smaller kernels, dilations or strides, or more padding"
        ))
    }

    fn things(&self) -> &'static str {
        match self.kernel.len() {
            1 => "the sequence is",
            _ => "the image is",
        }
    }

    /// The input's form, in the words of an error.
    pub fn takes(&self) -> &'static str {
        takes(self.kernel.len())
    }
}

/// Sizes in the words of an error: `84x84`.
fn by(sizes: &[i64]) -> String {
    sizes.iter().map(i64::to_string).collect::<Vec<_>>().join("x")
}
