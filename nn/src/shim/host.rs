//! A tensor in ordinary memory whose numbers Rust writes in place.

use std::cell::RefCell;
use std::ffi::c_char;

use tch::{Device, Kind, Tensor, kind::Element};
use torch_sys::C_tensor;

use super::event::Event;
use super::{check, pinned, pointer};
use crate::NnError;

unsafe extern "C" {
    fn pavlov_lend(own: *mut C_tensor, lent: *mut *mut C_tensor) -> *mut c_char;
    fn pavlov_wrote(tensor: *mut C_tensor);
}

/// A number that a [`HostBuffer`] can hold.
pub trait HostElement: Element + Copy + Default {}
impl HostElement for f32 {}
impl HostElement for i64 {}
impl HostElement for u8 {}

/// A CPU tensor of a fixed shape whose numbers can be written as a slice: batches are gathered straight into
/// it, without an allocation or a second copy.
///
/// The tensor is lent by reference, so it cannot be read while it is being written. Whoever keeps a shallow
/// clone sees the later writes, as with every view of a tensor; a backward pass that reads the numbers finds that
/// they were changed. Whatever is done to the tensor (`set_`, `resize_`), the slice stays what it is.
#[derive(Debug)]
pub struct HostBuffer<T> {
    /// Never given away: its shape and its memory stay what they are.
    own: Tensor,
    /// Another tensor in the same memory, which is lent.
    tensor: Tensor,
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
        Self::over(Tensor::f_zeros(shape, (T::KIND, Device::Cpu))?, false)
    }

    /// A buffer in the memory of a tensor that nobody else has.
    fn over(own: Tensor, pinned: bool) -> Result<Self, NnError> {
        let tensor = lent(&own)?;
        Ok(Self { own, tensor, pinned, copied: RefCell::new(None), element: std::marker::PhantomData })
    }

    /// The same, for numbers on their way to `device`: where that is a GPU, in memory from which it fetches
    /// them while the caller goes on (page-locked, of which a machine has less).
    ///
    /// # Errors
    /// [`NnError::Torch`] when the memory cannot be had.
    pub fn bound_for(device: Device, shape: &[i64]) -> Result<Self, NnError> {
        let numbers = Tensor::f_zeros(shape, (T::KIND, Device::Cpu))?;
        match device.is_cuda() && numbers.numel() > 0 {
            true => Self::over(pinned(&numbers)?, true),
            false => Self::over(numbers, false),
        }
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
        let len = self.own.numel();
        if len == 0 {
            return &mut [];
        }
        if let Some(copied) = self.copied.take() {
            // An error on a GPU is told by every later call, where it can be handled.
            let _ = copied.wait();
        }
        // SAFETY: `own` was made here: on the CPU, contiguous, of type T and of so many numbers. Nobody else has it,
        // its memory does not change its size, and it lives as long as the slice, which borrows `self` mutably.
        unsafe {
            pavlov_wrote(pointer(&self.own));
            std::slice::from_raw_parts_mut(self.own.data_ptr().cast::<T>(), len)
        }
    }

    /// The numbers, to be read.
    pub fn as_slice(&self) -> &[T] {
        let len = self.own.numel();
        if len == 0 {
            return &[];
        }
        // SAFETY: as in `as_mut_slice`; the slice borrows `self`, which keeps `as_mut_slice` from being
        // called.
        unsafe { std::slice::from_raw_parts(self.own.data_ptr().cast::<T>(), len) }
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

/// Another tensor in the same memory, which keeps its size from now on.
fn lent(own: &Tensor) -> Result<Tensor, NnError> {
    let mut lent = std::ptr::null_mut();
    // SAFETY: `own` lives through the call; `lent` is written before it is read, with a tensor that is now ours.
    unsafe {
        check(pavlov_lend(pointer(own), &mut lent))?;
        Ok(Tensor::from_ptr(lent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slice_stays_whatever_is_done_to_the_tensor() {
        type Damage = fn(&mut Tensor) -> Result<(), tch::TchError>;
        let damage: [Damage; 5] = [
            |tensor| tensor.f_set_().map(drop),
            |tensor| tensor.f_set_source_tensor_(&Tensor::ones([1], tch::kind::FLOAT_CPU)).map(drop),
            |tensor| tensor.f_resize_([1]).map(drop),
            |tensor| tensor.f_resize_([1 << 20]).map(drop),
            |tensor| tensor.f_transpose_(0, 1).map(drop),
        ];
        for (index, damage) in damage.into_iter().enumerate() {
            let mut buffer = HostBuffer::<f32>::new(&[3, 2]).unwrap();
            // Memory of a fixed size cannot grow: all else is done.
            assert_eq!(damage(&mut buffer.tensor().shallow_clone()).is_err(), index == 3);
            buffer.as_mut_slice().fill(2.0);
            assert_eq!(buffer.as_slice(), [2.0; 6], "{index}");
            let _ = buffer.rows_on(3, Device::Cpu);
            let _ = buffer.rows_on(usize::MAX, Device::Cpu).unwrap_err();
        }
    }

    #[test]
    fn a_buffer_of_no_numbers_is_an_empty_slice_and_one_of_too_many_an_error() {
        for shape in [&[0][..], &[0, 4], &[4, 0, 2]] {
            let mut buffer = HostBuffer::<i64>::bound_for(Device::Cpu, shape).unwrap();
            assert!(buffer.as_mut_slice().is_empty() && buffer.as_slice().is_empty());
        }
        for shape in [&[-1][..], &[-2, -3], &[1 << 40, 1 << 40], &[1 << 62]] {
            assert!(HostBuffer::<u8>::new(shape).is_err(), "{shape:?}");
        }
    }

    #[test]
    fn numbers_that_are_overwritten_before_the_backward_pass_are_noticed() {
        let mut buffer = HostBuffer::<f32>::new(&[3, 2]).unwrap();
        buffer.as_mut_slice().fill(1.0);
        let weight = Tensor::ones([2, 2], tch::kind::FLOAT_CPU).set_requires_grad(true);
        let rows = buffer.rows_on(3, Device::Cpu).unwrap();
        let run = || rows.matmul(&weight).sum(Kind::Float);
        run().f_backward().unwrap();
        let loss = run();
        buffer.as_mut_slice()[0] = 2.0;
        let error = loss.f_backward().unwrap_err().to_string();
        assert!(error.contains("modified by an inplace operation"), "{error}");
        run().f_backward().unwrap();
    }

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
