//! Rows of one width that are held by several owners: kept once, freed with the last one.

use pavlov_nn::{ArrayElement, StateDict, StateView};

use crate::core::AgentError;

/// About how many bytes are taken from the system at a time.
const CHUNK_BYTES: usize = 16 << 20;

/// Rows of `width` numbers. Memory is taken chunk by chunk as rows come, so that nothing is ever moved.
#[derive(Clone, Debug)]
pub(super) struct Slab<T> {
    width: usize,
    /// A chunk has `1 << shift` rows.
    shift: u32,
    chunks: Vec<Vec<T>>,
    /// The number of owners of each row.
    owners: Vec<u32>,
    free: Vec<u32>,
}

impl<T: ArrayElement + Copy + PartialEq> Slab<T> {
    /// A slab of rows of `width` numbers, of which there will be about `capacity`.
    pub fn new(width: usize, capacity: usize) -> Self {
        let fitting = CHUNK_BYTES / (width * size_of::<T>()).max(1);
        let rows = fitting.min(capacity.next_power_of_two()).max(1);
        Self { width, shift: rows.ilog2(), chunks: Vec::new(), owners: Vec::new(), free: Vec::new() }
    }

    /// Keeps a row, with one owner.
    pub fn put(&mut self, row: &[T]) -> u32 {
        debug_assert_eq!(row.len(), self.width);
        if let Some(place) = self.free.pop() {
            let (chunk, start) = self.place(place);
            self.chunks[chunk][start..start + self.width].copy_from_slice(row);
            self.owners[place as usize] = 1;
            return place;
        }
        let place = self.owners.len();
        if place >> self.shift == self.chunks.len() {
            self.chunks.push(Vec::with_capacity(self.width << self.shift));
        }
        self.chunks[place >> self.shift].extend_from_slice(row);
        self.owners.push(1);
        place as u32
    }

    pub fn get(&self, place: u32) -> &[T] {
        let (chunk, start) = self.place(place);
        &self.chunks[chunk][start..start + self.width]
    }

    pub fn retain(&mut self, place: u32) {
        self.owners[place as usize] += 1;
    }

    pub fn release(&mut self, place: u32) {
        let owners = &mut self.owners[place as usize];
        *owners -= 1;
        if *owners == 0 {
            self.free.push(place);
        }
    }

    /// The number of rows that have an owner.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.owners.len() - self.free.len()
    }

    fn place(&self, place: u32) -> (usize, usize) {
        let place = place as usize;
        (place >> self.shift, (place & ((1 << self.shift) - 1)) * self.width)
    }

    /// All rows, those without an owner too; nothing is copied.
    pub fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        for (index, chunk) in self.chunks.iter().enumerate() {
            state.put_slice(&index.to_string(), &[chunk.len() / self.width.max(1), self.width], chunk);
        }
        state.put_value("rows", &self.owners.len())?;
        Ok(state)
    }

    /// Takes over saved rows, which have no owners yet.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        let rows: usize = state.value("rows")?;
        let per_chunk = 1 << self.shift;
        self.chunks.clear();
        for (index, first) in (0..rows).step_by(per_chunk).enumerate() {
            let mut chunk: Vec<T> = state.vec(&index.to_string())?;
            if chunk.len() != (rows - first).min(per_chunk) * self.width {
                return Err(AgentError::State("the replay's observations are of another form".into()));
            }
            chunk.reserve_exact((self.width << self.shift) - chunk.len());
            self.chunks.push(chunk);
        }
        self.owners = vec![0; rows];
        self.free.clear();
        Ok(())
    }

    /// Gives a saved row an owner.
    pub fn adopt(&mut self, place: u32) -> Result<(), AgentError> {
        let owners = self.owners.get_mut(place as usize);
        owners.map(|owners| *owners += 1).ok_or_else(|| {
            AgentError::State(format!(
                "the replay's transitions name an observation {place} that it does not hold"
            ))
        })
    }

    /// Finds the rows that nobody adopted.
    pub fn settle(&mut self) {
        let places = 0..self.owners.len() as u32;
        self.free = places.filter(|&place| self.owners[place as usize] == 0).collect();
    }
}
