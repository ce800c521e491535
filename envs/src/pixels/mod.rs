//! Worlds observed as pictures of 84 x 84 pixels, like Atari's games after their usual preprocessing.

mod pong;

pub use pong::PixelPong;

use crate::EnvSpec;

/// The environments of this family, as they are registered.
pub(crate) fn specs() -> Vec<EnvSpec> {
    vec![
        EnvSpec::new("PixelPong-v0", |options| {
            let points = options.integer("points", PixelPong::POINTS.into())?;
            Ok(Box::new(PixelPong::new(points)?))
        })
        .summary("Win a game of table tennis from its picture; how the ball moves takes two pictures to see")
        .reward("1 for a point, -1 for a lost one")
        .options(&["points"])
        .max_episode_steps(5_000)
        .reward_threshold(4.0),
    ]
}
