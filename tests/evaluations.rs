//! Evaluations use their environments again: nothing of it shows in the results.

use pavlov::Registries;
use pavlov::agents::{ActMode, AgentError, Policy};
use pavlov::envs::wrappers::WrapperConfig as W;
use pavlov::envs::{ActionBatch, EnvFactory, EnvOptions, ObsBatch, SeededRng};
use pavlov::training::{Evaluation, EvaluationOptions, Evaluator, evaluate};

/// Chooses by the numbers of the observation, and by what it has seen in the episode.
#[derive(Default)]
struct ByNumbers(Vec<u64>);

impl Policy for ByNumbers {
    fn act(
        &mut self,
        observations: &ObsBatch,
        _mode: ActMode,
        _rng: &mut SeededRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        self.0.resize(observations.rows().max(self.0.len()), 0);
        let ActionBatch::Discrete(choices) = actions else { panic!("worlds with choices") };
        for (row, choice) in choices.iter_mut().enumerate() {
            let seen = observations.row(row);
            let bits = seen.floats.iter().map(|number| number.to_bits());
            let bits = bits.chain(seen.bytes.iter().map(|byte| u32::from(*byte)));
            let sum = bits.fold(self.0[row], |sum, bits| sum.wrapping_mul(31).wrapping_add(bits.into()));
            self.0[row] = sum;
            *choice = (sum >> 7) as i64 % 2;
        }
        Ok(())
    }

    fn forget(&mut self, row: usize) {
        self.0.resize(self.0.len().max(row + 1), 0);
        self.0[row] = 0;
    }
}

fn factory(id: &str, wrappers: &[W]) -> EnvFactory {
    let spec = Registries::bundled().envs.spec(id).expect("a world");
    EnvFactory::new(spec, EnvOptions::default(), wrappers).expect("wrappers")
}

#[test]
fn used_environments_give_what_new_ones_give_however_many_there_are() {
    let sticky = W::StickyActions { probability: 0.3 };
    let stack = || W::FrameStack { frames: 3, key: None };
    let worlds: [(&str, Vec<W>); 7] = [
        ("CartPole-v1", vec![sticky.clone(), stack()]),
        ("CartPole-v1", vec![W::FrameSkip { frames: 2, max_pool: true }]),
        (
            "CartPole-v1",
            vec![W::NoopStart { max_noops: 5, action: 0 }, W::TimeLimit { max_episode_steps: 40 }],
        ),
        ("LunarLander-v3", vec![]),
        ("FrozenLake-v1", vec![W::OneHot { key: None }]),
        ("MinAtar/Breakout-v1", vec![sticky, stack()]),
        ("RepeatPrevious-v0", vec![]),
    ];
    let mut differing = 0;
    for (id, wrappers) in worlds {
        let factory = factory(id, &wrappers);
        let options = |seed, num_envs| EvaluationOptions {
            episodes: 7,
            seed,
            num_envs,
            ..EvaluationOptions::default()
        };
        let new = |seed| -> Evaluation {
            evaluate(&mut ByNumbers::default(), &factory, &options(seed, 7)).expect("played")
        };
        let expected = [1, 2].map(new);
        differing += usize::from(expected[0] != expected[1]);
        let mut evaluator = Evaluator::new(&factory);
        let mut policy = ByNumbers::default();
        for (seed, num_envs) in [(1, 1), (2, 3), (1, 3), (2, 7), (1, 2), (2, 1)] {
            let result = evaluator.evaluate(&mut policy, &options(seed, num_envs)).expect("played");
            assert_eq!(result, expected[seed as usize - 1], "{id} {wrappers:?} {num_envs}");
        }
        evaluator.close();
        let result = evaluator.evaluate(&mut policy, &options(2, 2)).expect("played");
        assert_eq!(result, expected[1], "{id}");
    }
    assert!(differing >= 5, "another seed is another evaluation");
}
