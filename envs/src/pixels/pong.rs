//! Table tennis against a machine, seen from above.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::render::{Frame, Picture};
use crate::{Action, End, Env, EnvError, EnvState, ObsMut, SeededRng, Space, Step};

/// The side of the picture, and of the table, in pixels.
const SIDE: f32 = 84.0;
/// Half the length of a bat; it is 2 pixels thick.
const BAT: f32 = 6.0;
/// The places of the bats: the machine on the left, the player on the right.
const LEFT: f32 = 8.0;
const RIGHT: f32 = 76.0;
/// Half the side of the ball.
const BALL: f32 = 1.0;
/// Pixels per step: the player's bat, the machine's bat, and the ball along the table at the serve.
const PLAYER_SPEED: f32 = 2.5;
const MACHINE_SPEED: f32 = 1.25;
const SERVE_SPEED: f32 = 1.5;
/// Each stroke makes the ball faster by this factor, up to a limit.
const FASTER: f32 = 1.05;
const LIMIT: f32 = 2.8;
/// The turn of a ball that hits the end of a bat.
const SPIN: f32 = 1.8;

/// Grey levels.
const TABLE: u8 = 40;
const NET: u8 = 90;
const MACHINE: u8 = 150;
const PLAYER: u8 = 200;
const WHITE: u8 = 255;

/// A game against a machine that follows the ball, but is slower than a fast ball. Observation: the picture,
/// `[1, 84, 84]` bytes. Actions: stay, up, down. Each point counts 1 or -1; the game ends when one side has
/// all of its points.
#[derive(Clone, Debug)]
pub struct PixelPong {
    observations: Space,
    actions: Space,
    points: u32,
    world: World,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct World {
    rng: SeededRng,
    /// Across the table: the machine's bat, then the player's.
    bats: [f32; 2],
    ball: [f32; 2],
    speed: [f32; 2],
    /// Points of the machine and of the player.
    score: [u32; 2],
    running: bool,
}

impl PixelPong {
    /// Points of a game.
    pub const POINTS: u32 = 5;

    /// A game that ends when one side has this many points.
    ///
    /// # Errors
    /// [`EnvError::Option`] for fewer than 1 or more than 1,000.
    pub fn new(points: i64) -> Result<Self, EnvError> {
        let within = u32::try_from(points).ok().filter(|points| (1..=1000).contains(points));
        let points = within.ok_or_else(|| {
            EnvError::Option(format!("`points` is {points}: give a whole number from 1 to 1000"))
        })?;
        let world = World {
            rng: SeededRng::default(),
            bats: [SIDE / 2.0; 2],
            ball: [SIDE / 2.0; 2],
            speed: [0.0; 2],
            score: [0; 2],
            running: false,
        };
        let observations = Space::pixels(&[1, SIDE as usize, SIDE as usize]);
        Ok(Self { observations, actions: Space::Discrete(3), points, world })
    }

    fn draw(&self, picture: &mut [u8]) {
        let World { bats, ball, .. } = &self.world;
        picture.fill(TABLE);
        rectangle(picture, [SIDE / 2.0, SIDE / 2.0], [0.5, SIDE / 2.0], NET);
        rectangle(picture, [LEFT, bats[0]], [1.0, BAT], MACHINE);
        rectangle(picture, [RIGHT, bats[1]], [1.0, BAT], PLAYER);
        rectangle(picture, *ball, [BALL, BALL], WHITE);
    }
}

impl World {
    /// Serves the ball from the middle of the table, towards a side drawn at random.
    fn serve(&mut self) {
        self.ball = [SIDE / 2.0, self.rng.uniform(20.0, 64.0) as f32];
        let side = if self.rng.random() { 1.0 } else { -1.0 };
        self.speed = [side * SERVE_SPEED, self.rng.uniform(-1.0, 1.0) as f32];
    }

