//! A world to begin with: a shop that orders its stock every morning, before it knows the day's demand.

use std::error::Error;

use pavlov::Registries;
use pavlov::envs::render::Picture;
use pavlov::envs::{Action, End, Env, EnvError, EnvSpec, EnvState, ObsMut, SeededRng, Space, Step};

/// Units that fit into the shop; an order beyond that is paid for and thrown away.
const CAPACITY: u32 = 20;
/// The most units of one order.
const LARGEST_ORDER: u32 = 10;
/// Money for a unit that is sold, for one that is ordered, and for one that stays in the shop overnight.
const PRICE: f64 = 1.0;
const COST: f64 = 0.5;
const STORAGE: f64 = 0.1;
/// The mean demand of each day of the week; the demand is a whole number from 0 to twice the mean.
const MEAN_DEMAND: [u32; 7] = [2, 2, 2, 2, 3, 6, 6];
/// Days of an episode.
const DAYS: u32 = 28;

/// A shop. Each step is a day.
pub struct Shop {
    observations: Space,
    actions: Space,
    rng: SeededRng,
    running: bool,
    /// The day of the week, 0 to 6.
    day: usize,
    stock: u32,
}

impl Shop {
    /// A shop in which no episode is under way.
    ///
    /// # Errors
    /// None: the bounds of its observations are right.
    pub fn new() -> Result<Self, EnvError> {
        // The stock as a part of the capacity, then a 1 for the day of the week.
        let observations = Space::box_f32(0.0, 1.0, &[1 + MEAN_DEMAND.len()])?;
        let actions = Space::Discrete(i64::from(LARGEST_ORDER) + 1);
        let (rng, running, day, stock) = (SeededRng::default(), false, 0, 0);
        Ok(Self {
            observations,
            actions,
            rng,
            running,
            day,
            stock,
        })
    }

    fn observe(&self, observation: ObsMut<'_>) {
        observation.floats[0] = self.stock as f32 / CAPACITY as f32;
        observation.floats[1..].fill(0.0);
        observation.floats[1 + self.day] = 1.0;
    }
}

impl Env for Shop {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.rng.reseed(seed);
        let stock = self.rng.uniform(0.0, f64::from(CAPACITY) + 1.0) as u32;
        (self.running, self.day, self.stock) = (true, 0, stock.min(CAPACITY));
        self.observe(observation);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let order = action.discrete(i64::from(LARGEST_ORDER) + 1)? as u32;
        if !self.running {
            return Err(EnvError::NeedsReset);
        }
        let most = 2 * MEAN_DEMAND[self.day];
        let demand = self.rng.uniform(0.0, f64::from(most) + 1.0) as u32;
        let stock = (self.stock + order).min(CAPACITY);
        let sold = demand.min(most).min(stock);
        self.stock = stock - sold;
        self.day = (self.day + 1) % MEAN_DEMAND.len();
        self.observe(observation);
        let [sold, order, left] = [sold, order, self.stock].map(f64::from);
        let earned = PRICE * sold - COST * order - STORAGE * left;
        // The time limit of its `EnvSpec` ends an episode, not the shop itself.
        Ok(Step::new(earned, End::No))
    }

    fn render(&self) -> Option<Picture> {
        let (day, stock) = (self.day + 1, "#".repeat(self.stock as usize));
        Some(Picture::Text(format!(
            "day {day} of the week  {stock:.<20}"
        )))
    }

    // All that changes, the generator included: with it a run resumes exactly.
    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&(&self.rng, self.running, self.day, self.stock))
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let (rng, running, day, stock) = state.unpack()?;
        if day >= MEAN_DEMAND.len() || stock > CAPACITY {
            let message = format!("a shop with {stock} units on day {day}");
            return Err(EnvError::State(message));
        }
        (self.rng, self.running, self.day, self.stock) = (rng, running, day, stock);
        Ok(())
    }
}

/// All that Pavlov brings along, and the shop with its preset.
///
/// # Errors
/// A name that is taken, or a preset with a key that does not exist.
pub fn registries() -> Result<Registries, Box<dyn Error>> {
    let mut registries = Registries::bundled();
    let spec = EnvSpec::new("Shop-v0", |_| Ok(Box::new(Shop::new()?)));
    let spec = spec.summary("Order a shop's stock before the demand is known.");
    let spec = spec.reward("earnings of the day").max_episode_steps(DAYS);
    registries.envs.register(spec)?;
    registries.add_presets("dqn", include_str!("../presets/dqn.toml"))?;
    Ok(registries)
}
