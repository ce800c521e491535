//! MinAtar: five Atari games on a grid of 10 x 10 cells.
//!
//! After Young and Tian, "MinAtar: An Atari-Inspired Testbed for Thorough and Reproducible Reinforcement
//! Learning Experiments" (2019), with the dynamics of version 1.0.15 of their package, its quirks included:
//! given the same random draws, every observation, reward and end is the same.
//!
//! | id | channels | actions of `-v1` |
//! |---|---|---|
//! | `MinAtar/Asterix-v0`, `-v1` | 4 | stay, left, up, right, down |
//! | `MinAtar/Breakout-v0`, `-v1` | 4 | stay, left, right |
//! | `MinAtar/Freeway-v0`, `-v1` | 7 | stay, up, down |
//! | `MinAtar/Seaquest-v0`, `-v1` | 10 | stay, left, up, right, down, fire |
//! | `MinAtar/SpaceInvaders-v0`, `-v1` | 6 | stay, left, right, fire |
//!
//! * Observations: `Box(0, 1, [10, 10, channels], u8)`; the axes are row (from the top), column and channel,
//!   and a 1 marks that a thing of the channel's kind is in the cell. Each game's own page names its
//!   channels.
//! * Actions: `-v0` has six in every game (stay, left, up, right, down, fire), `-v1` only those that do
//!   something.
//! * Rewards: whole numbers, never negative; each game's page says for what. There is no reward threshold.
//! * Ends: episodes terminate and are never truncated. Freeway terminates with step 2501; the others have no
//!   limit.
//! * Options: `sticky_action_prob` (0.1), the probability with which a step repeats the move of the step
//!   before; `difficulty_ramping` (true), whether Asterix, Seaquest and Space Invaders become harder with
//!   time.
//!
//! The move that a sticky action repeats outlives a reset, as in the package. Only a reset with a seed starts
//! everything anew.

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
use crate::{
    Action, BoxLayout, BoxSpace, Dtype, Env, EnvError, EnvSpec, EnvState, ObsMut, SeededRng, Space, Step,
};
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
    rng: SeededRng,
}

impl<G: Game> MinAtar<G> {
    /// The game with these rules and actions: [`Move::ALL`], or [`Game::MINIMAL`].
    ///
    /// # Errors
    /// [`EnvError::Option`] for a number that is not a probability.
    pub fn new(rules: Rules, moves: &'static [Move]) -> Result<Self, EnvError> {
        let mut rng = SeededRng::default();
        let count = CELLS * G::CHANNELS;
        let shape = [SIDE as usize, SIDE as usize, G::CHANNELS];
        Ok(Self {
            world: World { round: Round::new(&mut rng), running: false, rng },
            rules: rules.check()?,
            moves,
            observations: Space::Box(
                BoxSpace::new(vec![0.0; count], vec![1.0; count], &shape, Dtype::U8)?
                    .with_layout(BoxLayout::ChannelsLast)?,
            ),
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
        game::<Asterix>("Asterix", "Collect treasure and avoid the enemies", "1 for each treasure"),
        game::<Breakout>(
            "Breakout",
            "Bounce the ball off the paddle to break the bricks",
            "1 for each brick",
        ),
        game::<Freeway>("Freeway", "Lead a chicken across eight lanes of cars", "1 for each crossing"),
        game::<Seaquest>(
            "Seaquest",
            "Shoot enemies under water, rescue divers and come up for air in time",
            "1 for each enemy, up to 10 for six divers brought up",
        ),
        game::<SpaceInvaders>(
            "SpaceInvaders",
            "Shoot the aliens and dodge their bullets",
            "1 for each alien",
        ),
    ];
    games.into_iter().flatten().collect()
}

/// The two ids of a game: with the full and with the minimal action set.
fn game<G: Game + 'static>(name: &str, summary: &str, reward: &str) -> [EnvSpec; 2] {
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
        .reward(reward)
        .options(&["sticky_action_prob", "difficulty_ramping"])
    })
}

#[cfg(test)]
mod tests {
    use toml::Table;

    use super::*;
    use crate::{EnvOptions, ObsBatch, Registry};

    const LEFT: usize = 1;
    const RIGHT: usize = 3;

