//! Bytes of pictures as the numbers that networks take.

use std::ffi::c_char;

use tch::Tensor;
use torch_sys::C_tensor;

use super::{check, pointer};
use crate::NnError;

unsafe extern "C" {
    fn pavlov_divide_bytes(bytes: *mut C_tensor, largest: f32, out: *mut C_tensor) -> *mut c_char;
}

/// Writes each byte, divided by `largest`, into `out`, f32, of the same shape and on the same device. On the
/// CPU rows of a matrix are shared by the team of threads, without a tensor in between.
///
/// # Errors
/// [`NnError::Shim`] when the shapes or the types do not fit.
pub fn divide_bytes(bytes: &Tensor, largest: f32, out: &Tensor) -> Result<(), NnError> {
    // SAFETY: both pointers are good for the call; an error's message is this function's to free.
    unsafe { check(pavlov_divide_bytes(pointer(bytes), largest, pointer(out))) }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::divide_bytes;

    fn room(shape: &[i64]) -> Tensor {
        Tensor::full(shape, -1.0, (Kind::Float, Device::Cpu))
    }

    #[test]
    fn every_form_of_a_batch_is_divided_alike() {
        let bytes = Tensor::from_slice(&(0..=255u8).collect::<Vec<_>>()).repeat([700]);
        for shape in [vec![700, 256], vec![7, 25_600], vec![179_200, 1], vec![700, 4, 64], vec![0, 256]] {
            let bytes = bytes.narrow(0, 0, shape.iter().product()).reshape(&shape[..]);
            for (largest, bytes) in [(255.0, bytes.shallow_clone()), (3.0, bytes.transpose(0, 1))] {
                let out = room(&bytes.size());
                divide_bytes(&bytes, largest, &out).unwrap();
                assert_eq!(out, bytes.to_kind(Kind::Float) / f64::from(largest));
            }
        }
    }

    #[test]
    fn only_its_part_of_a_wider_row_is_written() {
        let out = room(&[300, 200]);
        let bytes = Tensor::full([300, 180], 51, (Kind::Uint8, Device::Cpu));
        divide_bytes(&bytes.narrow(1, 20, 150), 255.0, &out.narrow(1, 30, 150)).unwrap();
        assert_eq!(out.narrow(1, 30, 150), room(&[300, 150]) * -0.2);
        assert_eq!((out.narrow(1, 0, 30), out.narrow(1, 180, 20)), (room(&[300, 30]), room(&[300, 20])));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let bytes = Tensor::zeros([2, 3], (Kind::Uint8, Device::Cpu));
        assert!(divide_bytes(&bytes, 1.0, &room(&[2, 4])).is_err());
        assert!(divide_bytes(&room(&[2, 3]), 1.0, &room(&[2, 3])).is_err());
    }
}
