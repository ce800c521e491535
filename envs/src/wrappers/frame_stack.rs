//! The wrapper that shows the latest observations together.

use serde::{Deserialize, Serialize};

use super::MOST_FRAMES;
use super::leaf::{Leaf, LeafMap, LeafMut};
use super::pictures::{DECLARE, planes};
use crate::{BoxLayout, BoxSpace, Dtype, EnvError, Space};

/// Shows the latest `frames` observations, the oldest first. An episode starts with its first observation
/// repeated, so that nothing of the episode before is seen.
///
/// Pictures are put together along the channels, which come first: `[frames * channels, height, width]`, also
/// of pictures that have them last, so that the planes of a frame stay as they are from step to step. Other
/// boxes stand along a new first dimension.
pub(super) struct FrameStack {
    frames: usize,
    /// The channels of pictures that have them last.
    channels_last: Option<usize>,
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
        let shape = match (space.layout, space.shape.as_slice()) {
            (BoxLayout::ChannelsLast, [height, width, channels]) => vec![frames * channels, *height, *width],
            (BoxLayout::Unclear, [_, _, _]) => {
                let space = Space::Box(space.clone());
                return Err(EnvError::Option(format!("this box cannot be stacked: {space}{DECLARE}")));
            }
            (_, [channels, height, width]) => vec![frames * channels, *height, *width],
            (_, rest) => [&[frames], rest].concat(),
        };
        let channels_last = (space.layout == BoxLayout::ChannelsLast).then(|| space.shape[2]);
        let history = match space.dtype {
            Dtype::F32 => History::Floats(vec![0.0; frames * space.len()]),
            Dtype::U8 => History::Bytes(vec![0; frames * space.len()]),
        };
        let bounds = |bounds: &[f32]| {
            let mut frame = bounds.to_vec();
            if let Some(channels) = channels_last {
                planes(bounds, &mut frame, channels);
            }
            frame.repeat(frames)
        };
        let stacked = BoxSpace::new(bounds(&space.low), bounds(&space.high), &shape, space.dtype)?;
        let stacked = match space.layout {
            // A table of `f32` may be a picture: the stack is judged by its own shape.
            BoxLayout::Unclear => stacked,
            BoxLayout::Numbers => stacked.with_layout(BoxLayout::Numbers)?,
            _ => stacked.with_layout(BoxLayout::ChannelsFirst)?,
        };
        Ok((Self { frames, channels_last, history }, Space::Box(stacked)))
    }
}

impl LeafMap for FrameStack {
    type State = History;

    fn map(&mut self, from: Leaf<'_>, to: LeafMut<'_>, start: bool) {
        let Self { frames, channels_last, history } = self;
        match (history, from, to) {
            (History::Floats(history), Leaf::Floats(from), LeafMut::Floats(to)) => {
                push(history, from, (*frames, *channels_last), start);
                to.copy_from_slice(history);
            }
            (History::Bytes(history), Leaf::Bytes(from), LeafMut::Bytes(to)) => {
                push(history, from, (*frames, *channels_last), start);
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

fn push<T: Copy>(
    history: &mut [T],
    frame: &[T],
    (frames, channels_last): (usize, Option<usize>),
    start: bool,
) {
    let put = |to: &mut [T]| match channels_last {
        Some(channels) => planes(frame, to, channels),
        None => to.copy_from_slice(frame),
    };
    let length = frame.len();
    if start {
        (0..frames).for_each(|at| put(&mut history[at * length..][..length]));
        return;
    }
    history.copy_within(length.., 0);
    put(&mut history[(frames - 1) * length..]);
}
