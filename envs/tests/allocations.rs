//! A step allocates nothing, in any bundled environment.

use pavlov_envs::{ActionBatch, EnvRng, ObsBatch, Registry, StepBatch, SyncVectorEnv, VectorEnv};

const STEPS: usize = 500;

#[test]
fn a_step_allocates_nothing() {
    let registry = Registry::bundled();
    for spec in registry.specs() {
        let mut env = spec.make(&Default::default()).expect("an environment");
        let mut observation = ObsBatch::new(env.observation_space(), 1);
        let space = env.action_space().clone();
        let mut actions = ActionBatch::new(&space, 1).expect("actions");
        let mut rng = EnvRng::seeded(2);
        env.reset(Some(1), observation.row_mut(0)).expect("a reset");
        for time in 0..STEPS {
            actions.sample_row(0, &space, &mut rng);
            let mut over = false;
            let allocated = allocation_counter::measure(|| {
                let step = env.step(actions.row(0), observation.row_mut(0)).expect("a step");
                over = step.end.is_over();
            });
            assert_eq!(allocated.count_total, 0, "{} allocates in step {time}", spec.id);
            if over {
                env.reset(None, observation.row_mut(0)).expect("a reset");
            }
        }
    }
}

#[test]
fn a_step_of_a_vector_environment_allocates_nothing() {
    let registry = Registry::bundled();
    let mut envs = SyncVectorEnv::new(8, |_| registry.make("CartPole-v1")).expect("environments");
    let space = envs.action_space().clone();
    let mut actions = ActionBatch::new(&space, 8).expect("actions");
    let mut step = StepBatch::new(envs.observation_space(), 8);
    let mut rng = EnvRng::seeded(2);
    envs.reset(Some(1), &mut step.observations).expect("a reset");
    for time in 0..STEPS {
        (0..8).for_each(|row| actions.sample_row(row, &space, &mut rng));
        let allocated = allocation_counter::measure(|| envs.step(&actions, &mut step).expect("a step"));
        assert_eq!(allocated.count_total, 0, "step {time}, resets included");
    }
}
