//! Workers that raise, die or hang: the episodes, the errors and the new workers.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pavlov_envs::{ActionBatch, Autoreset, End, EnvError, StepBatch, VectorEnv, VectorOptions};

use crate::{Single, make, make_vector, world};

/// Actions of the mortal world.
pub const WALK: i64 = 0;
const RAISE: i64 = 1;
pub const EXIT: i64 = 2;
pub const HANG: i64 = 3;
const NAN: i64 = 4;
const INFINITE: i64 = 5;

fn mortal(text: &str) -> Single {
    Single::new(make(&world("Mortal"), text).unwrap())
}

pub fn kill(pid: f32) {
    // The shell's own `kill`: a small system has no program of this name.
    assert!(Command::new("sh").args(["-c", &format!("kill -9 {pid}")]).status().unwrap().success());
}

fn is_running(pid: f32) -> bool {
    PathBuf::from(format!("/proc/{pid}")).exists()
}

fn wait_for_end(pid: f32) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while is_running(pid) {
        assert!(Instant::now() < deadline, "process {pid} lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_killed_worker_ends_its_episode_as_truncated_and_is_replaced() {
    let mut env = mortal("");
    env.reset(Some(1)).unwrap();
    let (_, before) = env.step(WALK).unwrap();
    kill(before[0]);
    let (step, last) = env.step(WALK).unwrap();
    assert_eq!((step.end, step.raw_end, step.reward), (End::Truncated, End::Truncated, 0.0));
    assert_eq!(last, before, "the last observation that there was");
    assert_eq!(env.step(WALK), Err(EnvError::NeedsReset));
    let start = env.reset(None).unwrap();
    assert!(start[0] != before[0] && !is_running(before[0]));
    assert_ne!(env.info("seed"), Some(1.0), "it does not play the same episodes again");
    assert_eq!(env.info("worker_deaths"), Some(1.0));
    assert_eq!(env.step(WALK).unwrap().1, [start[0], 1.0]);
}

#[test]
fn a_worker_that_always_exits_is_an_error_with_its_last_words() {
    let mut env = mortal("");
    let fail = |env: &mut Single| {
        for death in 1..3 {
            env.reset(None).unwrap();
            assert_eq!(env.step(EXIT).unwrap().0.end, End::Truncated, "death {death}");
        }
        env.reset(None).unwrap();
        env.step(EXIT).unwrap_err().to_string()
    };
    let message = fail(&mut env);
    for words in ["again and again", "exit status: 3", "the last words"] {
        assert!(message.contains(words), "{message}");
    }
    env.reset(None).unwrap();
    env.step(WALK).unwrap();

    let mut env = mortal("kwargs = { dies_in_reset = true }");
    let message = env.reset(None).unwrap_err().to_string();
    assert!(message.contains("again and again") && message.contains("no way to begin"), "{message}");
}

#[test]
fn a_worker_that_hangs_is_replaced() {
    let mut env = mortal("timeout_seconds = 0.5");
    env.reset(None).unwrap();
    let (_, before) = env.step(WALK).unwrap();
    let (step, last) = env.step(HANG).unwrap();
    assert_eq!((step.end, &last), (End::Truncated, &before));
    assert!(!is_running(before[0]));
    env.reset(None).unwrap();
    assert_eq!(env.step(WALK).unwrap().0.end, End::No);
}

#[test]
fn an_exception_is_an_error_and_the_worker_lives_on() {
    let mut env = mortal("");
    let pid = env.reset(None).unwrap()[0];
    let message = env.step(RAISE).unwrap_err().to_string();
    assert!(message.contains("ValueError: this world has a fault"), "{message}");
    assert_eq!(env.step(WALK), Err(EnvError::NeedsReset));
    assert_eq!(env.reset(None).unwrap()[0], pid);
    env.step(WALK).unwrap();
}

#[test]
fn words_on_standard_output_disturb_nothing() {
    let mut env = mortal("kwargs = { print_words = true }");
    env.reset(None).unwrap();
    for step in 1..50 {
        assert_eq!(env.step(WALK).unwrap().1[1], step as f32);
    }
}

#[test]
fn nothing_is_left_of_a_worker() {
    let mut env = mortal("");
    let pid = env.reset(None).unwrap()[0];
    drop(env);
    assert!(!is_running(pid), "neither alive nor a zombie");
    let ours = format!("pavlov-{}-", std::process::id());
    let shared = std::fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = shared.filter(|name| name.to_string_lossy().starts_with(&ours)).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A vector environment of the mortal world, with its buffers.
struct Vector {
    env: Box<dyn VectorEnv>,
    out: StepBatch,
}

impl Vector {
    /// Three environments in two workers: the first two share one.
    fn new(text: &str, autoreset: Autoreset) -> Self {
        let options = VectorOptions::new(3).threads(2).autoreset(autoreset);
        let mut env = make_vector(&world("Mortal"), text, &options).unwrap();
        let mut out = StepBatch::new(env.observation_space(), 3);
        env.reset(Some(1), &mut out.observations).unwrap();
        Self { env, out }
    }

    fn step(&mut self, actions: [i64; 3]) -> Result<(), EnvError> {
        self.env.step(&ActionBatch::Discrete(actions.to_vec()), &mut self.out)
    }

    fn pids(&self) -> [f32; 3] {
        [0, 1, 2].map(|row| self.out.observations.row(row).floats[0])
    }

    fn counts(&self) -> [f32; 3] {
        [0, 1, 2].map(|row| self.out.observations.row(row).floats[1])
    }
}

#[test]
fn a_death_in_a_vector_environment_truncates_the_episodes_of_that_worker_alone() {
    for autoreset in [Autoreset::SameStep, Autoreset::NextStep] {
        let mut vector = Vector::new("", autoreset);
        vector.step([WALK; 3]).unwrap();
        vector.step([WALK; 3]).unwrap();
        let pids = vector.pids();
        assert!(pids[0] == pids[1] && pids[1] != pids[2], "{pids:?}");
        vector.step([WALK, EXIT, WALK]).unwrap();
        assert_eq!(vector.out.ends, [End::Truncated, End::Truncated, End::No]);
        assert_eq!(vector.out.raw_ends, vector.out.ends);
        assert_eq!(vector.out.rewards, [0.0, 0.0, 1.0]);
        let finals = [0, 1].map(|row| vector.out.next_observation(row).floats);
        assert_eq!(finals, [[pids[0], 2.0], [pids[1], 2.0]], "the last that there was");
        if autoreset == Autoreset::NextStep {
            assert_eq!(vector.counts(), [2.0, 2.0, 3.0]);
            vector.step([WALK; 3]).unwrap();
            assert_eq!(
                (&vector.out.resets[..], &vector.out.ends[..]),
                (&[true, true, false][..], &[End::No; 3][..])
            );
            assert_eq!(vector.counts(), [0.0, 0.0, 4.0]);
        } else {
            assert_eq!(vector.counts(), [0.0, 0.0, 3.0]);
        }
        assert!(vector.pids()[0] != pids[0] && vector.pids()[2] == pids[2]);
        vector.step([WALK; 3]).unwrap();
        assert_eq!((vector.counts()[0], vector.out.resets[0], vector.out.ends[0]), (1.0, false, End::No));
    }
}

#[test]
fn a_death_between_episodes_ends_none() {
    let mut vector = Vector::new("kwargs = { episode_steps = 2 }", Autoreset::NextStep);
    vector.step([WALK; 3]).unwrap();
    vector.step([WALK; 3]).unwrap();
    assert_eq!(vector.out.ends, [End::Truncated; 3]);
    kill(vector.pids()[0]);
    vector.step([WALK; 3]).unwrap();
    assert_eq!((&vector.out.ends[..], &vector.out.resets[..]), (&[End::No; 3][..], &[true; 3][..]));
    vector.step([WALK; 3]).unwrap();
    assert_eq!(vector.out.resets, [true, true, false]);
    vector.step([WALK; 3]).unwrap();
    assert_eq!((vector.counts(), &vector.out.resets[..]), ([1.0, 1.0, 2.0], &[false; 3][..]));
}

#[test]
fn an_error_in_a_vector_environment_names_its_environment_and_leaves_nothing_behind() {
    let mut vector = Vector::new("", Autoreset::SameStep);
    for (action, words) in [(RAISE, "this world has a fault"), (NAN, "NaN"), (INFINITE, "the reward is inf")]
    {
        let message = vector.step([WALK, action, WALK]).unwrap_err().to_string();
        assert!(message.contains("environment 1") && message.contains(words), "{message}");
        assert_eq!(vector.step([WALK; 3]), Err(EnvError::NeedsReset));
        vector.env.reset(None, &mut vector.out.observations).unwrap();
        vector.step([WALK; 3]).unwrap();
        assert_eq!(vector.counts(), [1.0; 3]);
    }
    assert_eq!(vector.env.save_state(), None);
}

#[test]
fn workers_end_with_a_parent_that_is_killed() {
    const ORPHANAGE: &str = "PAVLOV_TEST_IS_THE_PARENT";
    if std::env::var_os(ORPHANAGE).is_some() {
        // The same test, in the child process that the other branch starts and kills while its worker hangs.
        let mut env = mortal("");
        println!("worker {}", env.reset(None).unwrap()[0]);
        env.step(HANG).unwrap();
        unreachable!("the step takes longer than the test");
    }
    // Python is found here, so that the child does not wait for it.
    crate::python();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["deaths::workers_end_with_a_parent_that_is_killed", "--exact", "--nocapture"])
        .env(ORPHANAGE, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let pid = lines.map(Result::unwrap).find_map(|line| line.split("worker ").nth(1)?.parse().ok()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for_end(pid);
}
