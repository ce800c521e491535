//! Wrappers that change nothing, found before a run begins.

use super::WrapperConfig;
use super::episodic_life::check_lives;
use crate::checks::guarded;
use crate::{Env, EnvError, ObsBatch, Space, is_bound};

/// A world within a growing list of wrappers, as far as it is known without a step.
pub(crate) struct Effects<'a> {
    id: &'a str,
    /// The steps after which episodes end, and what ends them.
    limit: Option<(u32, String)>,
    /// The bounds that a wrapper gives to rewards.
    rewards: Option<(f64, f64)>,
    /// True if rewards are -1, 0 or 1.
    are_signs: bool,
    found: Vec<String>,
}

impl<'a> Effects<'a> {
    /// The world of this id, with the limit of its registration or of its options.
    pub fn new(id: &'a str, limit: Option<u32>, world: &dyn Env) -> Self {
        let limit = match world.max_episode_steps() {
            Some(within) if limit.is_none_or(|limit| within <= limit) => {
                Some((within, format!("{id}'s own limit is {within}")))
            }
            _ => limit.map(|steps| {
                (steps, format!("{id}'s own limit is {steps} (environment_options.max_episode_steps)"))
            }),
        };
        Self { id, limit, rewards: None, are_signs: false, found: Vec::new() }
    }

    /// Puts the wrapper around the environment, and notes if it has no effect there.
    ///
    /// # Errors
    /// As [`WrapperConfig::wrap`].
    pub fn wrap(
        &mut self,
        mut inner: Box<dyn Env>,
        wrapper: &WrapperConfig,
    ) -> Result<Box<dyn Env>, EnvError> {
        if matches!(wrapper, WrapperConfig::EpisodicLife {}) {
            // Worlds count lives from the reset on.
            let mut seen = ObsBatch::new(inner.observation_space(), 1);
            guarded(|| inner.reset(Some(0), seen.row_mut(0)))?;
            check_lives(inner.as_ref())?;
        }
        let before = (inner.observation_space().clone(), inner.action_space().clone());
        let outer = wrapper.wrap(inner)?;
        if let Some(why) = self.why_idle(wrapper, &before, (outer.observation_space(), outer.action_space()))
        {
            self.found.push(format!("the wrapper `{}` has no effect: {why}", wrapper.kind()));
        }
        Ok(outer)
    }

    /// The wrappers without effect, each in a sentence.
    pub fn found(self) -> Vec<String> {
        self.found
    }

    fn why_idle(
        &mut self,
        wrapper: &WrapperConfig,
        before: &(Space, Space),
        after: (&Space, &Space),
    ) -> Option<String> {
        use WrapperConfig as W;
        match wrapper {
            W::TimeLimit { max_episode_steps } => self.limit_steps(*max_episode_steps),
            W::FrameSkip { frames: 1, .. } => Some("each action is taken for 1 frame".into()),
            W::FrameSkip { frames, .. } => {
                if let Some((steps, cause)) = &mut self.limit {
                    *cause = format!("{cause}, {} with frame_skip", steps.div_ceil(*frames));
                    *steps = steps.div_ceil(*frames);
                }
                None
            }
            W::StickyActions { probability: 0.0 } => Some("its probability is 0".into()),
            W::ClipAction {} => match &before.1 {
                Space::Box(own) if !own.low.iter().chain(&own.high).any(|bound| is_bound(*bound)) => {
                    Some(format!("the actions of {} have no bounds", self.id))
                }
                Space::Box(own) => {
                    let far =
                        own.low.iter().zip(&own.high).position(|(low, high)| *low > 1.0 || *high < -1.0);
                    if let Some(index) = far {
                        let (low, high) = (own.low[index], own.high[index]);
                        self.found.push(format!(
                            "the wrapper `clip_action` hides the bounds {low} to {high} of number {index}: a policy that \
                             begins around 0 only ever gives one of them. Leave the wrapper out, or take \
                             `rescale_action` in its place"
                        ));
                    }
                    None
                }
                _ => None,
            },
            W::RescaleAction { low, high } => {
                (&before.1 == after.1).then(|| format!("the actions are from {low} to {high} already"))
            }
            W::ClipReward { low, high } => self.bound_rewards(*low, *high),
            W::SignReward {} => {
                self.rewards = Some((-1.0, 1.0));
                let before = std::mem::replace(&mut self.are_signs, true);
                before.then(|| "the rewards are -1, 0 or 1 already".into())
            }
            W::NoopStart { max_noops, .. } => {
                if let Some((steps, cause)) = self.limit.as_ref().filter(|(steps, _)| max_noops >= steps) {
                    let steps = format!("{max_noops} idle steps may take a whole episode of {steps}");
                    self.found.push(format!("the wrapper `noop_start`: {steps} ({cause})"));
                }
                None
            }
            W::ScaleReward { factor: 1.0, shift: 0.0 } => Some("its factor is 1 and its shift 0".into()),
            W::ScaleReward { factor, shift } => {
                self.are_signs = false;
                let scaled = |bound: f64| bound * factor + shift;
                self.rewards = self.rewards.map(|(low, high)| {
                    let (a, b) = (scaled(low), scaled(high));
                    (a.min(b), a.max(b))
                });
                None
            }
            W::FrameStack { frames: 1, .. } => Some("a stack of 1 frame is the observation".into()),
            W::Layout { layout, .. } => {
                (&before.0 == after.0).then(|| format!("the layout is `{layout}` already"))
            }
            W::Resize { height, width, .. } => {
                (&before.0 == after.0).then(|| format!("the picture has {height} x {width} pixels already"))
            }
            W::Select { shown, .. } => {
                let in_order = shown.iter().copied().eq(0..shown.len());
                (&before.0 == after.0 && in_order).then(|| "it shows all numbers in their order".into())
            }
            W::Flatten {} => (&before.0 == after.0).then(|| "the observation is a row of f32 already".into()),
            _ => None,
        }
    }

    fn limit_steps(&mut self, steps: u32) -> Option<String> {
        match &self.limit {
            Some((within, cause)) if *within <= steps => {
                Some(format!("it allows {steps} steps, and {cause}"))
            }
            _ => {
                self.limit = Some((steps, format!("the `time_limit` within it allows {steps}")));
                None
            }
        }
    }

    fn bound_rewards(&mut self, low: f64, high: f64) -> Option<String> {
        if low == f64::NEG_INFINITY && high == f64::INFINITY {
            return Some("its bounds are infinite".into());
        }
        match self.rewards {
            Some((least, most)) if low <= least && high >= most => {
                Some(format!("it clips to {low}..{high}, and the wrappers within it give {least} to {most}"))
            }
            _ => {
                let (least, most) = self.rewards.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
                self.rewards = Some((least.clamp(low, high), most.clamp(low, high)));
                self.are_signs &= low <= -1.0 && high >= 1.0;
                None
            }
        }
    }
}
