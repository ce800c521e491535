//! Safe wrappers over the C++ shim: what tch does not offer of libtorch.
//!
//! This is the only place of the workspace with `unsafe` code. Each function takes tensors by reference,
//! hands their pointers to C++ for the length of the call and turns an error message into [`NnError::Shim`].
#![allow(unsafe_code)]

mod bytes;
pub mod cnn;
mod event;
mod gather;
mod host;
mod leaky_relu;
pub mod mlp;
pub mod optim;
mod reads;
pub mod recurrent;
pub mod regression;
mod store;

use std::ffi::{CStr, c_char, c_int};

use tch::{Device, Tensor};
use torch_sys::C_tensor;

use crate::{NnError, ParameterId, Parameters};

pub use bytes::divide_bytes;
pub use gather::gather;
pub use host::{HostBuffer, HostElement};
pub use leaky_relu::leaky_relu;
pub(crate) use reads::on_the_cpu_alone;
pub use reads::{device_reads, read_numbers};
pub use store::TcpStore;

unsafe extern "C" {
    fn pavlov_free_message(message: *mut c_char);
    fn pavlov_set_gradients(count: c_int, parameters: *const RawParameter) -> *mut c_char;
    fn pavlov_generator_state(index: c_int, out: *mut *mut C_tensor) -> *mut c_char;
    fn pavlov_random(
        out: *mut *mut C_tensor,
        sizes: *const i64,
        dims: c_int,
        index: c_int,
        normal: bool,
        p: f64,
        seed: u64,
    ) -> *mut c_char;
    fn pavlov_backward(output: *mut C_tensor, gradient: *mut C_tensor) -> *mut c_char;
    fn pavlov_pinned(tensor: *mut C_tensor, out: *mut *mut C_tensor) -> *mut c_char;
    fn pavlov_set_team_size(threads: c_int);
    fn pavlov_keep_memory();
    fn pavlov_leave(code: c_int) -> !;
    fn pavlov_set_generator_state(index: c_int, state: *const C_tensor) -> *mut c_char;
}

/// The error that a C function returned, if it returned one.
///
/// # Safety
/// `message` is what a function of the shim returned: null, or a string of its own that nobody else frees.
unsafe fn check(message: *mut c_char) -> Result<(), NnError> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: by this function's contract the message is a NUL-terminated string that is ours to free.
    let text = unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned();
    unsafe { pavlov_free_message(message) };
    Err(NnError::Shim(text))
}

/// The pointer that C++ writes through. tch's own in-place calls take `&mut Tensor`, yet tensors share their
/// storage by design; the shim keeps to that view.
fn pointer(tensor: &Tensor) -> *mut C_tensor {
    tensor.as_ptr().cast_mut()
}

/// A parameter of a network, as a fused pass takes it.
#[derive(Clone, Copy, Debug)]
pub struct Parameter<'a> {
    /// The tensor that autograd knows ([`set_gradients`]).
    pub value: &'a Tensor,
    /// The tensor of the same shape into which its gradient accumulates; `None` if the parameter is frozen.
    pub gradient: Option<&'a Tensor>,
}

impl<'a> Parameter<'a> {
    /// The parameter that stands at this place.
    ///
    /// # Errors
    /// [`NnError::Shape`] when the numbers are those of another network.
    pub fn of(parameters: &'a Parameters, id: ParameterId) -> Result<Self, NnError> {
        let (value, gradient) = parameters.find(id)?;
        Ok(Self { value, gradient })
    }

    fn raw(self) -> RawParameter {
        let gradient = self.gradient.map_or(std::ptr::null_mut(), pointer);
        RawParameter { value: pointer(self.value), gradient }
    }
}

/// The same, as node.h has it.
#[repr(C)]
struct RawParameter {
    value: *mut C_tensor,
    gradient: *mut C_tensor,
}

impl RawParameter {
    /// No parameter.
    const NULL: Self = Self { value: std::ptr::null_mut(), gradient: std::ptr::null_mut() };
}

/// The number of a GPU, as C++ takes it; the CPU's is -1.
fn index(device: Device) -> c_int {
    match device {
        // No machine has so many that the number would not fit; C++ refuses the largest.
        Device::Cuda(index) => c_int::try_from(index).unwrap_or(c_int::MAX),
        _ => -1,
    }
}