    /// The winner of the point, if the step has decided one: 0 the machine, 1 the player.
    fn advance(&mut self, action: usize) -> Option<usize> {
        let wanted = [0.0, -PLAYER_SPEED, PLAYER_SPEED][action.min(2)];
        self.bats[1] = kept(self.bats[1] + wanted);
        let behind = self.ball[1] - self.bats[0];
        self.bats[0] = kept(self.bats[0] + behind.clamp(-MACHINE_SPEED, MACHINE_SPEED));

        let before = self.ball[0];
        self.ball[0] += self.speed[0];
        self.ball[1] += self.speed[1];
        if self.ball[1] < BALL || self.ball[1] > SIDE - BALL {
            self.ball[1] = self.ball[1].clamp(BALL, SIDE - BALL);
            self.speed[1] = -self.speed[1];
        }
        for (bat, line, outwards) in [(0, LEFT + 2.0, -1.0), (1, RIGHT - 2.0, 1.0)] {
            let crossed = (before - line) * outwards <= 0.0 && (self.ball[0] - line) * outwards > 0.0;
            let off = (self.ball[1] - self.bats[bat]) / (BAT + BALL);
            if crossed && off.abs() <= 1.0 {
                self.ball[0] = line;
                self.speed[0] = -outwards * (self.speed[0].abs() * FASTER).min(LIMIT);
                self.speed[1] = (self.speed[1] + SPIN * off).clamp(-LIMIT, LIMIT);
            }
        }
        if self.ball[0] < 0.0 {
            Some(1)
        } else if self.ball[0] > SIDE {
            Some(0)
        } else {
            None
        }
    }
}

/// The bat's place, clipped to the table.
fn kept(bat: f32) -> f32 {
    bat.clamp(BAT, SIDE - BAT)
}

/// Fills the pixels of the picture within `half` of the middle.
fn rectangle(picture: &mut [u8], [x, y]: [f32; 2], [half_width, half_height]: [f32; 2], gray: u8) {
    let side = SIDE as usize;
    let range = |middle: f32, half: f32| {
        let pixel = |at: f32| (at.round().max(0.0) as usize).min(side);
        pixel(middle - half)..pixel(middle + half)
    };
    for row in range(y, half_height) {
        picture[row * side..][..side][range(x, half_width)].fill(gray);
    }
}

impl Env for PixelPong {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        let world = &mut self.world;
        world.rng.reseed(seed);
        (world.bats, world.score, world.running) = ([SIDE / 2.0; 2], [0; 2], true);
        world.serve();
        self.draw(observation.bytes);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let action = action.discrete(3)?;
        let world = &mut self.world;
        if !world.running {
            return Err(EnvError::NeedsReset);
        }
        let mut reward = 0.0;
        if let Some(winner) = world.advance(action) {
            world.score[winner] += 1;
            reward = [-1.0, 1.0][winner];
            world.running = world.score[winner] < self.points;
            world.serve();
        }
        let over = !world.running;
        self.draw(observation.bytes);
        Ok(Step::new(reward, End::terminated_if(over)))
    }

    fn render(&self) -> Option<Picture> {
        let side = SIDE as usize;
        let mut gray = vec![0; side * side];
        self.draw(&mut gray);
        // Each pixel as a block of 3 x 3.
        let rows = gray.chunks_exact(side).flat_map(|row| [row; 3]);
        let pixels = rows.flat_map(|row| row.iter().flat_map(|&gray| [gray; 9])).collect();
        Some(Picture::Frame(Frame { width: 3 * side, height: 3 * side, pixels }))
    }

    fn visit_info(&self, visit: &mut dyn FnMut(&str, f64)) {
        // Places as shares of the table's side from the top left, speeds as shares of the fastest.
        let World { bats, ball, speed, .. } = &self.world;
        let places =
            [("ball_x", ball[0]), ("ball_y", ball[1]), ("machine_y", bats[0]), ("player_y", bats[1])];
        places.into_iter().for_each(|(name, place)| visit(name, f64::from(place / SIDE)));
        visit("ball_speed_x", f64::from(speed[0] / LIMIT));
        visit("ball_speed_y", f64::from(speed[1] / LIMIT));
        visit("points_lost", self.world.score[0].into());
        visit("points_won", self.world.score[1].into());
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&self.world)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let world: World = state.unpack()?;
        let numbers = world.bats.iter().chain(&world.ball).chain(&world.speed);
        if !numbers.into_iter().all(|number| number.is_finite())
            || world.score.iter().any(|s| *s > self.points)
        {
            return Err(EnvError::State("the saved game is none".into()));
        }
        self.world = world;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ObsBatch;

    /// Plays whole games; `choose` gets the heights of ball and bat.
    fn mean_return(games: u64, mut choose: impl FnMut(f32, f32) -> i64) -> f64 {
        let mut env = PixelPong::new(PixelPong::POINTS.into()).unwrap();
        let mut picture = ObsBatch::new(env.observation_space(), 1);
        let mut sum = 0.0;
        for seed in 0..games {
            env.reset(Some(seed), picture.row_mut(0)).unwrap();
            loop {
                let action = choose(env.world.ball[1], env.world.bats[1]);
                let step = env.step(Action::Discrete(action), picture.row_mut(0)).unwrap();
                sum += step.reward;
                if step.end.is_over() {
                    break;
                }
            }
        }
        sum / games as f64
    }

    #[test]
    fn a_player_that_follows_the_ball_wins_and_an_idle_one_loses() {
        let follow = |ball: f32, bat: f32| if ball < bat - 1.0 { 1 } else { i64::from(ball > bat + 1.0) * 2 };
        let edge = |ball: f32, bat: f32| follow(ball, bat + 4.5);
        assert!(mean_return(20, |_, _| 0) < -3.0);
        assert!(mean_return(20, edge) > 4.0, "{}", mean_return(20, edge));
    }

    #[test]
    fn the_picture_shows_both_bats_the_net_and_the_ball() {
        let mut env = PixelPong::new(3).unwrap();
        let mut picture = ObsBatch::new(env.observation_space(), 1);
        env.reset(Some(1), picture.row_mut(0)).unwrap();
        let count = |gray| picture.bytes().iter().filter(|byte| **byte == gray).count();
        assert_eq!((count(MACHINE), count(PLAYER), count(WHITE)), (24, 24, 4));
        assert!(count(NET) > 80 && count(TABLE) > 6_800);
    }

    #[test]
    fn a_game_of_no_points_is_refused() {
        assert!(PixelPong::new(0).is_err() && PixelPong::new(-1).is_err() && PixelPong::new(1001).is_err());
    }
}
