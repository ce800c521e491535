//! Pictures of every layout reach convolutions of their own, and what is not clear is asked.

use pavlov::envs::{Action, BoxLayout, BoxSpace, Dtype, End, Env, EnvError, EnvSpec, ObsMut, Space, Step};
use pavlov::{Overrides, Registries, RunConfig, Training};

/// A world that shows nothing but zeros.
pub struct Blank {
    pub observations: Space,
    pub actions: Space,
}

impl Env for Blank {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, _seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        observation.floats.fill(0.0);
        observation.bytes.fill(0);
        Ok(())
    }

    fn step(&mut self, _action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        self.reset(None, observation)?;
        Ok(Step::new(0.0, End::Terminated))
    }
}

/// The bundled registries with `Blank-v0`, which has these spaces.
pub fn with_blank(observations: Space, actions: Space) -> Registries {
    let mut registries = Registries::bundled();
    let spec = EnvSpec::new("Blank-v0", move |_| {
        Ok(Box::new(Blank { observations: observations.clone(), actions: actions.clone() }))
    });
    registries.envs.register(spec).expect("a free id");
    registries
}

fn boxed(shape: &[usize], dtype: Dtype, high: f32) -> Space {
    let count = shape.iter().product();
    Space::Box(BoxSpace::new(vec![0.0; count], vec![high; count], shape, dtype).expect("bounds"))
}

fn bytes(shape: &[usize]) -> Space {
    boxed(shape, Dtype::U8, 255.0)
}

fn floats(shape: &[usize]) -> Space {
    boxed(shape, Dtype::F32, 1.0)
}

fn dict(entries: &[(&str, Space)]) -> Space {
    Space::Dict(entries.iter().map(|(key, space)| (key.to_string(), space.clone())).collect())
}

/// The network that an observation gets.
#[derive(Debug)]
struct Network {
    /// The shape of each image's first convolution.
    convolutions: Vec<Vec<i64>>,
    /// The inputs of the first hidden layer.
    inputs: i64,
    warnings: Vec<String>,
}

/// DQN's network for these observations.
fn network(observations: Space, sets: &[&str]) -> Result<Network, String> {
    let registries = with_blank(observations, Space::Discrete(3));
    let mut all = vec!["replay_capacity=64".to_string()];
    all.extend(sets.iter().map(ToString::to_string));
    let overrides = Overrides { file: None, sets: all };
    let config = RunConfig::resolve(&registries, "dqn", "Blank-v0", &overrides).map_err(|e| e.to_string())?;
    let warnings = Training::check(&config, &registries).map_err(|e| format!("{e:#}"))?.warnings;
    let agent = Training::agent(&config, &registries).map_err(|e| format!("{e:#}"))?;
    let weights = agent.weights().expect("weights");
    let shape = |name: &str| weights.view().tensor(name).map(|tensor| tensor.size()).ok();
    let one = shape("features.0.weight").into_iter();
    let many = (0..9).filter_map(|index| shape(&format!("features.image{index}.0.weight")));
    Ok(Network {
        convolutions: one.chain(many).collect(),
        inputs: shape("0.weight").expect("a hidden layer")[1],
        warnings,
    })
}

const NATURE: i64 = 64 * 7 * 7;

#[test]
fn pictures_of_every_layout_have_convolutions() {
    // The space, the first convolution, the features.
    let cases: &[(Space, [i64; 4], i64)] = &[
        (bytes(&[84, 84, 3]), [32, 3, 8, 8], NATURE),
        (bytes(&[3, 84, 84]), [32, 3, 8, 8], NATURE),
        (bytes(&[84, 84]), [32, 1, 8, 8], NATURE),
        (bytes(&[84, 84, 1]), [32, 1, 8, 8], NATURE),
        (bytes(&[210, 160, 3]), [32, 3, 8, 8], 64 * 22 * 16),
        (bytes(&[11, 11]), [16, 1, 3, 3], 16 * 81),
        (boxed(&[10, 10, 6], Dtype::U8, 1.0), [16, 6, 3, 3], 16 * 64),
        (boxed(&[64, 64, 4], Dtype::U8, 100.0), [32, 4, 8, 8], 64 * 16),
        (bytes(&[10, 10, 16]), [16, 16, 3, 3], 16 * 64),
        (floats(&[3, 84, 84]), [32, 3, 8, 8], NATURE),
        (floats(&[84, 84, 3]), [32, 3, 8, 8], NATURE),
        (boxed(&[4, 84, 84], Dtype::F32, 255.0), [32, 4, 8, 8], NATURE),
        (Space::unbounded(&[2, 12, 12]), [16, 2, 3, 3], 16 * 100),
    ];
    for (space, convolution, inputs) in cases {
        let network = network(space.clone(), &[]).expect("a network");
        assert_eq!(network.convolutions, [convolution.to_vec()], "{space}");
        assert_eq!((network.inputs, network.warnings), (*inputs, vec![]), "{space}");
    }
}

