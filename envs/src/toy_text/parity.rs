//! The worlds against Gymnasium's: the same draws give the same observations, rewards, ends and pictures,
//! exactly.

use serde::Deserialize;

use super::frozen_lake::FrozenLakeOptions;
use super::{Blackjack, CliffWalking, FrozenLake, Outcomes, Taxi, TaxiOptions, blackjack};
use crate::render::Picture;
use crate::{End, Env, EnvOptions, EnvSpec, ObsBatch, ObsMut, Registry, Space, Step, fixtures};

/// Probability, distance to the next state, reward, terminated.
type RecordedOutcome = (f64, i64, f64, bool);

#[derive(Deserialize)]
struct Case {
    options: toml::Table,
    observation_space: String,
    max_episode_steps: Option<usize>,
    reward_threshold: Option<f64>,
    /// For each state and action its outcomes.
    table: Option<Vec<Vec<Vec<RecordedOutcome>>>>,
    masks: Option<Vec<[u8; 6]>>,
    episodes: Vec<Episode>,
}

#[derive(Deserialize)]
struct Episode {
    start: Seen,
    steps: Vec<RecordedStep>,
}

#[derive(Deserialize)]
struct Seen {
    draws: Vec<f64>,
    observation: Vec<f32>,
    text: Option<String>,
}

#[derive(Deserialize)]
struct RecordedStep {
    #[serde(flatten)]
    seen: Seen,
    action: usize,
    reward: f64,
    terminated: bool,
    truncated: bool,
}

