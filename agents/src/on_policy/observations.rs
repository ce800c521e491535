//! Observations in ordinary memory as they are learned from: numbers as the networks take them, bytes as they
//! came. Bytes become numbers on the device of the networks, so that an image takes a quarter of the memory
//! and of the way.

use std::ops::Range;

use pavlov_envs::ObsRef;
use pavlov_nn::{HostBuffer, gather};
use tch::{Device, Kind, Tensor};

use crate::core::AgentError;
use crate::core::host::sent;
use crate::networks::Encoder;

/// One stored observation.
#[derive(Clone, Copy, Debug)]
pub struct StoredObservation<'a> {
    /// The numbers that come from floats and discrete values, as [`Encoder::encode_numbers`] writes them.
    pub numbers: &'a [f32],
    /// The bytes of images and other boxes of u8.
    pub bytes: &'a [u8],
}

/// A fixed number of stored observations.
#[derive(Debug)]
pub(crate) struct ObservationRows {
    encoder: Encoder,
    device: Device,
    capacity: usize,
    numbers: HostBuffer<f32>,
    bytes: HostBuffer<u8>,
    widths: (usize, usize),
    /// The rows as the networks take them, for bytes that networks on the CPU learn from: a new tensor for
    /// each minibatch of pictures would cost more than its numbers.
    encoded: Option<Tensor>,
}

impl ObservationRows {
    /// Room for `capacity` observations on their way to `device`.
    pub fn new(capacity: usize, encoder: &Encoder, device: Device) -> Result<Self, AgentError> {
        let widths = (encoder.numbers_width(), encoder.bytes_width());
        Ok(Self {
            encoder: encoder.clone(),
            device,
            capacity,
            numbers: HostBuffer::bound_for(device, &[capacity as i64, widths.0 as i64])?,
            bytes: HostBuffer::bound_for(device, &[capacity as i64, widths.1 as i64])?,
            widths,
            encoded: None,
        })
    }

    /// Room for `capacity` observations that networks on `device` learn from.
    pub fn to_learn_from(capacity: usize, encoder: &Encoder, device: Device) -> Result<Self, AgentError> {
        let mut rows = Self::new(capacity, encoder, device)?;
        if device == Device::Cpu && rows.widths.1 > 0 {
            let shape = [capacity as i64, encoder.width() as i64];
            rows.encoded = Some(Tensor::f_zeros(shape, (Kind::Float, device))?);
        }
        Ok(rows)
    }

    /// True if so many observations of this encoder fit, bound for this device.
    pub fn fits(&self, rows: usize, encoder: &Encoder, device: Device) -> bool {
        rows <= self.capacity && device == self.device && *encoder == self.encoder
    }

    /// The numbers and the bytes of the first `rows` observations, to be written.
    pub fn rows_mut(&mut self, rows: usize) -> (&mut [f32], &mut [u8]) {
        let (numbers, bytes) = self.widths;
        (&mut self.numbers.as_mut_slice()[..rows * numbers], &mut self.bytes.as_mut_slice()[..rows * bytes])
    }

    /// The numbers and the bytes of the first `rows` observations.
    pub fn rows(&self, rows: usize) -> (&[f32], &[u8]) {
        let (numbers, bytes) = self.widths;
        (&self.numbers.as_slice()[..rows * numbers], &self.bytes.as_slice()[..rows * bytes])
    }

    /// Stores the observations of a batch from row `first` on.
    pub fn store<'a>(&mut self, first: usize, observations: impl Iterator<Item = ObsRef<'a>>) {
        let (numbers, bytes) = self.widths;
        let (own_numbers, own_bytes) = (self.numbers.as_mut_slice(), self.bytes.as_mut_slice());
        for (row, observation) in (first..).zip(observations) {
            let row_numbers = &mut own_numbers[row * numbers..(row + 1) * numbers];
            self.encoder.encode_numbers(observation.floats, row_numbers);
            own_bytes[row * bytes..(row + 1) * bytes].copy_from_slice(observation.bytes);
        }
    }

    /// Copies these rows of others to the first rows, in their order.
    pub fn gather(&mut self, from: &Self, rows: &[usize]) -> Result<(), AgentError> {
        let (numbers, bytes) = self.widths;
        if numbers > 0 {
            let own = self.numbers.as_mut_slice().chunks_exact_mut(numbers);
            own.zip(rows).for_each(|(to, &row)| to.copy_from_slice(from.row(row).numbers));
        }
        if bytes > 0 {
            let chosen: Vec<&[u8]> = rows.iter().map(|&row| from.row(row).bytes).collect();
            gather(&chosen, &mut self.bytes.as_mut_slice()[..rows.len() * bytes]);
        }
        self.encode(rows.len())
    }

    fn encode(&self, rows: usize) -> Result<(), AgentError> {
        let Some(encoded) = &self.encoded else { return Ok(()) };
        let first = |tensor: &Tensor| tensor.f_narrow(0, 0, rows as i64);
        let (numbers, bytes) = (first(self.numbers.tensor())?, first(self.bytes.tensor())?);
        Ok(self.encoder.assemble_into(&numbers, &bytes, &first(encoded)?)?)
    }

    /// Copies the observations of these lists, `rows` in all, one after the other to the first rows.
    pub fn concatenate<'a>(
        &mut self,
        lists: impl Iterator<Item = &'a ObservationList>,
        rows: usize,
    ) -> Result<(), AgentError> {
        let (own_numbers, own_bytes) = (self.numbers.as_mut_slice(), self.bytes.as_mut_slice());
        let (mut numbers, mut bytes) = (0, 0);
        for list in lists {
            own_numbers[numbers..numbers + list.numbers.len()].copy_from_slice(&list.numbers);
            own_bytes[bytes..bytes + list.bytes.len()].copy_from_slice(&list.bytes);
            (numbers, bytes) = (numbers + list.numbers.len(), bytes + list.bytes.len());
        }
        self.encode(rows)
    }

    /// One observation.
    pub fn row(&self, row: usize) -> StoredObservation<'_> {
        let (numbers, bytes) = self.widths;
        StoredObservation {
            numbers: &self.numbers.as_slice()[row * numbers..(row + 1) * numbers],
            bytes: &self.bytes.as_slice()[row * bytes..(row + 1) * bytes],
        }
    }

    /// Some of the observations as the networks take them: f32 `[rows, width]` on the device. On the CPU
    /// numbers, and rows to learn from, share the rows' memory.
    pub fn tensor(&self, rows: Range<usize>, device: Device) -> Result<Tensor, AgentError> {
        let (first, count) = (rows.start as i64, rows.len() as i64);
        if let Some(encoded) = &self.encoded {
            return Ok(encoded.f_narrow(0, first, count)?);
        }
        let numbers = self.numbers.on(&self.numbers.tensor().f_narrow(0, first, count)?, device)?;
        if self.widths.1 == 0 {
            return Ok(numbers);
        }
        let bytes = self.bytes.on(&self.bytes.tensor().f_narrow(0, first, count)?, device)?;
        Ok(self.encoder.assemble(&numbers, &bytes)?)
    }
}