#[test]
fn each_picture_of_a_dict_has_convolutions_for_its_own_size() {
    let space = dict(&[
        ("camera", bytes(&[84, 84, 3])),
        ("map", bytes(&[11, 11])),
        ("speed", floats(&[2])),
        ("depth", floats(&[1, 48, 64])),
    ]);
    let network = network(space, &[]).expect("a network");
    assert_eq!(network.convolutions, [[32, 3, 8, 8], [16, 1, 3, 3], [32, 1, 8, 8]].map(Vec::from));
    assert_eq!(network.inputs, NATURE + 16 * 81 + 2 + 64 * 2 * 4);
}

#[test]
fn a_stack_stands_along_the_channels() {
    let stack = "wrappers=[{ kind = \"frame_stack\", frames = 4 }]";
    let cases: &[(Space, i64)] = &[
        (bytes(&[84, 84, 3]), 12),
        (bytes(&[3, 84, 84]), 12),
        (bytes(&[84, 84]), 4),
        (boxed(&[10, 10, 7], Dtype::U8, 1.0), 28),
        (boxed(&[10, 10, 10], Dtype::U8, 1.0), 40),
        (floats(&[84, 84, 3]), 12),
        (floats(&[84, 84]), 4),
    ];
    for (space, channels) in cases {
        let declared = match space {
            Space::Box(cube) if cube.layout == BoxLayout::Unclear && cube.dtype == Dtype::U8 => {
                Space::Box(cube.clone().with_layout(BoxLayout::ChannelsLast).expect("three dimensions"))
            }
            other => other.clone(),
        };
        let network = network(declared, &[stack]).expect("a network");
        assert_eq!(network.convolutions.len(), 1, "{space}");
        assert_eq!(network.convolutions[0][1], *channels, "{space}");
    }
    // Rows of numbers stay numbers, of bytes as well.
    for space in [floats(&[40]), bytes(&[128])] {
        let stack = "wrappers=[{ kind = \"frame_stack\", frames = 16 }]";
        let network = network(space.clone(), &[stack]).expect("a network");
        assert!(network.convolutions.is_empty() && network.warnings.is_empty(), "{space} {network:?}");
    }
}

#[test]
fn what_the_shape_does_not_say_is_asked() {
    let refusals: &[(Space, &[&str], &[&str])] = &[
        (bytes(&[10, 10, 10]), &[], &["net.layout", "channels_last", "numbers", "[10, 10, 10]"]),
        (dict(&[("x", floats(&[2])), ("cube", bytes(&[20, 30, 40]))]), &[], &["`cube`", "net.layout", "key"]),
        (bytes(&[4, 84, 84, 3]), &[], &["net.layout", "numbers"]),
        (
            bytes(&[10, 10, 10]),
            &["wrappers=[{ kind = \"frame_stack\", frames = 2 }]"],
            &["kind = \"layout\"", "channels_last"],
        ),
        (
            bytes(&[12, 12, 12]),
            &["wrappers=[{ kind = \"resize\", height = 8, width = 8 }]"],
            &["kind = \"layout\""],
        ),
        (bytes(&[84, 84, 3]), &["net.layout=grey"], &["net.layout", "2 dimensions, not 3"]),
        (floats(&[4]), &["net.layout=channels_first"], &["net.layout", "3 dimensions, not 1"]),
        (Space::Discrete(4), &["net.layout=grey"], &["net.layout", "no box"]),
        (
            bytes(&[84, 84, 3]),
            &["net.layout=chanels_last"],
            &["chanels_last", "did you mean `channels_last`?"],
        ),
        (
            dict(&[("camera", bytes(&[84, 84, 3]))]),
            &["net.layout={ camra = \"channels_last\" }"],
            &["no box `camra`", "did you mean `camera`?"],
        ),
        (
            dict(&[("a", bytes(&[84, 84])), ("b", bytes(&[84, 84]))]),
            &["net.layout=grey"],
            &["`a`, `b`", "with the entry's own key"],
        ),
        (
            bytes(&[3, 84, 84]),
            &["wrappers=[{ kind = \"channels_first\" }]"],
            &["channels_first", "first already", "leave the wrapper out"],
        ),
    ];
    for (space, sets, words) in refusals {
        let message = network(space.clone(), sets).expect_err("refused");
        for word in *words {
            assert!(message.contains(word), "{space} {sets:?} does not say `{word}`: {message}");
        }
    }
}

