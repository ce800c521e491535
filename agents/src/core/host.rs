//! Copies between tensors, saved arrays and ordinary memory.

use pavlov_nn::{ArrayElement, HostElement, StateView, pinned, read_numbers};
use tch::{Device, Tensor};

use crate::core::AgentError;

/// Copies all of a tensor's numbers (f32) into `numbers`, row-major: a read that waits for the tensor's device.
///
/// # Errors
/// [`AgentError`] when the tensor is not of f32, or a copy fails.
pub fn read(tensor: &Tensor, numbers: &mut Vec<f32>) -> Result<(), AgentError> {
    numbers.resize(tensor.numel(), 0.0);
    Ok(read_numbers(tensor, numbers)?)
}

/// The tensor where the network lives. On the CPU it is the same memory.
///
/// # Errors
/// [`AgentError`] when memory runs out.
pub fn on_device(tensor: &Tensor, device: Device) -> Result<Tensor, AgentError> {
    Ok(if device == Device::Cpu { tensor.shallow_clone() } else { tensor.f_to_device(device)? })
}

/// A copy of these numbers on the device, of this shape. The caller does not wait for the copy to a GPU: it
/// is made from page-locked memory, in order with the device's other work.
///
/// # Errors
/// [`AgentError`] when there are more or fewer numbers than the shape has.
pub fn sent<T: HostElement>(numbers: &[T], shape: &[i64], device: Device) -> Result<Tensor, AgentError> {
    let tensor = Tensor::f_from_slice(numbers)?.f_view(shape)?;
    match device.is_cuda() && !numbers.is_empty() {
        true => Ok(pinned(&tensor)?.f_to_device_(device, T::KIND, true, false)?),
        false => on_device(&tensor, device),
    }
}

/// Fills `to` with the saved array of this name, which has as many numbers.
///
/// # Errors
/// [`AgentError`] when the array is missing, or of another length or type.
pub fn fill<T: ArrayElement>(state: &StateView<'_>, name: &str, to: &mut [T]) -> Result<(), AgentError> {
    let numbers: Vec<T> = state.vec(name)?;
    if numbers.len() != to.len() {
        let (have, want) = (numbers.len(), to.len());
        return Err(AgentError::State(format!(
            "the saved `{name}` holds {have} numbers, {want} are expected"
        )));
    }
    to.copy_from_slice(&numbers);
    Ok(())
}
