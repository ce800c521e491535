//! MinAtar: five Atari games on a grid of 10 x 10 cells.
//!
//! After Young and Tian, "MinAtar: An Atari-Inspired Testbed for Thorough and Reproducible Reinforcement Learning
//! Experiments" (2019), with the dynamics of version 1.0.15 of their package, its quirks included: given the same
//! random draws, every observation, reward and end is the same.
//!
//! | id | channels | actions of `-v1` |
//! |---|---|---|
//! | `MinAtar/Asterix-v0`, `-v1` | 4 | stay, left, up, right, down |
//! | `MinAtar/Breakout-v0`, `-v1` | 4 | stay, left, right |
//! | `MinAtar/Freeway-v0`, `-v1` | 7 | stay, up, down |
//! | `MinAtar/Seaquest-v0`, `-v1` | 10 | stay, left, up, right, down, fire |
//! | `MinAtar/SpaceInvaders-v0`, `-v1` | 6 | stay, left, right, fire |
//!
//! * Observations: `Box(0, 1, [10, 10, channels], u8)`; the axes are row (from the top), column and channel, and a 1
//!   marks that a thing of the channel's kind is in the cell. Each game's own page names its channels.
//! * Actions: `-v0` has six in every game (stay, left, up, right, down, fire), `-v1` only those that do something.
//! * Rewards: whole numbers, never negative; for what, each game's page says. There is no reward threshold.
//! * Ends: episodes terminate and are never truncated. Freeway terminates with step 2501; the others have no limit.
//! * Options: `sticky_action_prob` (0.1), the probability with which a step repeats the move of the step before;
//!   `difficulty_ramping` (true), whether Asterix, Seaquest and Space Invaders become harder with time.
//!
//! The move that a sticky action repeats outlives a reset, as in the package, except a reset with a seed, after which
//! everything is as at first.

mod asterix;
mod breakout;
mod freeway;
mod game;
#[cfg(test)]
mod parity;
mod picture;
mod seaquest;
mod space_invaders;

pub use asterix::Asterix;
pub use breakout::Breakout;
pub use freeway::Freeway;
pub use game::{CELLS, Draws, Game, Move, Rules, SIDE};
pub use seaquest::Seaquest;
pub use space_invaders::SpaceInvaders;

use serde::{Deserialize, Serialize};

use crate::render::Picture;
use crate::{Action, BoxSpace, Dtype, Env, EnvError, EnvRng, EnvSpec, EnvState, ObsMut, Space, Step};
use game::Round;

/// One of the games as an environment.
#[derive(Clone, Debug)]
pub struct MinAtar<G> {
    world: World<G>,
    rules: Rules,
    moves: &'static [Move],
    observations: Space,
    actions: Space,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct World<G> {
    round: Round<G>,
    running: bool,
    rng: EnvRng,
}

impl<G: Game> MinAtar<G> {
    /// The game with these rules and actions: [`Move::ALL`], or [`Game::MINIMAL`].
    ///
    /// # Errors
    /// [`EnvError::Option`] for a probability that is none.
    pub fn new(rules: Rules, moves: &'static [Move]) -> Result<Self, EnvError> {
        let mut rng = EnvRng::default();
        let count = CELLS * G::CHANNELS;
        let shape = [SIDE as usize, SIDE as usize, G::CHANNELS];
        Ok(Self {
            world: World { round: Round::new(&mut rng), running: false, rng },
            rules: rules.check()?,
            moves,
            observations: Space::Box(BoxSpace::new(vec![0.0; count], vec![1.0; count], &shape, Dtype::U8)?),
            actions: Space::Discrete(moves.len() as i64),
        })
    }
}

impl<G: Game> Env for MinAtar<G> {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        let World { round, running, rng } = &mut self.world;
        rng.reseed(seed);
        if seed.is_some() {
            *round = Round::new(rng);
        } else {
            round.game = G::start(rng);
        }
        *running = true;
        round.game.observe(observation.bytes);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let choice = action.discrete(self.moves.len() as i64)?;
        let World { round, running, rng } = &mut self.world;
        if !*running {
            return Err(EnvError::NeedsReset);
        }
        let step = round.step(self.moves[choice], self.rules, rng);
        round.game.observe(observation.bytes);
        *running = !step.end.is_over();
        Ok(step)
    }

    fn render(&self) -> Option<Picture> {
        let mut cells = vec![0; CELLS * G::CHANNELS];
        self.world.round.game.observe(&mut cells);
        Some(Picture::Frame(picture::frame(&cells, G::CHANNELS)))
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&self.world)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let world: World<G> = state.unpack()?;
        if !world.round.game.is_sound() {
            return Err(EnvError::State("the saved state is damaged: no game can come to it".into()));
        }
        self.world = world;
        Ok(())
    }
}

/// The environments of this family, as they are registered.
pub(crate) fn specs() -> Vec<EnvSpec> {
    let games = [
        game::<Asterix>("Asterix", "Collect treasure and avoid the enemies"),
        game::<Breakout>("Breakout", "Bounce the ball off the paddle to break the bricks"),
        game::<Freeway>("Freeway", "Lead a chicken across eight lanes of cars"),
        game::<Seaquest>("Seaquest", "Shoot enemies under water, rescue divers and come up for air in time"),
        game::<SpaceInvaders>("SpaceInvaders", "Shoot the aliens and dodge their bullets"),
    ];
    games.into_iter().flatten().collect()
}

/// The two ids of a game: with the full and with the minimal action set.
fn game<G: Game + 'static>(name: &str, summary: &str) -> [EnvSpec; 2] {
    [(0, &Move::ALL[..]), (1, G::MINIMAL)].map(|(version, moves)| {
        EnvSpec::new(format!("MinAtar/{name}-v{version}"), move |options| {
            let usual = Rules::default();
            let rules = Rules {
                sticky_action_prob: options.number("sticky_action_prob", usual.sticky_action_prob)?,
                difficulty_ramping: options.flag("difficulty_ramping", usual.difficulty_ramping)?,
            };
            Ok(Box::new(MinAtar::<G>::new(rules, moves)?) as Box<dyn Env>)
        })
        .summary(format!("{summary} (MinAtar, Young and Tian 2019)"))
        .options(&["sticky_action_prob", "difficulty_ramping"])
    })
}
