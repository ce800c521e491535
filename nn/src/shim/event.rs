//! A place in a GPU's queue of work, to wait for.

use std::ffi::{c_char, c_int, c_void};

use tch::Device;

use super::check;
use crate::NnError;

unsafe extern "C" {
    fn pavlov_event_record(index: c_int, out: *mut *mut c_void) -> *mut c_char;
    fn pavlov_event_wait(event: *const c_void) -> *mut c_char;
    fn pavlov_event_free(event: *mut c_void);
}

/// Where a GPU's present stream of work stood when this was recorded.
#[derive(Debug)]
pub struct Event(*mut c_void);

// SAFETY: an event belongs to no thread; libtorch only asks that two do not use it at the same time, and it
// is not Sync.
unsafe impl Send for Event {}

impl Event {
    /// The end of what was given to the device to do so far; `None` where nothing is ever left to do, on the
    /// CPU.
    ///
    /// # Errors
    /// [`NnError::Shim`] when the device refuses.
    pub fn record(device: Device) -> Result<Option<Self>, NnError> {
        let Device::Cuda(index) = device else { return Ok(None) };
        let mut event = std::ptr::null_mut();
        // SAFETY: `event` is written before it is read, with an event that is now ours.
        unsafe { check(pavlov_event_record(super::index(Device::Cuda(index)), &mut event))? };
        Ok(Some(Self(event)))
    }

    /// Returns once the device has come there.
    ///
    /// # Errors
    /// [`NnError::Shim`] when the work before it failed.
    pub fn wait(&self) -> Result<(), NnError> {
        // SAFETY: the event lives as long as `self`.
        unsafe { check(pavlov_event_wait(self.0)) }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the event is ours, and nobody can use it any more.
        unsafe { pavlov_event_free(self.0) }
    }
}
