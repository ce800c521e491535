//! The wrapper that shows the latest observations together.

use serde::{Deserialize, Serialize};

use super::MOST_FRAMES;
use super::leaf::{Leaf, LeafMap, LeafMut};
use crate::{BoxSpace, Dtype, EnvError, Space};

/// Shows the latest `frames` observations, the oldest first. An episode starts with its first observation
/// repeated, so that nothing of the episode before is seen.
///
/// They stand along a new first dimension; pictures of `[channels, height, width]` are put together along the
/// channels.
pub(super) struct FrameStack {
    frames: usize,
    history: History,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) enum History {
    Floats(Vec<f32>),
    Bytes(Vec<u8>),
}

impl FrameStack {
    pub fn new(space: &Space, frames: usize) -> Result<(Self, Space), EnvError> {
        let Space::Box(space) = space else {
            return Err(EnvError::Option(format!(
                "only boxes can be stacked, not {space}: try one_hot first"
            )));
        };
        if !(1..=MOST_FRAMES).contains(&frames) {
            let message =
                format!("frame_stack: a stack of {frames} frames: give at least 1 and at most {MOST_FRAMES}");
            return Err(EnvError::Option(message));
        }
        let shape = match space.shape.as_slice() {
            [channels, height, width] => vec![frames * channels, *height, *width],
            rest => [&[frames], rest].concat(),
        };
        let history = match space.dtype {
            Dtype::F32 => History::Floats(vec![0.0; frames * space.len()]),
            Dtype::U8 => History::Bytes(vec![0; frames * space.len()]),
        };
        let stacked =
            BoxSpace::new(space.low.repeat(frames), space.high.repeat(frames), &shape, space.dtype)?;
        Ok((Self { frames, history }, Space::Box(stacked)))
    }
}

impl LeafMap for FrameStack {
    type State = History;

    fn map(&mut self, from: Leaf<'_>, to: LeafMut<'_>, start: bool) {
        match (&mut self.history, from, to) {
            (History::Floats(history), Leaf::Floats(from), LeafMut::Floats(to)) => {
                push(history, from, self.frames, start);
                to.copy_from_slice(history);
            }
            (History::Bytes(history), Leaf::Bytes(from), LeafMut::Bytes(to)) => {
                push(history, from, self.frames, start);
                to.copy_from_slice(history);
            }
            _ => {}
        }
    }

    fn state(&self) -> History {
        self.history.clone()
    }

    fn set_state(&mut self, state: History) -> Result<(), EnvError> {
        let fits = match (&self.history, &state) {
            (History::Floats(own), History::Floats(saved)) => own.len() == saved.len(),
            (History::Bytes(own), History::Bytes(saved)) => own.len() == saved.len(),
            _ => false,
        };
        if !fits {
            return Err(EnvError::State("the saved frames are those of another stack".into()));
        }
        self.history = state;
        Ok(())
    }
}

fn push<T: Copy>(history: &mut [T], frame: &[T], frames: usize, start: bool) {
    if start {
        (0..frames).for_each(|at| history[at * frame.len()..][..frame.len()].copy_from_slice(frame));
        return;
    }
    history.copy_within(frame.len().., 0);
    history[(frames - 1) * frame.len()..].copy_from_slice(frame);
}
