//! Contacts: a body near a piece of the ground.

use serde::{Deserialize, Serialize};

use super::body::Body;
use super::collide::collide;
use super::ground::Piece;
use super::manifold::Manifold;
use super::math::max;

/// A change of the contact between a body and the ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// The body touches a piece of the ground that it did not touch.
    Begins,
    /// The body no longer touches a piece, though it may still touch others.
    Ends,
}

/// A body whose roam overlaps the box of a piece of the ground.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Contact {
    pub piece: u16,
    pub body: u8,
    pub manifold: Manifold,
    pub friction: f32,
    pub restitution: f32,
    /// False if continuous collision has set the contact aside until its next update.
    pub enabled: bool,
    /// The number of times that continuous collision has stopped the body here, within the step.
    pub stops: u8,
    /// The time of impact as a fraction of the step, where it is known.
    pub impact: Option<f32>,
}

impl Contact {
    pub fn new(piece: (u16, &Piece), body: (u8, &Body)) -> Self {
        Self {
            piece: piece.0,
            body: body.0,
            manifold: Manifold::default(),
            friction: (piece.1.friction * body.1.friction).sqrt(),
            restitution: max(0.0, body.1.restitution),
            enabled: true,
            stops: 0,
            impact: None,
        }
    }

    pub fn touches(&self) -> bool {
        !self.manifold.points().is_empty()
    }

    /// Updates the points at which the body touches the piece. Returns the change.
    pub fn update(&mut self, piece: &Piece, body: &mut Body) -> Option<Touch> {
        self.enabled = true;
        let mut manifold = collide(&piece.shape, &body.shape, body.transform);
        manifold.inherit(&self.manifold);
        let before = self.touches();
        self.manifold = manifold;
        let now = self.touches();
        if before == now {
            return None;
        }
        body.wake();
        Some(if now { Touch::Begins } else { Touch::Ends })
    }
}
