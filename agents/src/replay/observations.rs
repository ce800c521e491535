//! Observations, each part of which is kept once.
//!
//! An observation is known by its *parts*: a row of floats, and a row of bytes for each *plane* of a picture.
//! Where a new observation shows what the one before it showed, one place further on, as a stack of the
//! latest frames does, it shares those planes; where it is the one before it, it shares them all. This is
//! found by comparing the numbers, not by trusting anyone: what is read back is what was put in, whatever
//! wrappers, resets or restarts have done.

use std::sync::Arc;

use pavlov_envs::{BoxLayout, Dtype, ObsLayout, ObsRef};
use pavlov_nn::{StateDict, StateView};

use super::slab::Slab;
use crate::core::AgentError;

/// More planes than this are no stack of frames.
const MOST_PLANES: usize = 64;

/// The parts of observations that somebody owns.
#[derive(Clone, Debug)]
pub(super) struct Observations {
    layout: Arc<ObsLayout>,
    floats: Slab<f32>,
    planes: Slab<u8>,
    /// The number of an observation's planes; 0 where it has no bytes.
    count: usize,
    /// By how many planes the last stack had moved on.
    shift: usize,
}

/// Where the parts of an observation are: its floats if it has any, then its planes.
pub(super) type Places = [u32];

impl Observations {
    /// No observations yet, of which `capacity` will be held at most.
    pub fn new(layout: Arc<ObsLayout>, capacity: usize) -> Self {
        let count = planes(&layout);
        Self {
            floats: Slab::new(layout.floats, capacity),
            planes: Slab::new(layout.bytes / count.max(1), capacity),
            layout,
            count,
            shift: 1,
        }
    }

    /// The number of an observation's places.
    pub fn width(&self) -> usize {
        usize::from(self.layout.floats > 0) + self.count
    }

    /// The number of an observation's planes, and of the bytes of each.
    pub fn planes(&self) -> (usize, usize) {
        (self.count, self.layout.bytes / self.count.max(1))
    }

    /// Keeps an observation that follows `before`, or none, with one owner, and writes its places.
    pub fn put(&mut self, observation: ObsRef<'_>, before: Option<&Places>, places: &mut Places) {
        let floats = usize::from(self.layout.floats > 0);
        if floats == 1 {
            places[0] = match before.filter(|before| same(self.floats.get(before[0]), observation.floats)) {
                Some(before) => {
                    self.floats.retain(before[0]);
                    before[0]
                }
                None => self.floats.put(observation.floats),
            };
        }
        if self.count > 0 {
            let before = before.map(|before| &before[floats..]);
            self.put_planes(observation.bytes, before, &mut places[floats..]);
        }
    }

    fn put_planes(&mut self, bytes: &[u8], before: Option<&Places>, places: &mut Places) {
        let length = bytes.len() / self.count;
        let plane = |index: usize| &bytes[index * length..(index + 1) * length];
        // The number of planes that are the last ones of the observation before.
        let mut shared = 0;
        if let Some(before) = before {
            let moved = |shift: &usize| {
                let kept = self.count - shift;
                (0..kept).all(|index| self.planes.get(before[index + shift]) == plane(index))
            };
            let shifts = [self.shift].into_iter().chain((0..self.count).filter(|&shift| shift != self.shift));
            if let Some(shift) = shifts.filter(|&shift| shift < self.count).find(|shift| moved(shift)) {
                shared = self.count - shift;
                if shift > 0 {
                    self.shift = shift;
                }
                for (place, &known) in places.iter_mut().zip(&before[shift..]) {
                    self.planes.retain(known);
                    *place = known;
                }
            }
        }
        for index in shared..self.count {
            // An episode begins with its first frame repeated.
            places[index] = match index.checked_sub(1).map(|last| places[last]) {
                Some(last) if self.planes.get(last) == plane(index) => {
                    self.planes.retain(last);
                    last
                }
                _ => self.planes.put(plane(index)),
            };
        }
    }

    /// True if these are the numbers of this observation.
    pub fn is(&self, places: &Places, observation: ObsRef<'_>) -> bool {
        let floats = usize::from(self.layout.floats > 0);
        let length = observation.bytes.len() / self.count.max(1);
        (floats == 0 || same(self.floats.get(places[0]), observation.floats))
            && (places[floats..].iter().enumerate()).all(|(index, &place)| {
                self.planes.get(place) == &observation.bytes[index * length..][..length]
            })
    }

    /// The row of floats.
    pub fn floats(&self, places: &Places) -> &[f32] {
        if self.layout.floats > 0 { self.floats.get(places[0]) } else { &[] }
    }

    /// Where the planes are.
    pub fn plane_places<'p>(&self, places: &'p Places) -> &'p Places {
        &places[usize::from(self.layout.floats > 0)..]
    }

    /// A plane.
    pub fn plane(&self, place: u32) -> &[u8] {
        self.planes.get(place)
    }

    /// Another owner.
    pub fn retain(&mut self, places: &Places) {
        let (floats, planes) = places.split_at(usize::from(self.layout.floats > 0));
        floats.iter().for_each(|&place| self.floats.retain(place));
        planes.iter().for_each(|&place| self.planes.retain(place));
    }

    /// An owner less.
    pub fn release(&mut self, places: &Places) {
        let (floats, planes) = places.split_at(usize::from(self.layout.floats > 0));
        floats.iter().for_each(|&place| self.floats.release(place));
        planes.iter().for_each(|&place| self.planes.release(place));
    }

    /// The numbers of rows of floats and of planes that are held.
    #[cfg(test)]
    pub fn held(&self) -> (usize, usize) {
        (self.floats.held(), self.planes.held())
    }

    pub fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        state.nest("floats", self.floats.state()?);
        state.nest("planes", self.planes.state()?);
        state.put_value("shift", &self.shift)?;
        Ok(state)
    }

    /// Takes over saved parts, which have no owners yet.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.floats.load_state(&state.part("floats"))?;
        self.planes.load_state(&state.part("planes"))?;
        self.shift = state.value("shift")?;
        Ok(())
    }

    /// Gives a saved observation an owner.
    pub fn adopt(&mut self, places: &Places) -> Result<(), AgentError> {
        let (floats, planes) = places.split_at(usize::from(self.layout.floats > 0));
        floats.iter().try_for_each(|&place| self.floats.adopt(place))?;
        planes.iter().try_for_each(|&place| self.planes.adopt(place))
    }

    /// Finds the parts that nobody adopted.
    pub fn settle(&mut self) {
        self.floats.settle();
        self.planes.settle();
    }
}

/// Bit for bit, so that a NaN is itself and zeros of both signs stay what they are.
fn same(left: &[f32], right: &[f32]) -> bool {
    left.iter().zip(right).all(|(left, right)| left.to_bits() == right.to_bits())
}

/// The number of planes that the bytes are cut into: the channels of a picture that has them first, else one.
fn planes(layout: &ObsLayout) -> usize {
    if layout.bytes == 0 {
        return 0;
    }
    let mut pictures = layout.leaves.iter().filter(|leaf| leaf.dtype == Dtype::U8);
    let (only, another) = (pictures.next(), pictures.next());
    match only.filter(|_| another.is_none()).map(|leaf| (leaf.shape.as_slice(), leaf.layout)) {
        Some(([channels, _, _], BoxLayout::ChannelsFirst)) if *channels <= MOST_PLANES => *channels,
        Some(([first, .., last], _)) if *first <= MOST_PLANES && first < last => *first,
        _ => 1,
    }
}
