//! Dynamics of worlds that are arithmetic on a few numbers, shared by their single and their vector form.

use serde::{Deserialize, Serialize};

use crate::{Action, ActionBatch, End, EnvError, ObsMut, SeededRng, Step};

/// The equations of a world whose state is `STATE` numbers and whose observation `OBS` numbers.
///
/// Both forms of the world call these functions, the vector form for many copies at once; so none of them may
/// branch on the state or call a function that is not inlined. Conditions that choose between two numbers are
/// fine.
pub(crate) trait Dynamics<const STATE: usize, const OBS: usize>: Clone + Send + 'static {
    /// The type of the number that is an action.
    type Input: Input;

    /// The action, if it is one of the action space.
    fn action(action: Action<'_>) -> Result<Self::Input, EnvError>;

    /// True where [`Dynamics::action`] would take it.
    fn accepts(input: Self::Input) -> bool;

    /// The state in which an episode starts.
    fn start(&self, rng: &mut SeededRng) -> [f64; STATE];

    /// The state, the reward and the end after one step. For an input that is not accepted, or a damaged
    /// state, the result is meaningless, but nothing panics.
    fn advance(&self, state: [f64; STATE], input: Self::Input) -> Outcome<STATE>;

    /// The observation of the state.
    fn observe(state: [f64; STATE]) -> [f32; OBS];
}

/// The outcome of one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome<const STATE: usize> {
    pub state: [f64; STATE],
    pub reward: f64,
    pub terminated: bool,
}

/// An action that is one number.
pub(crate) trait Input: Copy {
    /// The actions of a batch, if they are such numbers.
    fn column(actions: &ActionBatch) -> Option<&[Self]>;
}

impl Input for i64 {
    fn column(actions: &ActionBatch) -> Option<&[Self]> {
        match actions {
            ActionBatch::Discrete(choices) => Some(choices),
            _ => None,
        }
    }
}

impl Input for f32 {
    fn column(actions: &ActionBatch) -> Option<&[Self]> {
        match actions {
            ActionBatch::Box { points, width: 1 } => Some(points),
            _ => None,
        }
    }
}

/// The changing part of a world, as it is saved: its numbers, a flag while an episode is under way, its
/// generator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct World<S> {
    pub state: S,
    pub running: bool,
    pub rng: SeededRng,
}

impl<S> World<S> {
    /// Before the first episode.
    pub fn idle(state: S) -> Self {
        Self { state, running: false, rng: SeededRng::default() }
    }

    /// Starts an episode from this state.
    pub fn start_from(&mut self, state: S) {
        (self.state, self.running) = (state, true);
    }
}

impl<const STATE: usize> World<[f64; STATE]> {
    /// Starts an episode as the equations say.
    pub fn reset<const OBS: usize, D: Dynamics<STATE, OBS>>(
        &mut self,
        equations: &D,
        seed: Option<u64>,
        observation: ObsMut<'_>,
    ) {
        self.rng.reseed(seed);
        let start = equations.start(&mut self.rng);
        self.start_from(start);
        write(D::observe(self.state), observation);
    }

    /// One step of the equations.
    pub fn step<const OBS: usize, D: Dynamics<STATE, OBS>>(
        &mut self,
        equations: &D,
        action: Action<'_>,
        observation: ObsMut<'_>,
    ) -> Result<Step, EnvError> {
        let input = D::action(action)?;
        if !self.running {
            return Err(EnvError::NeedsReset);
        }
        let outcome = equations.advance(self.state, input);
        (self.state, self.running) = (outcome.state, !outcome.terminated);
        write(D::observe(self.state), observation);
        Ok(Step::new(outcome.reward, End::terminated_if(outcome.terminated)))
    }
}

fn write<const OBS: usize>(numbers: [f32; OBS], observation: ObsMut<'_>) {
    observation.floats.copy_from_slice(&numbers);
}
