//! Processes that an environment starts: none is left once its worker has ended, however it ends.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::deaths::{EXIT, HANG, WALK, kill};
use crate::{Single, make, refusal, world};

/// A world that starts two processes, and the numbers of its own process and of these two.
fn simulated(text: &str) -> (Single, [f32; 3]) {
    let mut env = Single::new(make(&world("Simulated"), text).unwrap());
    let seen = env.reset(Some(1)).unwrap();
    let processes = [seen[0], seen[2], seen[3]];
    assert!(processes.iter().all(|&pid| lives(pid)), "{processes:?}");
    (env, processes)
}

/// Returns true if the process runs. One that has ended and that nobody has asked about does not.
fn lives(pid: f32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit(')').next().and_then(|rest| rest.trim().chars().next()).is_some_and(|state| state != 'Z')
}

fn wait_for_ends(processes: &[f32]) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Some(pid) = processes.iter().find(|&&pid| lives(pid)) {
        assert!(Instant::now() < deadline, "process {pid} of {processes:?} lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn they_end_with_an_environment_that_is_no_longer_needed() {
    let (env, processes) = simulated("");
    drop(env);
    wait_for_ends(&processes);
}

#[test]
fn they_end_with_a_worker_that_is_killed_or_ends_by_itself() {
    let (mut env, processes) = simulated("");
    kill(processes[0]);
    env.step(WALK).unwrap();
    wait_for_ends(&processes);

    let start = env.reset(None).unwrap();
    env.step(EXIT).unwrap();
    wait_for_ends(&[start[0], start[2], start[3]]);
}

#[test]
fn they_end_with_a_worker_that_hangs() {
    let (mut env, processes) = simulated("timeout_seconds = 0.5");
    env.step(HANG).unwrap();
    wait_for_ends(&processes);
}

#[test]
fn they_end_with_an_environment_that_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("processes");
    let text = format!("kwargs = {{ told = {told:?}, fails = true }}");
    let message = refusal(&world("Simulated"), &text);
    assert!(message.contains("there is no level of this name"), "{message}");
    let told = std::fs::read_to_string(told).unwrap();
    let processes: Vec<f32> = told.split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(processes.len(), 2);
    wait_for_ends(&processes);
}

#[test]
fn they_end_with_a_parent_that_is_killed() {
    const ORPHANAGE: &str = "PAVLOV_TEST_IS_THE_PARENT";
    if std::env::var_os(ORPHANAGE).is_some() {
        // The same test, in the child process that the other branch starts and kills while its worker hangs.
        let (mut env, processes) = simulated("");
        println!("processes {processes:?}");
        env.step(HANG).unwrap();
        unreachable!("the step takes longer than the test");
    }
    crate::python();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["simulators::they_end_with_a_parent_that_is_killed", "--exact", "--nocapture"])
        .env(ORPHANAGE, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines.find_map(|line| Some(line.unwrap().split_once("processes [")?.1.to_owned())).unwrap();
    let processes: Vec<f32> =
        told.trim_end_matches(']').split(", ").map(|pid| pid.parse().unwrap()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for_ends(&processes);
}
