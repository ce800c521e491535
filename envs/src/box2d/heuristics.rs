//! Gymnasium's hand-written controllers, whose returns must be the same here as there, episode by episode.

use super::parity::fixture;
use crate::{Action, ObsBatch, Registry};

/// A controller: from an observation to an action.
type Controller = Box<dyn FnMut(&[f32]) -> Vec<f32>>;

/// The return of an episode; `act` returns an action for an observation.
fn episode(id: &str, seed: u64, act: &mut dyn FnMut(&[f32]) -> Vec<f32>) -> f64 {
    let mut env = Registry::bundled().make(id).unwrap();
    let mut observation = ObsBatch::new(env.observation_space(), 1);
    env.reset(Some(seed), observation.row_mut(0)).unwrap();
    let mut total = 0.0;
    loop {
        let point = act(observation.floats());
        let choice = point[0] as i64;
        let action = if point.len() == 1 { Action::Discrete(choice) } else { Action::Box(&point) };
        let step = env.step(action, observation.row_mut(0)).unwrap();
        total += step.reward;
        if step.end.is_over() {
            return total;
        }
    }
}

/// Plays the recorded seeds and compares each return.
fn compare(id: &str, mut controller: impl FnMut() -> Controller) {
    for (seed, recorded) in (0..).zip(fixture(id).heuristic) {
        let own = episode(id, seed, &mut controller());
        assert!((own - recorded).abs() < 1e-5, "{id} {seed}: {own}, in Gymnasium {recorded}");
    }
}

/// The targets of the lander's controller: the turn and the rise.
fn lander_todo(s: &[f32]) -> (f32, f32) {
    let angle_target = (s[0] * 0.5 + s[2] * 1.0).clamp(-0.4, 0.4);
    let hover_target = 0.55 * s[0].abs();
    let legs = s[6] != 0.0 || s[7] != 0.0;
    let angle = if legs { 0.0 } else { (angle_target - s[4]) * 0.5 - s[5] * 1.0 };
    let hover = if legs { -s[3] * 0.5 } else { (hover_target - s[1]) * 0.5 - s[3] * 0.5 };
    (angle, hover)
}

fn discrete_lander(s: &[f32]) -> Vec<f32> {
    let (angle, hover) = lander_todo(s);
    let choice = if hover > angle.abs() && hover > 0.05 {
        2.0
    } else if angle < -0.05 {
        3.0
    } else if angle > 0.05 {
        1.0
    } else {
        0.0
    };
    vec![choice]
}

fn continuous_lander(s: &[f32]) -> Vec<f32> {
    let (angle, hover) = lander_todo(s);
    vec![(hover * 20.0 - 1.0).clamp(-1.0, 1.0), (-angle * 20.0).clamp(-1.0, 1.0)]
}

/// Swings one leg forward, puts it down, pushes off with the other.
struct Walker {
    state: Gait,
    moving: usize,
    knee: f32,
}

#[derive(PartialEq)]
enum Gait {
    OneLeg,
    PutDown,
    PushOff,
}

const SPEED: f32 = 0.29;
const SUPPORT_KNEE: f32 = 0.1;

impl Walker {
    fn act(&mut self, s: &[f32]) -> Vec<f32> {
        let (moving, supporting) = (self.moving, 1 - self.moving);
        let base = |leg: usize| 4 + 5 * leg;
        let (mut hips, mut knees) = ([None; 2], [None; 2]);
        if self.state == Gait::OneLeg {
            (hips[moving], knees[moving]) = (Some(1.1), Some(-0.6));
            self.knee += 0.03;
            if s[2] > SPEED {
                self.knee += 0.03;
            }
            self.knee = self.knee.min(SUPPORT_KNEE);
            knees[supporting] = Some(self.knee);
            if s[base(supporting)] < 0.10 {
                self.state = Gait::PutDown;
            }
        }
        if self.state == Gait::PutDown {
            (hips[moving], knees[moving]) = (Some(0.1), Some(SUPPORT_KNEE));
            knees[supporting] = Some(self.knee);
            if s[base(moving) + 4] != 0.0 {
                self.state = Gait::PushOff;
                self.knee = s[base(moving) + 2].min(SUPPORT_KNEE);
            }
        }
        if self.state == Gait::PushOff {
            (knees[moving], knees[supporting]) = (Some(self.knee), Some(1.0));
            if s[base(supporting) + 2] > 0.88 || s[2] > 1.2 * SPEED {
                self.state = Gait::OneLeg;
                self.moving = supporting;
            }
        }
        let upright = 0.9 * s[0] + 1.5 * s[1];
        let torque = |target: Option<f32>, gain: f32, at: usize| {
            target
                .filter(|target| *target != 0.0)
                .map_or(0.0, |target| gain * (target - s[at]) - 0.25 * s[at + 1])
        };
        let legs = [0, 1].map(|leg| {
            let hip = torque(hips[leg], 0.9, base(leg)) + upright;
            let knee = torque(knees[leg], 4.0, base(leg) + 2) - 15.0 * s[3];
            [hip, knee]
        });
        legs.concat().iter().map(|torque| (0.5 * torque).clamp(-1.0, 1.0)).collect()
    }
}

fn walker() -> Controller {
    let (mut walker, mut first) = (Walker { state: Gait::OneLeg, moving: 0, knee: SUPPORT_KNEE }, true);
    Box::new(move |s| if std::mem::take(&mut first) { vec![0.0; 4] } else { walker.act(s) })
}

#[test]
fn landers_land_as_in_gymnasium() {
    compare("LunarLander-v3", || Box::new(discrete_lander));
    compare("LunarLanderContinuous-v3", || Box::new(continuous_lander));
}

#[test]
fn walkers_walk_as_in_gymnasium() {
    compare("BipedalWalker-v3", walker);
    compare("BipedalWalkerHardcore-v3", walker);
}