/// A growing list of stored observations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservationList {
    /// `[count, numbers]`
    pub numbers: Vec<f32>,
    /// `[count, bytes]`
    pub bytes: Vec<u8>,
}

impl ObservationList {
    /// Stores an observation.
    pub fn push(&mut self, encoder: &Encoder, observation: ObsRef<'_>) {
        let start = self.numbers.len();
        self.numbers.resize(start + encoder.numbers_width(), 0.0);
        encoder.encode_numbers(observation.floats, &mut self.numbers[start..]);
        self.bytes.extend_from_slice(observation.bytes);
    }

    /// Copies a stored observation.
    pub fn push_stored(&mut self, observation: StoredObservation<'_>) {
        self.numbers.extend_from_slice(observation.numbers);
        self.bytes.extend_from_slice(observation.bytes);
    }

    /// Copies all observations of another list.
    pub fn append(&mut self, other: &Self) {
        self.push_stored(StoredObservation { numbers: &other.numbers, bytes: &other.bytes });
    }

    /// Forgets all observations.
    pub fn clear(&mut self) {
        self.numbers.clear();
        self.bytes.clear();
    }

    /// The `count` observations that there are, as the networks take them: f32 `[count, width]` on the
    /// device.
    ///
    /// # Errors
    /// [`AgentError`] when there are not as many.
    pub fn tensor(&self, count: usize, encoder: &Encoder, device: Device) -> Result<Tensor, AgentError> {
        let shape = |width: usize| [count as i64, width as i64];
        let numbers = sent(&self.numbers, &shape(encoder.numbers_width()), device)?;
        if encoder.bytes_width() == 0 {
            return Ok(numbers);
        }
        Ok(encoder.assemble(&numbers, &sent(&self.bytes, &shape(encoder.bytes_width()), device)?)?)
    }
}

#[cfg(test)]
mod tests {
    use pavlov_envs::{BoxSpace, Dtype, Space};

    use super::*;

    #[test]
    fn stored_observations_become_the_numbers_that_are_encoded_at_once() {
        let pixels = BoxSpace::new(vec![0.0; 12], vec![255.0; 12], &[2, 2, 3], Dtype::U8).unwrap();
        let mixed = Space::Dict(vec![
            ("word".into(), Space::Discrete(3)),
            ("camera".into(), Space::Box(pixels.clone())),
            ("speed".into(), Space::unbounded(&[2])),
        ]);
        for (space, floats) in [(mixed, 3), (Space::Box(pixels), 0), (Space::unbounded(&[3]), 3)] {
            let encoder = Encoder::new(&space);
            let bytes = encoder.bytes_width();
            let floats: Vec<f32> = (0..4 * floats).map(|index| (index % 3) as f32).collect();
            let all_bytes: Vec<u8> = (0..4 * bytes).map(|index| (index * 37 % 251) as u8).collect();
            let row = |row: usize| ObsRef {
                floats: &floats[row * floats.len() / 4..(row + 1) * floats.len() / 4],
                bytes: &all_bytes[row * bytes..(row + 1) * bytes],
            };
            let (mut all, mut list) =
                (ObservationRows::new(4, &encoder, Device::Cpu).unwrap(), ObservationList::default());
            all.store(0, (0..4).map(row));
            let mut some = ObservationRows::new(3, &encoder, Device::Cpu).unwrap();
            some.gather(&all, &[3, 1]).unwrap();
            let mut learned = ObservationRows::to_learn_from(3, &encoder, Device::Cpu).unwrap();
            learned.gather(&all, &[0, 0, 2]).unwrap();
            learned.gather(&all, &[3, 1]).unwrap();
            let mut expected = vec![0.0; 2 * encoder.width()];
            for (place, from) in expected.chunks_exact_mut(encoder.width()).zip([3, 1]) {
                encoder.encode(row(from), place);
                list.push(&encoder, row(from));
            }
            let numbers = |tensor: Tensor| Vec::<f32>::try_from(tensor.reshape([-1])).unwrap();
            assert_eq!(numbers(some.tensor(0..2, Device::Cpu).unwrap()), expected);
            assert_eq!(numbers(learned.tensor(0..2, Device::Cpu).unwrap()), expected);
            assert_eq!(numbers(list.tensor(2, &encoder, Device::Cpu).unwrap()), expected);
        }
    }
}
