//! Environments of an evaluation: several in a process, each reset and stepped by itself, used again and again.

use std::collections::BTreeSet;

use pavlov_envs::{
    Action, ActionBatch, Autoreset, End, EnvFactory, InfoBatch, ObsBatch, Registry, RowEnvs, SeededRng, Step,
    StepBatch, VectorOptions,
};

use crate::{Single, make, make_vector, options, world};

/// Rows with their buffers.
struct Rows {
    envs: Box<dyn RowEnvs>,
    observations: ObsBatch,
    steps: Vec<Step>,
    infos: InfoBatch,
}

impl Rows {
    fn new(id: &str, text: &str, count: usize) -> Self {
        let spec = Registry::bundled().spec(id).unwrap();
        let envs = EnvFactory::new(spec, options(text), &[]).unwrap().make_rows(count).unwrap();
        assert_eq!(envs.num_envs(), count);
        let observations = ObsBatch::new(envs.observation_space(), count);
        Self { envs, observations, steps: vec![Step::default(); count], infos: InfoBatch::new(count) }
    }

    fn reset(&mut self, rows: &[(usize, Option<u64>)]) {
        self.envs.reset(rows, &mut self.observations).unwrap();
    }

    fn step(&mut self, rows: &[usize], actions: &[i64]) -> Result<(), pavlov_envs::RowError> {
        let Self { envs, observations, steps, infos } = self;
        envs.step(rows, &ActionBatch::Discrete(actions.to_vec()), steps, observations, infos)
    }

    fn seen(&self, row: usize) -> Vec<f32> {
        self.observations.row(row).floats.to_vec()
    }

    fn info(&self, row: usize, wanted: &str) -> Option<f64> {
        self.infos.get(row, self.infos.names().iter().position(|name| name == wanted)?)
    }
}

#[test]
fn rows_go_as_single_environments_also_when_they_are_used_again() {
    const COUNT: usize = 5;
    for text in ["", "envs_per_worker = 2", "envs_per_worker = 5"] {
        let mut rows = Rows::new("gym:FrozenLake-v1", text, COUNT);
        let mut rng = SeededRng::seeded(4);
        let space = rows.envs.action_space().clone();
        for round in 0..3 {
            // In later rounds the last rows rest, and buffers are shorter.
            let used = COUNT - round;
            rows.observations = ObsBatch::new(rows.envs.observation_space(), used);
            let seeds: Vec<_> = (0..used).map(|row| (row, Some((10 * round + row) as u64))).collect();
            rows.reset(&seeds);
            // New environments: the used rows have to equal them.
            let mut singles: Vec<_> =
                (0..used).map(|_| Single::new(make("gym:FrozenLake-v1", "").unwrap())).collect();
            for (row, seed) in seeds {
                assert_eq!(singles[row].reset(seed).unwrap(), rows.seen(row));
            }
            let mut running: Vec<usize> = (0..used).collect();
            while !running.is_empty() {
                let mut actions = ActionBatch::new(&space, used).unwrap();
                (0..used).for_each(|row| actions.sample_row(row, &space, &mut rng));
                let ActionBatch::Discrete(actions) = actions else { panic!("discrete") };
                rows.step(&running, &actions).unwrap();
                running.retain(|&row| {
                    let (step, seen) = singles[row].step(actions[row]).unwrap();
                    assert_eq!((rows.steps[row], rows.seen(row)), (step, seen), "{text} {row}");
                    assert_eq!(rows.info(row, "prob"), singles[row].info("prob"));
                    !step.end.is_over()
                });
            }
            let error = rows.step(&[0], &[0]).unwrap_err();
            assert_eq!((error.row, error.error), (0, pavlov_envs::EnvError::NeedsReset));
        }
    }
}

#[test]
fn processes_are_kept_from_one_episode_to_the_next() {
    let mut rows = Rows::new(&world("Mortal"), "envs_per_worker = 2", 5);
    let mut pids = BTreeSet::new();
    for seed in 0..3 {
        let seeds: Vec<_> = (0..5).map(|row| (row, Some(seed))).collect();
        rows.reset(&seeds);
        pids.extend((0..5).map(|row| rows.seen(row)[0] as u32));
    }
    assert_eq!(pids.len(), 3, "{pids:?}");
    let cores = std::thread::available_parallelism().unwrap().get();
    let mut rows = Rows::new(&world("Mortal"), "", 2 * cores);
    let seeds: Vec<_> = (0..2 * cores).map(|row| (row, None)).collect();
    rows.reset(&seeds);
    let pids: BTreeSet<_> = (0..2 * cores).map(|row| rows.seen(row)[0] as u32).collect();
    assert_eq!(pids.len(), cores);
}

