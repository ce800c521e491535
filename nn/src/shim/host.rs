//! A tensor in ordinary memory whose numbers Rust writes in place.

use tch::{Kind, Tensor, kind::Element};

use crate::NnError;

/// A number that a [`HostBuffer`] can hold.
pub trait HostElement: Element + Copy + Default {}
impl HostElement for f32 {}
impl HostElement for i64 {}
impl HostElement for u8 {}

/// A CPU tensor of a fixed shape whose numbers can be written as a slice: batches are gathered straight into it,
/// without an allocation or a second copy.
///
/// The tensor is lent by reference, so it cannot be read while it is being written. Whoever keeps a shallow clone
/// sees the later writes, as with every view of a tensor.
#[derive(Debug)]
pub struct HostBuffer<T> {
    tensor: Tensor,
    len: usize,
    element: std::marker::PhantomData<T>,
}

impl<T: HostElement> HostBuffer<T> {
    /// A buffer of this shape, all zero.
    ///
    /// # Errors
    /// [`NnError::Torch`] when the memory cannot be had.
    pub fn new(shape: &[i64]) -> Result<Self, NnError> {
        let tensor = Tensor::f_zeros(shape, (T::KIND, tch::Device::Cpu))?;
        let len = shape.iter().product::<i64>() as usize;
        Ok(Self { tensor, len, element: std::marker::PhantomData })
    }

    /// The numbers, to be written: `shape` in row-major order.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        if self.len == 0 {
            return &mut [];
        }
        // SAFETY: the tensor was made here: on the CPU, contiguous, of type T and of `len` numbers, and it lives as
        // long as the slice, which borrows `self` mutably.
        unsafe { std::slice::from_raw_parts_mut(self.tensor.data_ptr().cast::<T>(), self.len) }
    }

    /// The numbers, to be read.
    pub fn as_slice(&self) -> &[T] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: as in `as_mut_slice`; the slice borrows `self`, which keeps `as_mut_slice` from being called.
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
