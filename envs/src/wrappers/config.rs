//! The configuration of wrappers: each by name, with its settings.

use serde::{Deserialize, Serialize};

use super::actions::MapAction;
use super::declared::Declared;
use super::episodic_life::EpisodicLife;
use super::flatten::Flatten;
use super::frame_skip::FrameSkip;
use super::frame_stack::FrameStack;
use super::leaf::{LeafMap, MapLeaf};
use super::noop_start::NoopStart;
use super::one_hot::OneHot;
use super::pictures::{ChannelsFirst, Grayscale, Resize};
use super::render_pixels::RenderPixels;
use super::rewards::MapReward;
use super::select::Select;
use super::sticky_actions::StickyActions;
use super::{TimeLimit, Wrapped, Wrapper};
use crate::{BoxLayout, Env, EnvError, Space};

/// A wrapper by name, with its settings. A list of them, the innermost first, is part of a run's
/// configuration:
///
/// ```toml
/// wrappers = [
///     { kind = "frame_skip", frames = 4, max_pool = true },
///     { kind = "grayscale" },
///     { kind = "resize", height = 84, width = 84 },
///     { kind = "frame_stack", frames = 4 },
///     { kind = "sign_reward" },
/// ]
/// ```
///
/// A wrapper that changes one entry of an observation takes its name as `key`, which may be left out where
/// there is only one; an [`ACTION_MASK`](crate::ACTION_MASK) does not count and is passed through by all. The
/// return of an episode is reported in the world's own rewards
/// ([`Step::raw_reward`](crate::Step::raw_reward)), unchanged by wrappers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum WrapperConfig {
    /// Truncates an episode after this many steps.
    TimeLimit {
        /// At least 1.
        max_episode_steps: u32,
    },
    /// Repeats each action and adds up the rewards.
    FrameSkip {
        /// Steps of the world for each action.
        frames: u32,
        /// Shows the larger of the last two observations, number by number.
        #[serde(default)]
        max_pool: bool,
    },
    /// Repeats the last action with this probability, in place of the agent's (Machado et al. 2018).
    StickyActions {
        /// The probability, 0 or more and below 1.
        probability: f64,
    },
    /// Begins each episode with 1 to `max_noops` steps of an action that does nothing.
    NoopStart {
        /// At least 1.
        max_noops: u32,
        /// The action that does nothing.
        #[serde(default)]
        action: i64,
    },
    /// Ends the agent's episode, but not the world's, with each lost life.
    EpisodicLife {},
    /// Continuous actions within `low..high` stand for the world's own bounds.
    RescaleAction {
        /// Lower bound of every number.
        low: f32,
        /// Upper bound of every number.
        high: f32,
    },
    /// Continuous actions without bounds; numbers outside of the world's own are moved to the nearest bound.
    ClipAction {},
    /// Rewards within bounds.
    ClipReward {
        /// The smallest reward.
        low: f64,
        /// The largest reward.
        high: f64,
    },
    /// Rewards of -1, 0 or 1: their sign.
    SignReward {},
    /// Rewards times a factor, and then plus a shift.
    ScaleReward {
        /// The factor.
        factor: f64,
        /// The shift.
        #[serde(default)]
        shift: f64,
    },
    /// Shows only these numbers of a box of `f32`: without velocities, say.
    Select {
        /// The numbers that are shown, counted from 0, in this order.
        shown: Vec<usize>,
        /// The entry of a dict.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// Discrete numbers as boxes of zeros with a one for each.
    OneHot {
        /// The entry of a dict.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// All entries in one box of `f32`.
    Flatten {},
    /// The same box, declared a picture or plain numbers, where its shape does not say so
    /// ([`BoxLayout::of_shape`]).
    Layout {
        /// "channels_first", "channels_last", "grey" or "numbers".
        layout: BoxLayout,
        /// The entry of a dict.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// A colour picture of bytes, `[height, width, 3]` or `[3, height, width]`, in grey, `[height, width]`.
    Grayscale {
        /// The entry of a dict.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// A picture in another size, by areas.
    Resize {
        /// In pixels.
        height: usize,
        /// In pixels.
        width: usize,
        /// The entry of a dict.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// A picture of `[height, width, channels]` as `[channels, height, width]`. Networks and `frame_stack`
    /// take both.
    ChannelsFirst {
        /// The entry of a dict.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// The rendered picture in place of the observation, `[1 or 3, height, width]` bytes.
    RenderPixels {
        /// In pixels.
        #[serde(default = "eighty_four")]
        height: usize,
        /// In pixels.
        #[serde(default = "eighty_four")]
        width: usize,
        /// One channel instead of three.
        #[serde(default)]
        grayscale: bool,
    },
    /// The latest observations together, the oldest first; pictures along their channels, which come first
    /// then.
    FrameStack {
        /// The number of observations.
        frames: usize,
        /// The entry of a dict.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// Observations with mean 0 and variance 1, by running statistics over all environments. Must be the last
    /// wrapper.
    NormalizeObservation {
        /// Normalised numbers are clipped to `-clip..clip`.
        #[serde(default = "ten")]
        clip: f32,
        /// Added to the variance.
        #[serde(default = "epsilon")]
        epsilon: f64,
    },
    /// Rewards divided by the running deviation of their discounted sum, over all environments. Must be the
    /// last wrapper.
    NormalizeReward {
        /// The discount of the sum from step to step; the agent's own where it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        discount: Option<f64>,
        /// Normalised rewards are clipped to `-clip..clip`.
        #[serde(default = "ten_wide")]
        clip: f64,
        /// Added to the variance.
        #[serde(default = "epsilon")]
        epsilon: f64,
    },
}

fn eighty_four() -> usize {
    84
}

fn ten() -> f32 {
    10.0
}

fn ten_wide() -> f64 {
    10.0
}

fn epsilon() -> f64 {
    1e-8
}

impl WrapperConfig {
    /// Returns true if it works on all environments of a vector environment together, not on each alone.
    pub fn is_vector(&self) -> bool {
        matches!(self, Self::NormalizeObservation { .. } | Self::NormalizeReward { .. })
    }

    /// The name in a configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TimeLimit { .. } => "time_limit",
            Self::FrameSkip { .. } => "frame_skip",
            Self::StickyActions { .. } => "sticky_actions",
            Self::NoopStart { .. } => "noop_start",
            Self::EpisodicLife {} => "episodic_life",
            Self::RescaleAction { .. } => "rescale_action",
            Self::ClipAction {} => "clip_action",
            Self::ClipReward { .. } => "clip_reward",
            Self::SignReward {} => "sign_reward",
            Self::ScaleReward { .. } => "scale_reward",
            Self::Select { .. } => "select",
            Self::OneHot { .. } => "one_hot",
            Self::Flatten {} => "flatten",
            Self::Layout { .. } => "layout",
            Self::Grayscale { .. } => "grayscale",
            Self::Resize { .. } => "resize",
            Self::ChannelsFirst { .. } => "channels_first",
            Self::RenderPixels { .. } => "render_pixels",
            Self::FrameStack { .. } => "frame_stack",
            Self::NormalizeObservation { .. } => "normalize_observation",
            Self::NormalizeReward { .. } => "normalize_reward",
        }
    }

    /// `env` within this wrapper.
    ///
    /// # Errors
    /// [`EnvError::Option`] for a setting that makes no sense, or an environment that the wrapper is not for.
    pub fn wrap(&self, env: Box<dyn Env>) -> Result<Box<dyn Env>, EnvError> {
        match self {
            Self::TimeLimit { max_episode_steps } => within(env, |_| TimeLimit::new(*max_episode_steps)),
            Self::FrameSkip { frames, max_pool } => {
                within(env, |inner| FrameSkip::new(inner, *frames, *max_pool))
            }
            Self::StickyActions { probability } => {
                within(env, |inner| StickyActions::new(inner, *probability))
            }
            Self::NoopStart { max_noops, action } => {
                within(env, |inner| NoopStart::new(inner, *max_noops, *action))
            }
            Self::EpisodicLife {} => within(env, |inner| Ok(EpisodicLife::new(inner))),
            Self::RescaleAction { low, high } => within(env, |inner| MapAction::rescale(inner, *low, *high)),
            Self::ClipAction {} => within(env, MapAction::clip),
            Self::ClipReward { low, high } => within(env, |_| MapReward::clip(*low, *high)),
            Self::SignReward {} => within(env, |_| Ok(MapReward::Sign)),
            Self::ScaleReward { factor, shift } => within(env, |_| MapReward::scale(*factor, *shift)),
            Self::Flatten {} => within(env, Flatten::new),
            Self::RenderPixels { height, width, grayscale } => {
                within(env, |inner| RenderPixels::new(inner, *height, *width, *grayscale))
            }
            Self::Select { shown, key } => leaf(env, key, |space| Select::new(space, shown)),
            Self::OneHot { key } => leaf(env, key, OneHot::new),
            Self::Layout { layout, key } => leaf(env, key, |space| Declared::new(space, *layout)),
            Self::Grayscale { key } => leaf(env, key, Grayscale::new),
            Self::Resize { height, width, key } => {
                leaf(env, key, |space| Resize::new(space, *height, *width))
            }
            Self::ChannelsFirst { key } => leaf(env, key, ChannelsFirst::new),
            Self::FrameStack { frames, key } => leaf(env, key, |space| FrameStack::new(space, *frames)),
            Self::NormalizeObservation { .. } | Self::NormalizeReward { .. } => {
                let message = "running statistics are kept over all environments of a vector environment: \
                               a single one cannot be normalised";
                Err(EnvError::Option(message.into()))
            }
        }
    }
}

fn within<W: Wrapper + 'static>(
    env: Box<dyn Env>,
    make: impl FnOnce(&dyn Env) -> Result<W, EnvError>,
) -> Result<Box<dyn Env>, EnvError> {
    let wrapper = make(env.as_ref())?;
    Ok(Box::new(Wrapped::new(env, wrapper)))
}

fn leaf<M: LeafMap + 'static>(
    env: Box<dyn Env>,
    key: &Option<String>,
    make: impl FnOnce(&Space) -> Result<(M, Space), EnvError>,
) -> Result<Box<dyn Env>, EnvError> {
    within(env, |inner| MapLeaf::new(inner, key.as_deref(), make))
}