    fn make(id: &str, options: &str) -> Result<Box<dyn Env>, EnvError> {
        let table: Table = options.parse().unwrap();
        Registry::bundled().make_with(id, &EnvOptions::new(table))
    }

    /// Repeats one action, over ends too; returns every observation.
    fn play(env: &mut dyn Env, action: usize, steps: usize) -> Vec<ObsBatch> {
        let mut observation = ObsBatch::new(env.observation_space(), 1);
        let mut seen = Vec::new();
        for _ in 0..steps {
            let step = env.step(Action::Discrete(action as i64), observation.row_mut(0)).unwrap();
            seen.push(observation.clone());
            if step.end.is_over() {
                env.reset(None, observation.row_mut(0)).unwrap();
            }
        }
        seen
    }

    fn start(env: &mut dyn Env, seed: u64) {
        let mut observation = ObsBatch::new(env.observation_space(), 1);
        env.reset(Some(seed), observation.row_mut(0)).unwrap();
    }

    /// The column of the thing in the first channel of the bottom row.
    fn column(observation: &ObsBatch, channels: usize) -> Option<usize> {
        observation.bytes()[CELLS / 10 * 9 * channels..].iter().step_by(channels).position(|&mark| mark == 1)
    }

    #[test]
    fn a_sticky_action_repeats_the_move_before() {
        for (probability, columns) in [("1.0", [4, 4, 4]), ("0.0", [5, 6, 7])] {
            let mut env =
                make("MinAtar/Breakout-v0", &format!("sticky_action_prob = {probability}")).unwrap();
            start(env.as_mut(), 1);
            let seen = play(env.as_mut(), RIGHT, 3);
            assert_eq!(seen.iter().map(|seen| column(seen, 4)).collect::<Vec<_>>(), columns.map(Some));
        }
    }

    #[test]
    fn a_seed_starts_everything_anew() {
        let mut env = make("MinAtar/SpaceInvaders-v0", "sticky_action_prob = 0.5").unwrap();
        for seed in 0..10 {
            start(env.as_mut(), seed);
            let first = play(env.as_mut(), RIGHT, 4);
            play(env.as_mut(), LEFT, 4);
            start(env.as_mut(), seed);
            assert_eq!(play(env.as_mut(), RIGHT, 4), first, "seed {seed}");
        }
    }

    #[test]
    fn impossible_options_are_refused() {
        for (given, advice) in
            [("-0.1", "give a probability"), ("1.5", "give a probability"), ("nan", "give a finite number")]
        {
            let refused = make("MinAtar/Freeway-v1", &format!("sticky_action_prob = {given}")).err();
            assert!(refused.unwrap().to_string().contains(advice), "{given}");
        }
        let unknown = make("MinAtar/Freeway-v1", "difficulty_ramp = true").err();
        assert!(unknown.unwrap().to_string().contains("did you mean `difficulty_ramping`"));
    }

    #[test]
    fn a_damaged_state_is_refused_or_harmless() {
        for spec in specs() {
            let mut env = spec.make(&EnvOptions::default()).unwrap();
            start(env.as_mut(), 2);
            (0..30).for_each(|index| drop(play(env.as_mut(), index % 3, 3)));
            let saved = env.save_state().unwrap();
            let mut refused = 0;
            for at in 0..saved.as_bytes().len() {
                for damage in [1, 2, 7, 20, 127, 128, 255] {
                    let mut bytes = saved.as_bytes().to_vec();
                    bytes[at] ^= damage;
                    if env.load_state(&EnvState::from_bytes(bytes)).is_err() {
                        refused += 1;
                        continue;
                    }
                    let mut observation = ObsBatch::new(env.observation_space(), 1);
                    for action in (0..3).cycle().take(40) {
                        if env.step(Action::Discrete(action), observation.row_mut(0)).is_err() {
                            break;
                        }
                        let breach = env.observation_space().check_observation(observation.row(0));
                        assert_eq!(breach, Ok(()), "{}: byte {at} ^ {damage}", spec.id);
                    }
                }
            }
            assert!(refused > 0, "{}", spec.id);
            assert!(matches!(env.render(), Some(Picture::Frame(_))));
        }
    }
}