#[test]
fn a_process_that_dies_ends_the_episodes_of_its_own_rows() {
    let mut rows = Rows::new(&world("Mortal"), "envs_per_worker = 2", 4);
    let seeds: Vec<_> = (0..4).map(|row| (row, Some(row as u64))).collect();
    rows.reset(&seeds);
    rows.step(&[0, 1, 2, 3], &[0; 4]).unwrap();
    let before: Vec<_> = (0..4).map(|row| rows.seen(row)).collect();
    // Rows 0 and 2 share a process, as 1 and 3 do. Row 2 is not asked in the step in which it dies.
    rows.step(&[0, 1, 3], &[2, 0, 0, 0]).unwrap();
    assert_eq!(rows.steps[0], Step::new(0.0, End::Truncated));
    assert_eq!((rows.steps[1].end, rows.seen(0)), (End::No, before[0].clone()));
    assert_eq!(rows.info(1, "steps"), Some(2.0));
    rows.reset(&[(0, Some(9))]);
    assert_ne!(rows.seen(0)[0], before[0][0], "another process");
    rows.step(&[0, 1, 2, 3], &[0; 4]).unwrap();
    assert_eq!(rows.steps[2], Step::new(0.0, End::Truncated), "it was lost with its process");
    assert_eq!((rows.steps[0].end, rows.steps[3].end), (End::No, End::No));
    assert_eq!(
        (rows.info(0, "steps"), rows.info(2, "steps"), rows.info(3, "steps")),
        (Some(1.0), None, Some(3.0))
    );
    let error = rows.step(&[1, 3], &[0, 0, 0, 1]).unwrap_err();
    assert!(error.row == 3 && error.to_string().contains("ValueError: this world has a fault"), "{error}");
    rows.reset(&[(1, None), (2, None), (3, None)]);
    rows.step(&[1, 2], &[0; 4]).unwrap();
}

#[test]
fn vector_environments_tell_the_infos_of_each_step() {
    for autoreset in [Autoreset::SameStep, Autoreset::NextStep] {
        let text = "kwargs = { episode_steps = 3 }";
        let vector = VectorOptions::new(3).threads(2).autoreset(autoreset);
        let single = vector.of_single(|_| make(&world("Mortal"), text)).unwrap();
        for mut env in [make_vector(&world("Mortal"), text, &vector).unwrap(), single] {
            let mut out = StepBatch::new(env.observation_space(), 3);
            env.reset(Some(1), &mut out.observations).unwrap();
            let mut said = Vec::new();
            for _ in 0..8 {
                env.step(&ActionBatch::Discrete(vec![0; 3]), &mut out).unwrap();
                let place = out.infos.names().iter().position(|name| name == "steps").expect("a name");
                said.push(out.infos.get(2, place).map_or(0, |steps| steps as u32));
                assert_eq!(out.infos.get(0, place), out.infos.get(2, place));
            }
            let expected = match autoreset {
                Autoreset::SameStep => [1, 2, 3, 1, 2, 3, 1, 2],
                Autoreset::NextStep => [1, 2, 3, 0, 1, 2, 3, 0],
            };
            assert_eq!(said, expected, "the last step's, not those of the reset after it");
            assert!(!out.infos.names().contains(&"word".to_string()));
        }
    }
}

#[test]
fn an_action_that_no_environment_takes_is_refused() {
    let mut rows = Rows::new("gym:FrozenLake-v1", "", 2);
    rows.reset(&[(0, None), (1, None)]);
    let error = rows.step(&[0, 1], &[0, 4]).unwrap_err();
    assert_eq!(error.row, 1);
    assert!(error.to_string().contains("not in the action space"), "{error}");
    let mut single = Single::new(make("gym:FrozenLake-v1", "").unwrap());
    single.reset(None).unwrap();
    assert!(single.env.step(Action::Discrete(4), single.observation.row_mut(0)).is_err());
}