/// Makes each of these tensors require a gradient, which the backward pass adds to the tensor that comes with
/// it. They become outputs of one node of the autograd graph (arena.cpp), no leaves.
///
/// # Errors
/// [`NnError::Shim`] when a gradient has another shape.
pub fn set_gradients<'a>(parameters: impl Iterator<Item = (&'a Tensor, &'a Tensor)>) -> Result<(), NnError> {
    let raw = |(value, gradient)| Parameter { value, gradient: Some(gradient) }.raw();
    let parameters: Vec<_> = parameters.map(raw).collect();
    // SAFETY: the array holds as many parameters as are said; C++ keeps its own references to the gradients.
    unsafe { check(pavlov_set_gradients(parameters.len() as c_int, parameters.as_ptr())) }
}

/// The state of libtorch's default generator for a device, a tensor of bytes: dropout and `Tensor::randn`
/// draw from it.
///
/// # Errors
/// [`NnError::Shim`] when libtorch refuses.
pub fn generator_state(device: Device) -> Result<Tensor, NnError> {
    let mut out = std::ptr::null_mut();
    // SAFETY: `out` is written before it is read, with a tensor that is now ours.
    unsafe {
        check(pavlov_generator_state(index(device), &mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}

/// Sets the state of libtorch's default generator for a device to one that [`generator_state`] gave.
///
/// # Errors
/// [`NnError::Shim`] when the bytes are no such state.
pub fn set_generator_state(device: Device, state: &Tensor) -> Result<(), NnError> {
    // SAFETY: the pointer is valid for the call, and the state is copied.
    unsafe { check(pavlov_set_generator_state(index(device), state.as_ptr())) }
}

/// Random numbers.
#[derive(Clone, Copy, Debug)]
pub enum Draw {
    /// 1 with this chance, 0 else.
    Bernoulli(f64),
    /// Standard normal.
    Normal,
}

/// An f32 tensor of random numbers from a generator of its own that starts from `seed`: libtorch's default
/// generator, which all threads share, is left as it is.
///
/// # Errors
/// [`NnError::Shim`] when memory runs out.
pub fn random(shape: &[i64], device: Device, draw: Draw, seed: u64) -> Result<Tensor, NnError> {
    let (normal, p) = match draw {
        Draw::Bernoulli(p) => (false, p),
        Draw::Normal => (true, 0.0),
    };
    let mut out = std::ptr::null_mut();
    let dims = shape.len() as c_int;
    // SAFETY: `shape` has `dims` numbers; `out` is written before it is read, with a tensor that is now ours.
    unsafe {
        check(pavlov_random(&mut out, shape.as_ptr(), dims, index(device), normal, p, seed))?;
        Ok(Tensor::from_ptr(out))
    }
}

/// A copy of a CPU tensor in page-locked memory, from which a GPU fetches numbers while the caller goes on.
///
/// # Errors
/// [`NnError::Shim`] where there is no GPU, or no such memory left.
pub fn pinned(tensor: &Tensor) -> Result<Tensor, NnError> {
    let mut out = std::ptr::null_mut();
    // SAFETY: `tensor` lives through the call; `out` is written before it is read, with a tensor that is now
    // ours.
    unsafe {
        check(pavlov_pinned(pointer(tensor), &mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}

/// Sets the number of threads that share the passes of small networks from now on, the caller included. The
/// numbers are the same for any count, and where the system starts no more threads there are fewer.
pub fn set_team_size(threads: u32) {
    // SAFETY: takes a number.
    unsafe { pavlov_set_team_size(threads.clamp(1, 64) as c_int) }
}

/// Has the C library keep freed memory for the next tensors instead of giving it back to the system: for
/// programs that train. Without glibc it does nothing.
pub fn keep_memory() {
    // SAFETY: takes nothing, and changes thresholds of the allocator alone.
    unsafe { pavlov_keep_memory() }
}

/// Ends the process at once with this exit code. Nothing is flushed and no destructor runs, so that threads that are
/// at work find whole what they use: for an impatient user, beside libtorch's threads.
pub fn leave(code: i32) -> ! {
    // SAFETY: takes a number, and does not come back.
    unsafe { pavlov_leave(code) }
}

/// Runs the backward pass from `output`, given the loss's gradient with respect to it: every parameter's
/// gradient accumulates, as after `Tensor::backward`.
///
/// # Errors
/// [`NnError::Shim`] when shapes, types or devices differ, when nothing was recorded, when what the pass reads was
/// changed in place, or when the pass has run before, in another thread too.
pub fn backward(output: &Tensor, gradient: &Tensor) -> Result<(), NnError> {
    // SAFETY: both tensors live through the call.
    unsafe { check(pavlov_backward(pointer(output), pointer(gradient))) }
}

#[cfg(test)]
mod autograd_tests;
#[cfg(test)]
mod guard_tests;
