//! Observations of an environment as a data set: what an encoder learns from before it sees for an agent.

use std::sync::Arc;

use pavlov_common::{SeededRng, derive_seed};
use pavlov_data::{
    DataError, Dataset, DatasetOptions, DatasetSpec, Input, SampleMut, Target, content_hash,
    content_hash_of_numbers,
};
use pavlov_envs::wrappers::WrapperConfig;
use pavlov_envs::{
    ActionBatch, BoxLayout, BoxSpace, Dtype, Env, EnvError, EnvFactory, EnvOptions, ObsBatch, ObsRef,
    PictureShape, Registry, Space,
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
    /// Numbers that the environment says of itself beside the observation, to be learned from it.
    info: Vec<String>,
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
            info: Vec::new(),
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
         environment_options, wrappers, count = 5000, every = 3, seed = 0, info = [names of targets])",
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
    /// The targets of each observation, one after the other.
    targets: Vec<f32>,
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
            Failure::Data(DataError::Config(error)) => {
                DataError::Config(format!("{}: {error}", options.environment))
            }
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

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::Data(error)
    }
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
    let mut envs = (0..TOGETHER).map(|_| factory.make()).collect::<Result<Vec<_>, _>>()?;
    let layout = Layout::of(envs[0].observation_space())?;
    let mut frames = layout.empty(&options.info);
    record(&mut envs, options, |observation, env| {
        frames.numbers.extend_from_slice(observation.floats);
        layout.push(observation.bytes, &mut frames.bytes);
        frames.targets.extend(told(env, &options.info)?);
        Ok(frames.len() < options.count)
    })?;
    Ok(frames)
}

/// The numbers that the environment says of itself now, by these names.
fn told(env: &dyn Env, names: &[String]) -> Result<Vec<f32>, DataError> {
    let mut said = Vec::new();
    env.visit_info(&mut |name, value| said.push((name.to_string(), value)));
    let find = |name: &String| match said.iter().find(|(said, _)| said == name) {
        Some((_, value)) if value.is_finite() => Ok(*value as f32),
        Some((_, value)) => Err(DataError::Config(format!("its info `{name}` is {value}, no finite number"))),
        None => {
            let all: Vec<_> = said.iter().map(|(name, _)| name.as_str()).collect();
            let there = if all.is_empty() {
                "it says nothing".into()
            } else {
                format!("there are {}", all.join(", "))
            };
            Err(DataError::Config(format!("it has no info `{name}` at every step: {there}")))
        }
    };
    names.iter().map(find).collect()
}

/// Plays at random and hands over the observations, one environment after the other, until enough are kept.
fn record(
    envs: &mut [Box<dyn Env>],
    options: &FrameOptions,
    mut keep: impl FnMut(ObsRef<'_>, &dyn Env) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let space = envs[0].action_space().clone();
    let mut observations = ObsBatch::new(envs[0].observation_space(), envs.len());
    let mut actions = ActionBatch::new(&space, envs.len())?;
    let mut rng = SeededRng::seeded(derive_seed(options.seed, "frames", 0));
    for (row, env) in envs.iter_mut().enumerate() {
        let seed = derive_seed(options.seed, "frames", 1 + row as u64);
        env.reset(Some(seed), observations.row_mut(row))?;
    }
    loop {
        for (row, env) in envs.iter().enumerate() {
            if !keep(observations.row(row), env.as_ref())? {
                return Ok(());
            }
        }
        for _ in 0..options.every {
            for (row, env) in envs.iter_mut().enumerate() {
                actions.sample_row(row, &space, &mut rng);
                if env.step(actions.row(row), observations.row_mut(row))?.end.is_over() {
                    env.reset(None, observations.row_mut(row))?;
                }
            }
        }
    }
}

/// Where the numbers of an observation stand.
struct Layout {
    input: Input,
    largest: f32,
    channels_first: bool,
}

impl Layout {
    fn of(space: &Space) -> Result<Self, DataError> {
        let Space::Box(inner @ BoxSpace { shape, dtype, high, .. }) = space else {
            let message =
                "frames are of boxes of numbers or pictures; this environment's observations are none";
            return Err(DataError::Config(message.into()));
        };
        let largest = high.iter().copied().fold(1.0, f32::max);
        // As agents see them.
        match (dtype, inner.picture()) {
            (Dtype::U8, Some(PictureShape { height, width, channels, channels_first })) => {
                Ok(Self { input: Input::Image { channels, height, width }, largest, channels_first })
            }
            (Dtype::U8, None) if inner.layout == BoxLayout::Unclear => Err(DataError::Config(format!(
                "{space} may be a picture, and its shape does not say where its channels are: declare it with the \
                 wrapper {{ kind = \"layout\", layout = \"channels_first\" }}, \"channels_last\" or \"numbers\""
            ))),
            (dtype, _) => {
                let count: usize = shape.iter().product();
                let names = (0..count).map(|index| format!("number {index}")).collect();
                let largest = if *dtype == Dtype::U8 { largest } else { 1.0 };
                Ok(Self { input: Input::Numbers { names }, largest, channels_first: true })
            }
        }
    }

    fn empty(&self, info: &[String]) -> Frames {
        Frames {
            input: self.input.clone(),
            target: if info.is_empty() { Target::None } else { Target::Numbers { names: info.to_vec() } },
            numbers: Vec::new(),
            bytes: Vec::new(),
            largest: self.largest,
            targets: Vec::new(),
        }
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
        let targets = self.target.numbers();
        sample.targets.copy_from_slice(&self.targets[index * targets..(index + 1) * targets]);
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
    fn what_an_environment_says_of_itself_can_be_the_target() {
        let text = "environment = 'PixelPong-v0'\ncount = 40\ninfo = ['ball_y', 'ball_x']";
        let given = DatasetOptions { options: text.parse().unwrap(), path: None };
        let set = frames(&Registry::bundled()).open(&given).unwrap();
        assert!(matches!(set.target(), Target::Numbers { names } if *names == ["ball_y", "ball_x"]));
        let (mut numbers, mut targets) = (vec![0.0; set.input().numbers()], [0.0; 2]);
        for index in 0..set.len() {
            let sample = SampleMut { numbers: &mut numbers, tokens: &mut [], targets: &mut targets };
            set.read(index, sample).unwrap();
            // The ball is white, the brightest there is.
            let place = numbers.iter().position(|number| *number == 1.0).unwrap();
            let (y, x) = ((place / 84) as f32 / 84.0, (place % 84) as f32 / 84.0);
            assert!((targets[0] - y).abs() < 0.03 && (targets[1] - x).abs() < 0.03, "{targets:?}, {y}, {x}");
        }
    }

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
        for (text, word) in [
            ("", "which environment"),
            ("environment = 'CartPol-v1'", "CartPole-v1"),
            ("environment = 'CartPole-v1'\ninfo = ['pole']", "no info `pole` at every step: it says nothing"),
            ("environment = 'PixelPong-v0'\ninfo = ['ball']", "there are ball_x, ball_y"),
        ] {
            let error = spec.open(&options(text)).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