/// A world that takes the numbers that the original drew.
trait Replay: Env {
    fn read(options: &EnvOptions) -> Self;
    fn begin_with(&mut self, draws: &[f64], observation: ObsMut<'_>);
    fn advance_with(&mut self, action: usize, draws: &[f64], observation: ObsMut<'_>) -> Step;
    fn table(&self, _state: usize, _action: usize) -> Option<Outcomes> {
        None
    }
}

impl Replay for FrozenLake {
    fn read(options: &EnvOptions) -> Self {
        // The registered ids differ in their map, which the recorded options do not name.
        FrozenLake::new(&FrozenLakeOptions::read(options, "4x4").unwrap()).unwrap()
    }

    fn begin_with(&mut self, draws: &[f64], observation: ObsMut<'_>) {
        self.begin(draws[0], observation);
    }

    fn advance_with(&mut self, action: usize, draws: &[f64], observation: ObsMut<'_>) -> Step {
        self.advance(action, draws[0], observation)
    }

    fn table(&self, state: usize, action: usize) -> Option<Outcomes> {
        self.outcomes(state, action)
    }
}

impl Replay for CliffWalking {
    fn read(options: &EnvOptions) -> Self {
        CliffWalking::new(options.flag("is_slippery", false).unwrap())
    }

    fn begin_with(&mut self, _draws: &[f64], observation: ObsMut<'_>) {
        self.begin(observation);
    }

    fn advance_with(&mut self, action: usize, draws: &[f64], observation: ObsMut<'_>) -> Step {
        self.advance(action, draws[0], observation)
    }

    fn table(&self, state: usize, action: usize) -> Option<Outcomes> {
        self.outcomes(state, action)
    }
}

impl Replay for Taxi {
    fn read(options: &EnvOptions) -> Self {
        Taxi::new(TaxiOptions::read(options).unwrap()).unwrap()
    }

    fn begin_with(&mut self, draws: &[f64], observation: ObsMut<'_>) {
        // Only a taxi whose passenger may be fickle draws a second number.
        self.begin([draws[0], draws.get(1).copied().unwrap_or(1.0)], observation);
    }

    fn advance_with(&mut self, action: usize, draws: &[f64], observation: ObsMut<'_>) -> Step {
        self.advance(action, draws[0], draws.get(1).map_or(0, |&other| other as usize), observation)
    }

    fn table(&self, state: usize, action: usize) -> Option<Outcomes> {
        self.outcomes(state, action)
    }
}

impl Replay for Blackjack {
    fn read(options: &EnvOptions) -> Self {
        let (natural, sab) = (options.flag("natural", false).unwrap(), options.flag("sab", true).unwrap());
        Blackjack::new(natural, sab).unwrap()
    }

    fn begin_with(&mut self, draws: &[f64], observation: ObsMut<'_>) {
        self.begin(std::array::from_fn(|index| blackjack::card(draws[index] as usize)), observation);
    }

    fn advance_with(&mut self, action: usize, draws: &[f64], observation: ObsMut<'_>) -> Step {
        let mut cards = draws.iter().map(|&rank| blackjack::card(rank as usize));
        let step = self.advance(action, |_| cards.next().unwrap(), observation);
        assert_eq!(cards.next(), None, "the original drew more cards");
        step
    }
}

/// Replays all recorded episodes of `id`, on worlds that also have the options in `extra`.
fn replay<W: Replay>(id: &str, extra: &str) {
    let registry = Registry::bundled();
    let cases: Vec<Case> = serde_json::from_value(fixtures::read(id)["cases"].take()).unwrap();
    for (index, case) in cases.into_iter().enumerate() {
        let at = format!("{id}, case {index}");
        let mut table: toml::Table = extra.parse().unwrap();
        table.extend(case.options.clone());
        let mut world = W::read(&EnvOptions::new(table));
        check_registration(&at, &registry.spec(id).unwrap(), &case, world.observation_space());
        check_table(&at, &world, &case);
        assert!(!case.episodes.is_empty());
        for (index, episode) in case.episodes.iter().enumerate() {
            check_episode(&format!("{at}, episode {index}"), &mut world, episode, case.max_episode_steps);
        }
    }
}

fn check_registration(at: &str, spec: &EnvSpec, case: &Case, space: &Space) {
    let registered = registered_space(space);
    assert_eq!(registered, case.observation_space, "{at}");
    assert_eq!(spec.reward_threshold, case.reward_threshold, "{at}");
    if !case.options.contains_key("max_episode_steps") {
        assert_eq!(spec.max_episode_steps.map(|steps| steps as usize), case.max_episode_steps, "{at}");
    }
    let made = spec.make(&EnvOptions::new(case.options.clone())).unwrap();
    assert_eq!(made.observation_space(), space, "{at}: the registered id makes another world");
}

/// The space in Gymnasium's notation, with multi-discrete numbers as the tuple that they stand for.
fn registered_space(space: &Space) -> String {
    match space {
        Space::MultiDiscrete(counts) => {
            let parts: Vec<_> = counts.iter().map(|count| format!("Discrete({count})")).collect();
            format!("Tuple({})", parts.join(", "))
        }
        other => other.to_string(),
    }
}

fn check_table(at: &str, world: &impl Replay, case: &Case) {
    let Some(table) = &case.table else {
        assert!(world.table(0, 0).is_none(), "{at}: the table is not recorded");
        return;
    };
    for (state, actions) in table.iter().enumerate() {
        for (action, recorded) in actions.iter().enumerate() {
            let outcomes = world.table(state, action).unwrap();
            let ours: Vec<_> = outcomes
                .as_slice()
                .iter()
                .map(|o| (o.probability, o.state as i64 - state as i64, o.reward, o.terminated))
                .collect();
            assert_eq!(&ours, recorded, "{at}: state {state}, action {action}");
        }
        assert_eq!(world.table(state, actions.len()), None);
    }
    assert_eq!(world.table(table.len(), 0), None);
    for (state, mask) in case.masks.iter().flatten().enumerate() {
        assert_eq!(Taxi::action_mask(state), Some(mask.map(|flag| flag == 1)), "{at}: state {state}");
    }
}

fn check_episode(at: &str, world: &mut impl Replay, episode: &Episode, limit: Option<usize>) {
    let mut observation = ObsBatch::new(world.observation_space(), 1);
    world.begin_with(&episode.start.draws, observation.row_mut(0));
    check_seen(at, world, &observation, &episode.start);
    for (index, recorded) in episode.steps.iter().enumerate() {
        let at = format!("{at}, step {index}");
        let step = world.advance_with(recorded.action, &recorded.seen.draws, observation.row_mut(0));
        assert_eq!(step, Step::new(recorded.reward, End::terminated_if(recorded.terminated)), "{at}");
        assert_eq!(recorded.truncated, limit == Some(index + 1), "{at}: the time limit");
        check_seen(&at, world, &observation, &recorded.seen);
    }
}

fn check_seen(at: &str, world: &impl Replay, observation: &ObsBatch, seen: &Seen) {
    assert_eq!(observation.floats(), seen.observation, "{at}");
    if let Some(text) = &seen.text {
        assert_eq!(world.render(), Some(Picture::Text(text.clone())), "{at}");
    }
}

#[test]
fn frozen_lake_equals_the_original() {
    replay::<FrozenLake>("FrozenLake-v1", "");
    replay::<FrozenLake>("FrozenLake8x8-v1", "map_name = \"8x8\"");
}

#[test]
fn cliff_walking_equals_the_original() {
    replay::<CliffWalking>("CliffWalking-v1", "");
    replay::<CliffWalking>("CliffWalkingSlippery-v1", "is_slippery = true");
}

#[test]
fn taxi_equals_the_original() {
    replay::<Taxi>("Taxi-v4", "");
}

#[test]
fn blackjack_equals_the_original() {
    replay::<Blackjack>("Blackjack-v1", "");
}
