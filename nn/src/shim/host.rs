//! A tensor in ordinary memory whose numbers Rust writes in place.

use std::cell::RefCell;

use tch::{Device, Kind, Tensor, kind::Element};

use super::event::Event;
use super::pinned;
use crate::NnError;

/// A number that a [`HostBuffer`] can hold.
pub trait HostElement: Element + Copy + Default {}
impl HostElement for f32 {}
impl HostElement for i64 {}
impl HostElement for u8 {}

/// A CPU tensor of a fixed shape whose numbers can be written as a slice: batches are gathered straight into
/// it, without an allocation or a second copy.
///
/// The tensor is lent by reference, so it cannot be read while it is being written. Whoever keeps a shallow
/// clone sees the later writes, as with every view of a tensor.
#[derive(Debug)]
pub struct HostBuffer<T> {
    tensor: Tensor,
    len: usize,
    /// True if a GPU can fetch the numbers while the caller goes on.
    pinned: bool,
    /// When the last copy to a GPU will have been made.
    copied: RefCell<Option<Event>>,
    element: std::marker::PhantomData<T>,
}

impl<T: HostElement> HostBuffer<T> {
    /// A buffer of this shape, all zero.
    ///
    /// # Errors
    /// [`NnError::Torch`] when the memory cannot be had.
    pub fn new(shape: &[i64]) -> Result<Self, NnError> {
        let tensor = Tensor::f_zeros(shape, (T::KIND, Device::Cpu))?;
        let len = shape.iter().product::<i64>() as usize;
        Ok(Self { tensor, len, pinned: false, copied: RefCell::new(None), element: std::marker::PhantomData })
    }

    /// The same, for numbers on their way to `device`: where that is a GPU, in memory from which it fetches
    /// them while the caller goes on (page-locked, of which a machine has less).
    ///
    /// # Errors
    /// [`NnError::Torch`] when the memory cannot be had.
    pub fn bound_for(device: Device, shape: &[i64]) -> Result<Self, NnError> {
        let mut buffer = Self::new(shape)?;
        if device.is_cuda() && buffer.len > 0 {
            buffer.tensor = pinned(&buffer.tensor)?;
            buffer.pinned = true;
        }
        Ok(buffer)
    }

    /// The first `rows` rows, where `device` can compute with them: on the CPU the same memory, elsewhere a
    /// copy. The copy may be made while the caller goes on; what is computed with it waits by itself, and so
    /// does who writes here next.
    ///
    /// # Errors
    /// [`NnError::Torch`] when there are fewer rows, or no memory.
    pub fn rows_on(&self, rows: usize, device: Device) -> Result<Tensor, NnError> {
        self.on(&self.tensor.f_narrow(0, 0, rows as i64)?, device)
    }

    /// The same of any view of the buffer's tensor.
    ///
    /// # Errors
    /// [`NnError::Torch`] when there is no memory.
    pub fn on(&self, view: &Tensor, device: Device) -> Result<Tensor, NnError> {
        if !device.is_cuda() {
            return Ok(view.shallow_clone());
        }
        let copy = view.f_to_device_(device, T::KIND, self.pinned, false)?;
        if self.pinned {
            *self.copied.borrow_mut() = Event::record(device)?;
        }
        Ok(copy)
    }

    /// The numbers, to be written: `shape` in row-major order.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        if self.len == 0 {
            return &mut [];
        }
        if let Some(copied) = self.copied.take() {
            // An error on a GPU is told by every later call, where it can be handled.
            let _ = copied.wait();
        }
        // SAFETY: the tensor was made here: on the CPU, contiguous, of type T and of `len` numbers, and it
        // lives as long as the slice, which borrows `self` mutably.
        unsafe { std::slice::from_raw_parts_mut(self.tensor.data_ptr().cast::<T>(), self.len) }
    }

    /// The numbers, to be read.
    pub fn as_slice(&self) -> &[T] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: as in `as_mut_slice`; the slice borrows `self`, which keeps `as_mut_slice` from being
        // called.
        unsafe { std::slice::from_raw_parts(self.tensor.data_ptr().cast::<T>(), self.len) }
    }

    /// The tensor, for computing with.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// The type of the numbers.
    pub fn kind(&self) -> Kind {
        T::KIND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_the_cpu_rows_are_the_same_memory() {
        let mut buffer = HostBuffer::<f32>::bound_for(Device::Cpu, &[3, 2]).unwrap();
        let rows = buffer.rows_on(2, Device::Cpu).unwrap();
        buffer.as_mut_slice().copy_from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(Vec::<Vec<f32>>::try_from(rows).unwrap(), [[1.0, 2.0], [3.0, 4.0]]);
        assert!(buffer.rows_on(4, Device::Cpu).is_err());
    }

    #[test]
    fn a_gpu_has_fetched_what_is_overwritten() {
        let Device::Cuda(index) = Device::cuda_if_available() else { return };
        let device = Device::Cuda(index);
        let mut buffer = HostBuffer::<f32>::bound_for(device, &[1 << 20]).unwrap();
        for round in 0..20 {
            buffer.as_mut_slice().fill(round as f32);
            let copy = buffer.rows_on(1 << 20, device).unwrap();
            buffer.as_mut_slice().fill(-1.0);
            assert_eq!(f32::try_from(copy.min()).unwrap(), round as f32);
        }
    }
}
