//! Reads of a device's numbers, each of which makes the host wait for the device; and their count.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::null_mut;

use tch::{Device, Tensor, kind::Element};

use super::{check, pavlov_free_message};
use crate::NnError;

unsafe extern "C" {
    fn pavlov_reads_begin(out: *mut *mut c_void) -> *mut c_char;
    fn pavlov_reads_so_far(count: *const c_void, lines: *mut *mut c_char) -> *mut c_char;
    fn pavlov_reads_end(count: *mut c_void);
    fn pavlov_reads_note(name: *const c_char);
    fn pavlov_reads_leave_out(step: c_int);
}

/// Runs `act` and gives, beside its result, the names of the operations in it that make the host wait for a
/// GPU, in their order: those that give a number (`_local_scalar_dense`, which is libtorch's `item`; `equal`)
/// or a tensor whose size depends on numbers (`nonzero`, `masked_select`, `_unique2` ...), and copies between
/// devices that the host waits for (`to`, `copy_`). The parts of such an operation do not count again.
///
/// Tensors of the CPU count like those of a GPU, so that a test needs none: each number that is read, each
/// [`read_numbers`], and each move that names a device. Operations of other threads do not count, but for
/// those of backward passes; nor does what a count within this one has seen. tch's `Vec::try_from` of a
/// tensor and `copy_data` are seen on a GPU alone.
///
/// # Errors
/// [`NnError::Shim`] when memory runs out.
pub fn device_reads<T>(act: impl FnOnce() -> T) -> Result<(T, Vec<String>), NnError> {
    let count = Count::begin()?;
    let result = act();
    Ok((result, count.so_far()?))
}

/// Copies the first numbers of a tensor, in row-major order, into ordinary memory, which they fill. From a
/// GPU this waits for all that the device was given to do.
///
/// # Errors
/// [`NnError::Torch`] when the tensor has fewer numbers, or is of another type.
pub fn read_numbers<T: Element>(tensor: &Tensor, numbers: &mut [T]) -> Result<(), NnError> {
    // A copy from a GPU is seen by itself: it is the same operation.
    if tensor.device() == Device::Cpu {
        note(c"to");
    }
    Ok(tensor.f_copy_data(numbers, numbers.len())?)
}

/// Runs `act` without counting its reads: for branches that are taken on the CPU alone, where nothing waits.
pub(crate) fn on_the_cpu_alone<T>(act: impl FnOnce() -> T) -> T {
    let _left_out = LeftOut::begin();
    act()
}

fn note(name: &CStr) {
    // SAFETY: the name lives through the call, which copies it.
    unsafe { pavlov_reads_note(name.as_ptr()) }
}

/// A count under way. It belongs to its thread.
struct Count(*mut c_void);

impl Count {
    fn begin() -> Result<Self, NnError> {
        let mut count = null_mut();
        // SAFETY: `count` is written before it is read, with a count that is now ours.
        unsafe { check(pavlov_reads_begin(&mut count))? };
        Ok(Self(count))
    }

    fn so_far(&self) -> Result<Vec<String>, NnError> {
        let mut lines = null_mut();
        // SAFETY: the count lives as long as `self`; `lines` is written before it is read, with a
        // NUL-terminated string that is ours to free.
        let text = unsafe {
            check(pavlov_reads_so_far(self.0, &mut lines))?;
            let text = CStr::from_ptr(lines).to_string_lossy().into_owned();
            pavlov_free_message(lines);
            text
        };
        Ok(text.lines().map(str::to_string).collect())
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        // SAFETY: the count is ours, was begun in this thread, which a raw pointer cannot leave, and nobody
        // can use it any more.
        unsafe { pavlov_reads_end(self.0) }
    }
}

/// The reads of this thread do not count while it lives.
struct LeftOut(PhantomData<*mut ()>);

impl LeftOut {
    fn begin() -> Self {
        // SAFETY: takes a number.
        unsafe { pavlov_reads_leave_out(1) };
        Self(PhantomData)
    }
}

impl Drop for LeftOut {
    fn drop(&mut self) {
        // SAFETY: takes a number; `begin` ran in this thread, which the value cannot leave.
        unsafe { pavlov_reads_leave_out(-1) }
    }
}

#[cfg(test)]
#[path = "reads_tests.rs"]
mod tests;
