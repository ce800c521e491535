//! The errors of processes that learn together.

/// The error of a group of processes.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GroupError {
    /// The connection to a peer is gone: its process ended or its machine is unreachable.
    #[error("rank {rank} is lost ({cause}): its process has ended, or its machine cannot be reached")]
    Lost {
        /// The peer.
        rank: usize,
        /// The connection's error.
        cause: String,
    },
    /// A peer did not answer in time.
    #[error(
        "rank {rank} has not answered for {seconds} s: look at its output, or allow more time with {TIMEOUT}"
    )]
    TimedOut {
        /// The peer.
        rank: usize,
        /// The time that was waited.
        seconds: u64,
    },
    /// A peer, or a shard of this process, has failed and said why.
    #[error("{who} has failed: {cause}")]
    Failed {
        /// The rank or the shard.
        who: String,
        /// Its error.
        cause: String,
    },
    /// A peer is at another point of the program.
    #[error("{0}")]
    OutOfStep(String),
    /// The environment variables make no sense.
    #[error("{0}")]
    Place(String),
    /// The processes did not find one another.
    #[error("{0}")]
    Rendezvous(String),
    /// Processes could not be started, watched or ended.
    #[error("{0}")]
    Launch(String),
}

/// The environment variable with the seconds that a process waits for its peers.
pub const TIMEOUT: &str = "PAVLOV_TIMEOUT_SECONDS";
