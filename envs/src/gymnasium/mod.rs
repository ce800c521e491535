//! Gymnasium's environments: worlds in Python, by ids such as `gym:ALE/Breakout-v5`.
//!
//! A world runs in a worker, a Python process with one or more environments. Observations, rewards, ends,
//! actions and seeds stand in memory that is shared with it: a nameless file, which the worker maps and from
//! which data is read straight into the caller's rows. The socket carries only commands and answers of a byte
//! or two. Python is not needed before such an id is used.
//!
//! Seeds below 2^31 reach the environment's `reset` as they are and give the same episodes as in Python.
//! Larger ones are folded, since worlds hand them on to generators that take no more.
//!
//! A worker that dies or does not answer in time is replaced, and its running episodes count as truncated
//! after their last observation. A worker that dies again and again is an error with its last words.
//!
//! The options:
//!
//! * `python`: the interpreter. By default it is the one that the environment variable `PAVLOV_PYTHON` names, or
//!   else that of the active virtual environment, or else `python3`.
//! * `kwargs`: a table of arguments for `gymnasium.make`.
//! * `wrappers`: Python's wrappers, the innermost first: `"GrayscaleObservation"` of `gymnasium.wrappers`,
//!   `"package.module.Name"`, or a table with its arguments: `{ name = "AtariPreprocessing", noop_max = 30 }`.
//! * `envs_per_worker`: the number of environments of a vector environment that share a process. By default
//!   there are as many processes as `threads`.
//! * `timeout_seconds`: the longest time that a reset or a step may take before the worker counts as hung, 60 by
//!   default.
//! * `atari_vector`: true for `ALE/...` worlds in the vector environment that ALE itself brings, with pictures of
//!   `[4, 84, 84]`, four frames a step, and `threads` threads in one process; `kwargs` are its arguments.

mod deaths;
mod env;
mod failure;
mod keeper;
mod layout;
mod log;
mod rows;
mod settings;
mod spaces;
mod spin;
mod vector;
mod worker;

pub use env::GymEnv;
use rows::GymRows;
use settings::{OPTIONS, Settings};
pub use vector::GymVectorEnv;

use crate::{EnvError, EnvSpec, RowEnvs, RowError, SingleRows};

/// The beginning of the ids of Gymnasium's environments.
pub(crate) const PREFIX: &str = "gym:";

/// The environment that Gymnasium knows by this id. An unknown id is an error only when the environment is
/// made.
pub(crate) fn spec(id: &str) -> Result<EnvSpec, EnvError> {
    if id.trim().is_empty() {
        let message = "`gym:` wants the id of a Gymnasium environment, such as `gym:CartPole-v1`";
        return Err(EnvError::Option(message.into()));
    }
    let [single, vector, rows] = [(); 3].map(|()| id.to_owned());
    Ok(EnvSpec::new(format!("{PREFIX}{id}"), move |options| {
        Ok(Box::new(GymEnv::new(Settings::single(&single, options)?)?))
    })
    .summary("An environment of Gymnasium, in a Python process of its own.")
    .options(OPTIONS)
    .vectorized(move |options, limit, vector_options| {
        Ok(Box::new(GymVectorEnv::new(Settings::vector(&vector, options, limit)?, vector_options)?))
    })
    .side_by_side(move |options, limit, num_envs| {
        let settings = Settings::vector(&rows, options, limit).map_err(|error| RowError { row: 0, error })?;
        Ok(match settings.request.atari_vector {
            // ALE's own vector environment resets all its games at once.
            true => Box::new(SingleRows::new(num_envs, || {
                Ok(Box::new(GymEnv::new(Settings::single(&rows, options)?)?))
            })?),
            false => Box::new(GymRows::new(&settings, num_envs)?) as Box<dyn RowEnvs>,
        })
    }))
}
