//! A stack of convolutions as one node of the autograd graph (cnn.cpp).

use std::ffi::{c_char, c_int};

use tch::Tensor;
use torch_sys::C_tensor;

use super::{Parameter, RawParameter, check, pointer};
use crate::{NnError, Precision};

unsafe extern "C" {
    fn pavlov_cnn_is_available(bf16: bool) -> bool;
    fn pavlov_cnn_forward(
        out: *mut *mut C_tensor,
        x: *mut C_tensor,
        height: i64,
        width: i64,
        channels_first: c_int,
        count: c_int,
        parameters: *const RawParameter,
        strides: *const i64,
        paddings: *const i64,
        pools: *const i64,
        bf16: bool,
    ) -> *mut c_char;
}

/// One layer's tensors, and how it walks over the image.
pub struct Layer<'a> {
    /// `[filters, channels, kernel, kernel]`
    pub weight: Parameter<'a>,
    /// `[filters]`
    pub bias: Parameter<'a>,
    /// In pixels.
    pub stride: i64,
    /// In pixels.
    pub padding: i64,
    /// The side of the squares whose largest number is given; 1 gives all, and 15 is the most.
    pub pool: i64,
}

/// True if [`forward`] can run with this libtorch on this processor.
pub fn is_available(precision: Precision) -> bool {
    // SAFETY: takes no pointer.
    unsafe { pavlov_cnn_is_available(precision == Precision::Bf16) }
}

/// The output of these layers, a ReLU and then their pooling after each, for `x`: f32 `[batch, numbers]` on
/// the CPU, each row an image of `size` (height, width).
///
/// # Errors
/// [`NnError::Shim`] when shapes do not fit or the tensors are not f32 on the CPU.
pub fn forward(
    x: &Tensor,
    size: (i64, i64),
    channels_first: bool,
    layers: &[Layer<'_>],
    precision: Precision,
) -> Result<Tensor, NnError> {
    let parameters: Vec<_> = layers.iter().flat_map(|layer| [layer.weight.raw(), layer.bias.raw()]).collect();
    let numbers = |pick: fn(&Layer<'_>) -> i64| layers.iter().map(pick).collect::<Vec<_>>();
    let (strides, paddings) = (numbers(|layer| layer.stride), numbers(|layer| layer.padding));
    let pools = numbers(|layer| layer.pool);
    if layers.is_empty() {
        return Err(NnError::Shape("a convolutional network without layers".into()));
    }
    let mut out = std::ptr::null_mut();
    // SAFETY: the arrays hold one number and two parameters for each layer, whose pointers are of tensors
    // that live through the call; what the graph needs later C++ keeps by references of its own; `out` is a
    // tensor that is now ours.
    unsafe {
        check(pavlov_cnn_forward(
            &mut out,
            pointer(x),
            size.0,
            size.1,
            channels_first.into(),
            layers.len() as c_int,
            parameters.as_ptr(),
            strides.as_ptr(),
            paddings.as_ptr(),
            pools.as_ptr(),
            precision == Precision::Bf16,
        ))?;
        Ok(Tensor::from_ptr(out))
    }
}
