//! Islands: bodies that joints hold together, solved and put to sleep as one.

use super::body::Body;
use super::joint::Joint;
use super::math::min;
use super::solver::{Constraint, solve_position};
use super::world::{Pace, Scratch, World};
use super::{CORRECTED, LINEAR_SLOP, TIME_TO_SLEEP};

/// The number of iterations after which the solver checks for a cycle.
pub const ROUND: usize = 4;

/// The bodies and joints of an island, in the order in which they are solved.
#[derive(Clone, Debug, Default)]
pub struct Island {
    pub bodies: Vec<usize>,
    pub joints: Vec<usize>,
}

impl Island {
    /// Finds the islands as Box2D does: from the youngest body on, depth first, the youngest joints first.
    pub fn find(bodies: &[Body], joints: &[Joint], islands: &mut Vec<Self>) {
        islands.clear();
        let mut found = vec![false; bodies.len()];
        for seed in (0..bodies.len()).rev() {
            if found[seed] {
                continue;
            }
            found[seed] = true;
            let (mut island, mut stack) = (Self::default(), vec![seed]);
            while let Some(body) = stack.pop() {
                island.bodies.push(body);
                for (number, joint) in joints.iter().enumerate().rev() {
                    let [a, b] = joint.bodies.map(usize::from);
                    if (a != body && b != body) || island.joints.contains(&number) {
                        continue;
                    }
                    island.joints.push(number);
                    let other = if a == body { b } else { a };
                    if !found[other] {
                        found[other] = true;
                        stack.push(other);
                    }
                }
            }
            islands.push(island);
        }
    }
}

impl World {
    /// Moves the bodies of every island that is awake, and finds their new contacts. The impulses of the last
    /// step, scaled by `warmth`, are the start of this one's.
    pub(super) fn solve(&mut self, pace: Pace, warmth: f32) {
        for number in 0..self.scratch.islands.len() {
            // The island is taken out and put back for the borrow checker; nothing is allocated.
            let island = std::mem::take(&mut self.scratch.islands[number]);
            if island.bodies.iter().any(|&body| self.bodies[body].awake) {
                island.bodies.iter().for_each(|&body| self.bodies[body].wake());
                let settled = self.solve_island(&island, pace, warmth);
                self.rest(&island, pace.dt, settled);
                island.bodies.iter().for_each(|&body| self.bodies[body].follow());
            }
            self.scratch.islands[number] = island;
        }
        self.find_contacts();
    }

    /// Returns true if the positions ended without an error.
    fn solve_island(&mut self, island: &Island, pace: Pace, warmth: f32) -> bool {
        for &body in &island.bodies {
            self.bodies[body].accelerate(pace.dt, self.gravity);
        }
        self.prepare_contacts(island, warmth);
        self.prepare_joints(island, pace.dt, warmth);
        self.solve_velocities(island, pace.velocity_iterations);
        for constraint in &self.scratch.constraints {
            constraint.store(&mut self.contacts[constraint.contact].manifold);
        }
        for &body in &island.bodies {
            self.bodies[body].advance(pace.dt);
        }
        let settled = (0..pace.position_iterations).any(|_| self.solve_positions(island));
        for &body in &island.bodies {
            self.bodies[body].settle();
        }
        settled
    }

    fn prepare_contacts(&mut self, island: &Island, warmth: f32) {
        self.scratch.constraints.clear();
        for &body in &island.bodies {
            for (number, contact) in self.contacts.iter().enumerate().rev() {
                if usize::from(contact.body) == body && contact.enabled && contact.touches() {
                    let constraint = Constraint::new(number, contact, &self.bodies[body], warmth);
                    self.scratch.constraints.push(constraint);
                }
            }
        }
    }

    fn prepare_joints(&mut self, island: &Island, dt: f32, warmth: f32) {
        self.scratch.joints.clear();
        for &joint in &island.joints {
            let joint = &mut self.joints[joint];
            let bodies = joint.bodies.map(|body| &self.bodies[usize::from(body)]);
            self.scratch.joints.push(joint.prepare(bodies, warmth, dt));
        }
    }

    fn solve_velocities(&mut self, island: &Island, iterations: usize) {
        let Scratch { velocities, joints, constraints, .. } = &mut self.scratch;
        velocities.clear();
        velocities.extend(self.bodies.iter().map(|body| body.velocity));
        constraints.iter().for_each(|c| c.warm_start(&mut velocities[c.body]));
        joints.iter().for_each(|joint| joint.warm_start(velocities));
        self.scratch.iterate(iterations);
        for &body in &island.bodies {
            self.bodies[body].velocity = self.scratch.velocities[body];
        }
        for (&joint, constraint) in island.joints.iter().zip(&self.scratch.joints) {
            self.joints[joint].store(constraint);
        }
    }

    /// Returns true if all positions were nearly right.
    fn solve_positions(&mut self, island: &Island) -> bool {
        let mut separation = 0.0;
        for constraint in &self.scratch.constraints {
            let manifold = &self.contacts[constraint.contact].manifold;
            let least = solve_position(manifold, &mut self.bodies[constraint.body], CORRECTED);
            separation = min(separation, least);
        }
        let mut right = separation >= -3.0 * LINEAR_SLOP;
        for (&joint, prepared) in island.joints.iter().zip(&self.scratch.joints) {
            let joint = &self.joints[joint];
            if let Ok([a, b]) = self.bodies.get_disjoint_mut(joint.bodies.map(usize::from)) {
                right &= joint.solve_position(prepared, a, b);
            }
        }
        right
    }

    /// Puts the island to sleep when all its bodies have rested long enough.
    fn rest(&mut self, island: &Island, dt: f32, settled: bool) {
        let rested = island.bodies.iter().map(|&body| self.bodies[body].rest(dt)).fold(f32::MAX, min);
        if rested >= TIME_TO_SLEEP && settled {
            island.bodies.iter().for_each(|&body| self.bodies[body].sleep());
        }
    }
}

impl Scratch {
    /// Iterates over the velocities. Iterations that would repeat a cycle are skipped; the impulses that they
    /// would add are summed up.
    fn iterate(&mut self, iterations: usize) {
        self.seen_velocities.clear();
        for iteration in 0..iterations {
            if iteration % ROUND == 0 && self.repeats() {
                for joint in &mut self.joints {
                    (iteration..iterations).for_each(|iteration| joint.repeat(iteration));
                }
                return;
            }
            for joint in &mut self.joints {
                joint.solve_velocity(&mut self.velocities, iteration);
            }
            for constraint in &mut self.constraints {
                constraint.solve_velocity(&mut self.velocities[constraint.body]);
            }
        }
    }

    /// Returns true if the velocities, and the impulses that change them, are the same as a round before.
    fn repeats(&mut self) -> bool {
        let still = self.seen_velocities == self.velocities;
        self.seen_velocities.clone_from(&self.velocities);
        if !still {
            self.seen_impulses.clear();
            return false;
        }
        let joints = self.joints.iter().flat_map(|joint| joint.feedback());
        let contacts = self.constraints.iter().flat_map(|constraint| constraint.feedback());
        let now = joints.chain(contacts);
        let same = now.clone().eq(self.seen_impulses.iter().copied());
        self.seen_impulses.clear();
        self.seen_impulses.extend(now);
        same
    }
}
