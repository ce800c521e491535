//! The world: ground, bodies, joints and contacts, and one step of them.

use serde::{Deserialize, Serialize};

use super::body::{Body, Velocity};
use super::contact::{Contact, Touch};
use super::ground::Ground;
use super::island::Island;
use super::joint::{Joint, JointConstraint};
use super::math::Vec2;
use super::solver::Constraint;
use crate::EnvError;

/// The length of a step and the effort of the solver.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The length of a step, in seconds.
    pub dt: f32,
    pub velocity_iterations: usize,
    pub position_iterations: usize,
}

/// The ground, the bodies on it, the joints between them and the contacts, each numbered by age.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct World {
    pub gravity: Vec2,
    pub ground: Ground,
    pub bodies: Vec<Body>,
    pub joints: Vec<Joint>,
    pub(super) contacts: Vec<Contact>,
    /// One over the length of the last step; 0 before the first.
    last_rate: f32,
    #[serde(skip)]
    pub(super) scratch: Scratch,
}

/// The buffers of a step, kept only so that the next one allocates nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    pub islands: Vec<Island>,
    pub joints: Vec<JointConstraint>,
    pub constraints: Vec<Constraint>,
    pub velocities: Vec<Velocity>,
    /// The velocities and impulses a round before.
    pub seen_velocities: Vec<Velocity>,
    pub seen_impulses: Vec<f32>,
    /// The fraction of the step up to which continuous collision has searched, for each static body.
    pub ground_advanced: Vec<f32>,
    pairs: Vec<(u16, u8)>,
}

/// More contacts than a world has at once; with more, a step would allocate.
const ROOM: usize = 128;

impl World {
    /// Empties the world, to be built anew.
    pub fn clear(&mut self, gravity: Vec2) {
        self.gravity = gravity;
        self.ground.clear();
        self.bodies.clear();
        self.joints.clear();
        self.contacts.clear();
        self.last_rate = 0.0;
    }

    /// Adds a body and returns its number.
    pub fn add_body(&mut self, body: Body) -> u8 {
        self.bodies.push(body);
        (self.bodies.len() - 1) as u8
    }

    /// The angle of a joint in radians and its angular velocity.
    pub fn joint_motion(&self, joint: usize) -> (f32, f32) {
        let joint = &self.joints[joint];
        let [a, b] = joint.bodies.map(|body| &self.bodies[usize::from(body)]);
        (joint.angle([a, b]), b.velocity.spin - a.velocity.spin)
    }

    /// Drives a joint's motor, which wakes its bodies.
    pub fn set_motor(&mut self, joint: usize, speed: f32, max_torque: f32) {
        let joint = &mut self.joints[joint];
        (joint.motor_speed, joint.max_torque) = (speed, max_torque);
        for body in joint.bodies {
            self.bodies[usize::from(body)].wake();
        }
    }

    /// Makes a world that was built or loaded ready for its steps.
    pub fn prepare(&mut self) {
        self.ground.index();
        let Scratch {
            islands,
            joints,
            constraints,
            velocities,
            seen_velocities,
            seen_impulses,
            ground_advanced,
            pairs,
        } = &mut self.scratch;
        Island::find(&self.bodies, &self.joints, islands);
        joints.clear();
        joints.reserve(self.joints.len());
        constraints.reserve(ROOM);
        velocities.reserve(self.bodies.len());
        seen_velocities.reserve(self.bodies.len());
        seen_impulses.reserve(2 * self.joints.len() + 4 * ROOM);
        pairs.reserve(ROOM);
        ground_advanced.clear();
        ground_advanced.resize(self.ground.pieces().len(), 0.0);
        self.contacts.reserve(ROOM);
    }

    /// Makes a world that was loaded ready for its steps.
    ///
    /// # Errors
    /// [`EnvError::State`] when its numbers do not fit together.
    pub fn restore(&mut self) -> Result<(), EnvError> {
        if !self.is_valid() {
            return Err(EnvError::State(
                "the bodies and contacts of the saved world do not fit together".into(),
            ));
        }
        self.prepare();
        Ok(())
    }

    fn is_valid(&self) -> bool {
        let is_body = |body: u8| usize::from(body) < self.bodies.len();
        let joint = |joint: &Joint| {
            let [a, b] = joint.bodies;
            a != b && is_body(a) && is_body(b)
        };
        let contact = |contact: &Contact| {
            usize::from(contact.piece) < self.ground.pieces().len()
                && is_body(contact.body)
                && contact.manifold.is_valid()
        };
        self.ground.is_valid()
            && self.bodies.len() <= usize::from(u8::MAX)
            && self.bodies.iter().all(|body| body.shape.is_valid())
            && self.joints.iter().all(joint)
            && self.contacts.iter().all(contact)
    }

    /// Advances the world. `touched` is called with each body that begins or ends to touch a piece of the
    /// ground.
    pub fn step(&mut self, pace: Pace, touched: &mut impl FnMut(u8, Touch)) {
        if self.last_rate == 0.0 {
            self.find_contacts();
        }
        self.update_contacts(touched);
        let rate = 1.0 / pace.dt;
        self.solve(pace, self.last_rate * pace.dt);
        self.solve_impacts(pace, touched);
        self.last_rate = rate;
        self.bodies.iter_mut().for_each(Body::clear_forces);
    }

    /// Drops the contacts whose boxes have parted and updates the others, the youngest first.
    fn update_contacts(&mut self, touched: &mut impl FnMut(u8, Touch)) {
        for index in (0..self.contacts.len()).rev() {
            let contact = &mut self.contacts[index];
            let piece = &self.ground.pieces()[usize::from(contact.piece)];
            let body = &mut self.bodies[usize::from(contact.body)];
            if !body.awake {
                continue;
            }
            if piece.aabb.overlaps(&body.roam) {
                if let Some(touch) = contact.update(piece, body) {
                    touched(contact.body, touch);
                }
            } else {
                let gone = self.contacts.remove(index);
                if gone.touches() {
                    touched(gone.body, Touch::Ends);
                }
            }
        }
    }

    /// Finds the contacts of bodies whose roams have changed.
    pub(super) fn find_contacts(&mut self) {
        let pairs = &mut self.scratch.pairs;
        pairs.clear();
        for (number, body) in self.bodies.iter_mut().enumerate().filter(|(_, body)| body.moved) {
            body.moved = false;
            pairs.extend(self.ground.overlapping(body.roam).map(|piece| (piece, number as u8)));
        }
        pairs.sort_unstable();
        for &(piece, body) in pairs.iter() {
            if self.contacts.iter().any(|contact| (contact.piece, contact.body) == (piece, body)) {
                continue;
            }
            let whole = (&self.ground.pieces()[usize::from(piece)], &mut self.bodies[usize::from(body)]);
            self.contacts.push(Contact::new((piece, whole.0), (body, whole.1)));
            whole.1.wake();
        }
    }
}
