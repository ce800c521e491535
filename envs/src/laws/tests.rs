//! Every registered environment keeps the laws, and a world that breaks one is found.

use super::*;
use crate::{Action, ObsMut, Registry, Space};

#[test]
fn every_registered_environment_keeps_every_law() {
    let registry = Registry::bundled();
    for spec in registry.specs() {
        let breaches = check(&|| registry.make(&spec.id));
        assert!(breaches.is_empty(), "{}: {breaches:#?}", spec.id);
    }
}

/// A world that breaks one law, chosen by its fault.
struct Broken {
    fault: &'static str,
    observations: Space,
    actions: Space,
    rng: SeededRng,
    steps: u32,
    running: bool,
}

impl Broken {
    fn new(fault: &'static str) -> Self {
        Self {
            fault,
            observations: Space::box_f32(0.0, 1.0, &[1]).unwrap(),
            actions: Space::Discrete(2),
            rng: SeededRng::default(),
            steps: 0,
            running: false,
        }
    }
}

impl Env for Broken {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        match self.fault {
            "ignores the seed" => {}
            "reseeds itself" => self.rng = SeededRng::seeded(seed.unwrap_or(3)),
            _ => self.rng.reseed(seed),
        }
        self.steps = if self.fault == "wears out" { self.steps } else { 0 };
        self.running = true;
        observation.floats[0] = self.rng.uniform(0.0, 1.0) as f32;
        if self.fault == "fails to reset" && seed.is_none() {
            return Err(EnvError::World("no more worlds".into()));
        }
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        if self.fault != "takes any action" {
            action.discrete(2)?;
        }
        if !self.running && self.fault != "never needs a reset" {
            return Err(EnvError::NeedsReset);
        }
        self.steps += 1;
        self.running = self.steps < 20;
        observation.floats[0] = self.rng.uniform(0.0, 1.0) as f32;
        match self.fault {
            "leaves its space" => observation.floats[0] += 1.0,
            // An index into a table would panic in the same way.
            "trusts its state" if self.steps > 20 => panic!("on purpose"),
            "panics" if self.steps == 3 => panic!("on purpose"),
            _ => {}
        }
        Ok(Step::new(0.0, End::terminated_if(!self.running)))
    }

    fn save_state(&self) -> Option<crate::EnvState> {
        let rng = if self.fault == "forgets its generator" { SeededRng::seeded(0) } else { self.rng.clone() };
        crate::EnvState::pack(&(rng, self.steps, self.running))
    }

    fn load_state(&mut self, state: &crate::EnvState) -> Result<(), EnvError> {
        (self.rng, self.steps, self.running) = state.unpack()?;
        Ok(())
    }
}

#[test]
fn every_law_can_be_broken() {
    let breaks = |fault: &'static str| -> Vec<&str> {
        check(&|| Ok(Box::new(Broken::new(fault)) as Box<dyn Env>)).iter().map(|breach| breach.law).collect()
    };
    assert!(breaks("").is_empty());
    let cases = [
        ("leaves its space", 0),
        ("ignores the seed", 1),
        ("reseeds itself", 2),
        ("takes any action", 3),
        ("never needs a reset", 4),
        ("fails to reset", 5),
        ("forgets its generator", 6),
        ("ignores the seed", 7),
        ("trusts its state", 8),
        ("panics", 0),
        ("wears out", 10),
    ];
    for (fault, law) in cases {
        assert!(breaks(fault).contains(&LAWS[law].0), "{fault}: {:?}", breaks(fault));
    }
}
