//! The walker's ground: a rough meadow, and in the hardcore version stumps, pits and stairs.

use serde::{Deserialize, Serialize};

use super::integer;
use crate::SeededRng;
use crate::physics::{Edge, Ground, PieceShape, Polygon, Vec2};

/// The length of a piece in metres, and the number of pieces.
pub(super) const STEP: f64 = 14.0 / 30.0;
pub(super) const LENGTH: usize = 200;
/// The height of the start and of the goal, in metres.
pub(super) const HEIGHT: f64 = 400.0 / 30.0 / 4.0;
/// Pieces of flat ground at the start.
pub(super) const START: usize = 20;
/// A meadow has at least half as many pieces, and always fewer.
pub(super) const GRASS: usize = 10;
const FRICTION: f32 = 2.5;
/// The depth of a pit, in pieces.
const DEPTH: f64 = 4.0;

/// Heights from the left to the right, and the boxes that stand on or in the ground.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Terrain {
    pub heights: Vec<f64>,
    pub boxes: Vec<[(f64, f64); 4]>,
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Grass,
    Stump,
    Stairs,
    Pit,
}

/// The staircase under way.
#[derive(Clone, Copy, Default)]
struct Stairs {
    steps: i64,
    width: i64,
    /// 1 upwards, -1 downwards.
    way: i64,
}

/// The state of the terrain's generation.
struct Maker<'a> {
    rng: &'a mut SeededRng,
    terrain: &'a mut Terrain,
    part: Part,
    /// Pieces until the next part.
    left: i64,
    slope: f64,
    y: f64,
    /// The place of a pit's edge or a staircase's foot.
    edge: f64,
    stairs: Stairs,
}

impl Terrain {
    /// Draws a terrain, in the original's order.
    pub fn draw(&mut self, rng: &mut SeededRng, hardcore: bool) {
        self.heights.clear();
        self.boxes.clear();
        let mut maker = Maker {
            rng,
            terrain: self,
            part: Part::Grass,
            left: START as i64,
            slope: 0.0,
            y: HEIGHT,
            edge: 0.0,
            stairs: Stairs::default(),
        };
        let mut begins = false;
        for index in 0..LENGTH {
            let x = index as f64 * STEP;
            if begins {
                maker.begin(x);
            } else {
                maker.go_on(index);
            }
            maker.terrain.heights.push(maker.y);
            maker.left -= 1;
            begins = maker.left == 0;
            if begins {
                maker.choose(hardcore);
            }
        }
    }

    /// Puts the terrain into a world.
    pub fn build(&self, ground: &mut Ground) {
        for corners in &self.boxes {
            let polygon = Polygon::hull(&corners.map(Vec2::rounded));
            ground.add(PieceShape::Polygon(polygon), FRICTION, ground.pieces().len() as u16);
        }
        let point = |index: usize| Vec2::rounded((index as f64 * STEP, self.heights[index]));
        for index in 1..self.heights.len() {
            let edge = Edge::new(point(index - 1), point(index));
            ground.add(PieceShape::Edge(edge), FRICTION, ground.pieces().len() as u16);
        }
    }
}

impl Maker<'_> {
    /// Chooses the part that follows the one that has ended.
    fn choose(&mut self, hardcore: bool) {
        self.left = integer(self.rng, GRASS as i64 / 2, GRASS as i64);
        self.part = if self.part == Part::Grass && hardcore {
            [Part::Stump, Part::Stairs, Part::Pit][integer(self.rng, 1, 4) as usize - 1]
        } else {
            Part::Grass
        };
    }

    /// The first piece of a part.
    fn begin(&mut self, x: f64) {
        let y = self.y;
        match self.part {
            Part::Grass => {}
            Part::Pit => {
                self.left = integer(self.rng, 3, 5);
                let deep = y - DEPTH * STEP;
                let wall = [(x, y), (x + STEP, y), (x + STEP, deep), (x, deep)];
                let across = STEP * self.left as f64;
                self.terrain.boxes.extend([wall, wall.map(|(x, y)| (x + across, y))]);
                self.left += 2;
                self.edge = y;
            }
            Part::Stump => {
                self.left = integer(self.rng, 1, 3);
                let side = self.left as f64 * STEP;
                self.terrain.boxes.push([(x, y), (x + side, y), (x + side, y + side), (x, y + side)]);
            }
            Part::Stairs => self.begin_stairs(x),
        }
    }

    fn begin_stairs(&mut self, x: f64) {
        let way = if self.rng.uniform(0.0, 1.0) > 0.5 { 1 } else { -1 };
        let width = integer(self.rng, 4, 5);
        let steps = integer(self.rng, 3, 5);
        self.stairs = Stairs { steps, width, way };
        self.edge = self.y;
        for step in 0..steps {
            let across = |step: i64| x + (step * width) as f64 * STEP;
            let (top, bottom) = (step * way, -1 + step * way);
            let height = |steps: i64| self.y + steps as f64 * STEP;
            self.terrain.boxes.push([
                (across(step), height(top)),
                (across(step + 1), height(top)),
                (across(step + 1), height(bottom)),
                (across(step), height(bottom)),
            ]);
        }
        self.left = steps * width;
    }

    /// Any other piece.
    fn go_on(&mut self, index: usize) {
        match self.part {
            Part::Grass => {
                let back = HEIGHT - self.y;
                let sign = if back == 0.0 { 0.0 } else { back.signum() };
                self.slope = 0.8 * self.slope + 0.01 * sign;
                if index > START {
                    self.slope += self.rng.uniform(-1.0, 1.0) / 30.0;
                }
                self.y += self.slope;
            }
            Part::Pit => {
                self.y = self.edge;
                if self.left > 1 {
                    self.y -= DEPTH * STEP;
                }
            }
            Part::Stump => {}
            Part::Stairs => {
                let Stairs { steps, width, way } = self.stairs;
                let climbed = (steps * width - self.left - way) as f64 / width as f64;
                self.y = self.edge + (climbed * way as f64) * STEP;
            }
        }
    }
}
