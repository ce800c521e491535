//! Continuous collision: a body that would pass into the ground within a step is stopped where it touches.

use super::body::Body;
use super::contact::Touch;
use super::impact::time_of_impact;
use super::math::min;
use super::solver::{Constraint, solve_position};
use super::world::{Pace, World};
use super::{CORRECTED_AT_IMPACT, LINEAR_SLOP};

/// The most times that a contact may stop its body within a step.
const MAX_STOPS: u8 = 8;
/// The most contacts that are solved at an impact.
const MAX_CONTACTS: usize = 32;
const POSITION_ITERATIONS: usize = 20;

impl World {
    /// Finds the impacts within the step, earliest first, and solves each for the rest of the step.
    pub(super) fn solve_impacts(&mut self, pace: Pace, touched: &mut impl FnMut(u8, Touch)) {
        self.bodies.iter_mut().for_each(|body| body.sweep.advanced = 0.0);
        for contact in &mut self.contacts {
            (contact.impact, contact.stops) = (None, 0);
            let piece = &self.ground.pieces()[usize::from(contact.piece)];
            self.scratch.ground_advanced[usize::from(piece.body)] = 0.0;
        }
        while let Some((contact, time)) = self.first_impact() {
            let body = usize::from(self.contacts[contact].body);
            if !self.stop_at(contact, time, touched) {
                continue;
            }
            self.gather(contact, body, time, touched);
            self.solve_rest(body, Pace { dt: (1.0 - time) * pace.dt, ..pace });
            self.bodies[body].follow();
            let own = |contact: &&mut super::contact::Contact| usize::from(contact.body) == body;
            self.contacts.iter_mut().filter(own).for_each(|contact| contact.impact = None);
            self.find_contacts();
        }
    }

    /// The contact with the earliest impact and its time; the youngest of several.
    fn first_impact(&mut self) -> Option<(usize, f32)> {
        let (mut first, mut earliest) = (None, 1.0);
        for index in (0..self.contacts.len()).rev() {
            let contact = &self.contacts[index];
            if !contact.enabled || contact.stops > MAX_STOPS {
                continue;
            }
            let time = match contact.impact {
                Some(time) => time,
                None if self.bodies[usize::from(contact.body)].awake => self.find_impact(index),
                None => continue,
            };
            if time < earliest {
                (first, earliest) = (Some(index), time);
            }
        }
        (earliest <= 1.0 - 10.0 * f32::EPSILON).then_some((first?, earliest))
    }

    /// The time of a contact's impact as a fraction of the step; 1 where there is none.
    fn find_impact(&mut self, index: usize) -> f32 {
        let contact = &mut self.contacts[index];
        let piece = &self.ground.pieces()[usize::from(contact.piece)];
        let body = &mut self.bodies[usize::from(contact.body)];
        let ground = &mut self.scratch.ground_advanced[usize::from(piece.body)];
        // Both sweeps must start at the same time.
        if body.sweep.advanced < *ground {
            body.sweep.advance(*ground);
        } else {
            *ground = body.sweep.advanced;
        }
        let start = *ground;
        let time = time_of_impact(piece.shape.corners(), body.shape.corners(), &body.sweep)
            .map_or(1.0, |fraction| min(start + (1.0 - start) * fraction, 1.0));
        contact.impact = Some(time);
        time
    }

    /// Moves a contact's body back to this time. If it touches there, returns true; if not, restores the body
    /// and sets the contact aside.
    fn stop_at(&mut self, index: usize, time: f32, touched: &mut impl FnMut(u8, Touch)) -> bool {
        let contact = &mut self.contacts[index];
        let piece = &self.ground.pieces()[usize::from(contact.piece)];
        let body = &mut self.bodies[usize::from(contact.body)];
        let ground = &mut self.scratch.ground_advanced[usize::from(piece.body)];
        let before = (body.sweep, *ground);
        body.rewind(time);
        *ground = time;
        if let Some(touch) = contact.update(piece, body) {
            touched(contact.body, touch);
        }
        contact.impact = None;
        contact.stops += 1;
        if contact.touches() {
            body.wake();
            return true;
        }
        contact.enabled = false;
        (body.sweep, *ground) = before;
        body.settle();
        false
    }

    /// Collects the constraints of an impact: its contact, and all others in which the body touches the
    /// ground at that time.
    fn gather(&mut self, first: usize, body: usize, time: f32, touched: &mut impl FnMut(u8, Touch)) {
        let constraints = &mut self.scratch.constraints;
        constraints.clear();
        let body: &mut Body = &mut self.bodies[body];
        constraints.push(Constraint::new(first, &self.contacts[first], body, 0.0));
        let number = self.contacts[first].body;
        for (index, contact) in self.contacts.iter_mut().enumerate().rev() {
            if contact.body != number || index == first || constraints.len() == MAX_CONTACTS {
                continue;
            }
            let piece = &self.ground.pieces()[usize::from(contact.piece)];
            if let Some(touch) = contact.update(piece, body) {
                touched(contact.body, touch);
            }
            if contact.touches() {
                self.scratch.ground_advanced[usize::from(piece.body)] = time;
                constraints.push(Constraint::new(index, contact, body, 0.0));
            }
        }
    }

    /// Moves a body out of the ground and on through the rest of the step.
    fn solve_rest(&mut self, body: usize, pace: Pace) {
        let body = &mut self.bodies[body];
        let constraints = &mut self.scratch.constraints;
        for _ in 0..POSITION_ITERATIONS {
            let mut separation = 0.0;
            for constraint in constraints.iter() {
                let manifold = &self.contacts[constraint.contact].manifold;
                separation = min(separation, solve_position(manifold, body, CORRECTED_AT_IMPACT));
            }
            if separation >= -1.5 * LINEAR_SLOP {
                break;
            }
        }
        // Like Box2D, this takes the new place for safe without a check.
        (body.sweep.start, body.sweep.start_angle) = (body.sweep.center, body.sweep.angle);
        for constraint in constraints.iter_mut() {
            let contact = &self.contacts[constraint.contact];
            *constraint = Constraint::new(constraint.contact, contact, body, 0.0);
        }
        for _ in 0..pace.velocity_iterations {
            constraints.iter_mut().for_each(|constraint| constraint.solve_velocity(&mut body.velocity));
        }
        body.advance(pace.dt);
        body.settle();
    }
}
