//! Between tensors and ordinary memory. Losses of a few numbers a row are computed there: on small batches the price of
//! an operation on a tensor is many times its arithmetic.

use tch::{Device, Tensor};

use crate::AgentError;

/// Copies all of a tensor's numbers (f32) into `numbers`, row-major.
pub(crate) fn read(tensor: &Tensor, numbers: &mut Vec<f32>) -> Result<(), AgentError> {
    let count = tensor.numel();
    numbers.resize(count, 0.0);
    Ok(tensor.f_copy_data(numbers, count)?)
}

/// The tensor where the network lives. On the CPU it is the same memory.
pub(crate) fn on_device(tensor: &Tensor, device: Device) -> Result<Tensor, AgentError> {
    Ok(if device == Device::Cpu { tensor.shallow_clone() } else { tensor.f_to_device(device)? })
}
