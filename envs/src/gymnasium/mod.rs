//! Gymnasium's environments: worlds in Python, by ids such as `gym:ALE/Breakout-v5`.
//!
//! A world runs in a worker, a Python process with one or more environments. Observations, rewards, ends, actions and
//! seeds stand in memory that is shared with it: a nameless file, which the worker maps and we read straight into the
//! caller's rows. Over a socket go only commands and answers of a byte or two. Nothing of Python is touched before
//! such an id is used.
//!
//! Seeds below 2^31 reach the environment's `reset` as they are and give the episodes that they give in Python; larger
//! ones are folded, since worlds hand them on to generators that take no more.
//!
//! A worker that dies or does not answer in time is started anew, and the episodes that it took along count as
//! truncated after their last observation; one that dies again and again is an error with its last words.
//!
//! | option | |
//! |---|---|
//! | `python` | the interpreter; else the one that the environment variable `PAVLOV_PYTHON` names, else that of the active virtual environment, else `python3` |
//! | `kwargs` | a table of arguments for `gymnasium.make` |
//! | `wrappers` | Python's wrappers, the innermost first: `"GrayscaleObservation"` of `gymnasium.wrappers`, `"package.module.Name"`, or `{ name = "AtariPreprocessing", noop_max = 30 }` with its arguments |
//! | `envs_per_worker` | how many environments of a vector environment share a process; else as many as make `threads` processes |
//! | `timeout_seconds` | how long a reset or a step may take before the worker counts as hung: 60 |
//! | `atari_vector` | `ALE/...` worlds in the vector environment that ALE itself brings: pictures of `[4, 84, 84]`, four frames a step, `threads` threads in one process; `kwargs` are its arguments |

mod deaths;
mod env;
mod failure;
mod keeper;
mod layout;
mod log;
mod settings;
mod spaces;
mod spin;
mod vector;
mod worker;

pub use env::GymEnv;
use settings::{OPTIONS, Settings};
pub use vector::GymVectorEnv;

use crate::{EnvError, EnvSpec};

/// What ids of Gymnasium's environments begin with.
pub(crate) const PREFIX: &str = "gym:";

/// The environment that Gymnasium knows by this id. Whether there is one is found out when it is made.
pub(crate) fn spec(id: &str) -> Result<EnvSpec, EnvError> {
    if id.trim().is_empty() {
        let message = "`gym:` wants the id of a Gymnasium environment, such as `gym:CartPole-v1`";
        return Err(EnvError::Option(message.into()));
    }
    let (single, vector) = (id.to_owned(), id.to_owned());
    Ok(EnvSpec::new(format!("{PREFIX}{id}"), move |options| {
        Ok(Box::new(GymEnv::new(Settings::single(&single, options)?)?))
    })
    .summary("An environment of Gymnasium, in a Python process of its own.")
    .options(OPTIONS)
    .vectorized(move |options, limit, vector_options| {
        Ok(Box::new(GymVectorEnv::new(Settings::vector(&vector, options, limit)?, vector_options)?))
    }))
}
