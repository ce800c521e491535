//! The parcel in which a lane hands its experience to the learning side.

/// Recorded experience and the lane that it comes from.
pub(super) struct Parcel<P> {
    /// The lane's number.
    pub lane: usize,
    /// A segment for a replay, or a rollout.
    pub content: P,
}
