//! Observations of an environment as a data set: what an encoder learns from before it sees for an agent.

use std::sync::Arc;

use pavlov_common::{SeededRng, derive_seed};
use pavlov_data::{
    DataError, Dataset, DatasetOptions, DatasetSpec, Input, SampleMut, Target, content_hash,
    content_hash_of_numbers,
};
use pavlov_envs::wrappers::WrapperConfig;
use pavlov_envs::{
    ActionBatch, BoxSpace, Dtype, EnvError, EnvFactory, EnvOptions, ObsBatch, Registry, Space, VectorEnv,
    VectorOptions,
};
use serde::Deserialize;

/// Environments that are played side by side.
const TOGETHER: usize = 8;

/// The options of the data set `frames`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FrameOptions {
    /// The environment's id.
    environment: String,
    /// Its own options.
    environment_options: toml::Table,
    /// The wrappers around it, as the agent's.
    wrappers: Vec<WrapperConfig>,
    /// The number of observations.
    count: usize,
    /// Steps from one observation to the next that is kept.
    every: usize,
    /// The seed of the episodes and of the actions.
    seed: u64,
}

impl Default for FrameOptions {
    fn default() -> Self {
        Self {
            environment: String::new(),
            environment_options: toml::Table::new(),
            wrappers: Vec::new(),
            count: 5_000,
            every: 3,
            seed: 0,
        }
    }
}

/// The name of the data set.
pub const FRAMES: &str = "frames";

/// The data set of an environment's observations under random actions, for these environments.
pub fn frames(environments: &Registry) -> DatasetSpec {
    let environments = environments.clone();
    DatasetSpec::new(FRAMES, move |given| Ok(Arc::new(Frames::recorded(&environments, given)?))).summary(
        "observations of an environment under random actions, to train an agent's encoder on (options: environment, \
         environment_options, wrappers, count = 5000, every = 3, seed = 0)",
    )
    .generated()
}

/// Observations as an encoder sees them.
#[derive(Debug)]
struct Frames {
    input: Input,
    target: Target,
    /// The numbers of each observation, one after the other.
    numbers: Vec<f32>,
    /// The bytes of pictures, channels first, and the largest that their space allows.
    bytes: Vec<u8>,
    largest: f32,
}

impl Frames {
    fn recorded(environments: &Registry, given: &DatasetOptions) -> Result<Self, DataError> {
        let options: FrameOptions = given.typed()?;
        if options.environment.is_empty() {
            let example = "--set data.options.environment=PixelPong-v0";
            return Err(DataError::Config(format!("frames of which environment? Give {example}")));
        }
        if options.count == 0 || options.every == 0 {
            return Err(DataError::Config("`count` and `every` are at least 1".into()));
        }
        played(environments, &options).map_err(|error| match error {
            Failure::Env(error) => DataError::Config(format!("{}: {error}", options.environment)),
            Failure::Data(error) => error,
        })
    }

    fn width(&self) -> usize {
        self.input.numbers()
    }
}

enum Failure {
    Env(EnvError),
    Data(DataError),
}

impl From<EnvError> for Failure {
    fn from(error: EnvError) -> Self {
        Self::Env(error)
    }
}

fn played(environments: &Registry, options: &FrameOptions) -> Result<Frames, Failure> {
    let spec = environments.spec(&options.environment)?;
    let own = EnvOptions::new(options.environment_options.clone());
    let factory = EnvFactory::new(spec, own, &options.wrappers)?;
    let mut envs = factory.make_vector(&VectorOptions::new(TOGETHER))?;
    let layout = Layout::of(envs.observation_space()).map_err(Failure::Data)?;
    let mut frames = layout.empty();
    record(envs.as_mut(), options, |observations| {
        for row in 0..TOGETHER {
            if frames.len() < options.count {
                let observation = observations.row(row);
                frames.numbers.extend_from_slice(observation.floats);
                layout.push(observation.bytes, &mut frames.bytes);
            }
        }
        frames.len() < options.count
    })?;
    Ok(frames)
}

/// Plays at random and hands over the observations until enough are kept.
fn record(
    envs: &mut dyn VectorEnv,
    options: &FrameOptions,
    mut keep: impl FnMut(&ObsBatch) -> bool,
) -> Result<(), EnvError> {
    let space = envs.action_space().clone();
    let mut observations = ObsBatch::new(envs.observation_space(), TOGETHER);
    let mut actions = ActionBatch::new(&space, TOGETHER)?;
    let mut step = pavlov_envs::StepBatch::new(envs.observation_space(), TOGETHER);
    let mut rng = SeededRng::seeded(derive_seed(options.seed, "frames", 0));
    envs.reset(Some(derive_seed(options.seed, "frames", 1)), &mut observations)?;
    while keep(&observations) {
        for _ in 0..options.every {
            (0..TOGETHER).for_each(|row| actions.sample_row(row, &space, &mut rng));
            envs.step(&actions, &mut step)?;
            std::mem::swap(&mut observations, &mut step.observations);
        }
    }
    Ok(())
}