/// A space, settings, and the first convolution.
type Declared = (Space, &'static [&'static str], Option<[i64; 4]>);

#[test]
fn the_user_says_what_a_box_is() {
    let cube = || bytes(&[10, 10, 10]);
    let cases: &[Declared] = &[
        (cube(), &["net.layout=channels_last"], Some([16, 10, 3, 3])),
        (cube(), &["net.layout=numbers"], None),
        (cube(), &["net.cnn=off"], None),
        (cube(), &["wrappers=[{ kind = \"layout\", layout = \"channels_first\" }]"], Some([16, 10, 3, 3])),
        (cube(), &["wrappers=[{ kind = \"channels_first\" }]"], Some([16, 10, 3, 3])),
        (floats(&[84, 84]), &["net.layout=gray"], Some([32, 1, 8, 8])),
        (floats(&[84, 84]), &["net.layout=numbers"], None),
        (floats(&[84, 84, 3]), &["net.layout=numbers"], None),
        (bytes(&[12, 96, 96]), &["net.layout=numbers"], None),
        (boxed(&[6, 7, 2], Dtype::F32, 1.0), &["net.layout=channels_last"], Some([16, 2, 3, 3])),
        (
            dict(&[("cube", cube()), ("speed", floats(&[2]))]),
            &["net.layout={ cube = \"channels_last\" }"],
            Some([16, 10, 3, 3]),
        ),
        (
            dict(&[("cube", cube()), ("inner", dict(&[("eye", floats(&[20, 20]))]))]),
            &["net.layout={ cube = \"numbers\", \"inner.eye\" = \"grey\" }"],
            Some([16, 1, 3, 3]),
        ),
    ];
    for (space, sets, convolution) in cases {
        let network = network(space.clone(), sets).expect("a network");
        assert_eq!(network.convolutions, Vec::from_iter(convolution.map(Vec::from)), "{space} {sets:?}");
        assert_eq!(network.warnings, Vec::<String>::new(), "{space} {sets:?}");
    }
}

#[test]
fn numbers_that_may_be_a_picture_are_told() {
    for (space, count) in [
        (floats(&[84, 84]), "7056 plain numbers"),
        (floats(&[4, 84, 84, 3]), "84672 plain numbers"),
        (floats(&[10, 10, 10]), "1000 plain numbers"),
        (dict(&[("speed", floats(&[2])), ("map", floats(&[32, 40]))]), "entry `map`"),
    ] {
        let network = network(space.clone(), &[]).expect("a network");
        assert!(network.convolutions.is_empty());
        let [warning] = network.warnings.as_slice() else { panic!("{space}: {:?}", network.warnings) };
        assert!(warning.contains(count) && warning.contains("net.layout"), "{warning}");
    }
    // A backbone of the user's own takes the table as it is.
    let list = "net.backbone=[{ lstm = 8 }, { mean = 0 }, { linear = 8 }, \"relu\"]";
    let registries = with_blank(floats(&[20, 30]), Space::Discrete(2));
    let overrides = Overrides { file: None, sets: vec![list.into()] };
    let config = RunConfig::resolve(&registries, "dqn", "Blank-v0", &overrides).expect("valid");
    assert_eq!(Training::check(&config, &registries).expect("a network").warnings, Vec::<String>::new());
}