/// Where the numbers of an observation stand.
struct Layout {
    input: Input,
    largest: f32,
    channels_first: bool,
}

impl Layout {
    fn of(space: &Space) -> Result<Self, DataError> {
        let Space::Box(BoxSpace { shape, dtype, high, .. }) = space else {
            let message =
                "frames are of boxes of numbers or pictures; this environment's observations are none";
            return Err(DataError::Config(message.into()));
        };
        let largest = high.iter().copied().fold(1.0, f32::max);
        match (dtype, shape.as_slice()) {
            (Dtype::U8, &[first, second, third]) => {
                // The rule by which agents see them.
                let channels_first = first < third;
                let [channels, height, width] =
                    if channels_first { [first, second, third] } else { [third, first, second] };
                Ok(Self { input: Input::Image { channels, height, width }, largest, channels_first })
            }
            (dtype, shape) => {
                let count: usize = shape.iter().product();
                let names = (0..count).map(|index| format!("number {index}")).collect();
                let largest = if *dtype == Dtype::U8 { largest } else { 1.0 };
                Ok(Self { input: Input::Numbers { names }, largest, channels_first: true })
            }
        }
    }

    fn empty(&self) -> Frames {
        let (numbers, bytes) = (Vec::new(), Vec::new());
        Frames { input: self.input.clone(), target: Target::None, numbers, bytes, largest: self.largest }
    }

    /// Adds the bytes of an observation, channels first.
    fn push(&self, bytes: &[u8], all: &mut Vec<u8>) {
        match self.input {
            Input::Image { channels, .. } if !self.channels_first => {
                for channel in 0..channels {
                    all.extend(bytes[channel..].iter().step_by(channels));
                }
            }
            _ => all.extend_from_slice(bytes),
        }
    }
}

impl Dataset for Frames {
    fn input(&self) -> &Input {
        &self.input
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn len(&self) -> usize {
        (self.numbers.len() + self.bytes.len()) / self.width().max(1)
    }

    fn class(&self, _: usize) -> Option<usize> {
        None
    }

    fn identity(&self, index: usize) -> u64 {
        let place = index * self.width()..(index + 1) * self.width();
        match self.bytes.get(place.clone()) {
            Some(bytes) => content_hash(bytes),
            None => content_hash_of_numbers(&self.numbers[place]),
        }
    }

    fn read(&self, index: usize, sample: SampleMut<'_>) -> Result<(), DataError> {
        let place = index * self.width()..(index + 1) * self.width();
        match self.bytes.get(place.clone()) {
            Some(bytes) => {
                let numbers = sample.numbers.iter_mut().zip(bytes);
                numbers.for_each(|(number, &byte)| *number = f32::from(byte) / self.largest);
            }
            None => sample.numbers.copy_from_slice(&self.numbers[place]),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_what_an_agent_sees_and_the_same_for_a_seed() {
        let registry = Registry::bundled();
        let options = |text: &str| DatasetOptions { options: text.parse().unwrap(), path: None };
        let spec = frames(&registry);
        let text =
            "environment = 'PixelPong-v0'\ncount = 20\nwrappers = [{ kind = 'frame_stack', frames = 2 }]";
        let (one, other) = (spec.open(&options(text)).unwrap(), spec.open(&options(text)).unwrap());
        assert_eq!(one.len(), 20);
        assert!(matches!(one.input(), Input::Image { channels: 2, .. }), "{:?}", one.input());
        let identities =
            |set: &Arc<dyn Dataset>| (0..20).map(|index| set.identity(index)).collect::<Vec<_>>();
        assert_eq!(identities(&one), identities(&other));
        let mut numbers = vec![-1.0; one.input().numbers()];
        one.read(7, SampleMut { numbers: &mut numbers, tokens: &mut [], targets: &mut [] }).unwrap();
        assert!(numbers.iter().all(|number| (0.0..=1.0).contains(number)) && numbers.contains(&1.0));
        let poles = spec.open(&options("environment = 'CartPole-v1'\ncount = 9")).unwrap();
        assert_eq!((poles.len(), poles.input().numbers()), (9, 4));
        let mut registries = crate::Registries::bundled();
        let own = pavlov_envs::EnvSpec::new("Own-v0", |_| Registry::bundled().make("CartPole-v1"));
        registries.envs.register(own).unwrap();
        let own = registries.dataset(FRAMES).unwrap().open(&options("environment = 'Own-v0'\ncount = 9"));
        assert_eq!(own.unwrap().len(), 9);
        for (text, word) in [("", "which environment"), ("environment = 'CartPol-v1'", "CartPole-v1")] {
            let error = spec.open(&options(text)).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
