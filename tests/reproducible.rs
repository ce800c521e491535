//! Same seed, same numbers: between two runs, and with one and with four libtorch threads.

use std::path::Path;

use pavlov::record::{Row, read_csv};

use crate::command::{SMALL, Workplace};

/// The log without the columns that depend on time.
pub fn log(run: &Path) -> Vec<Row> {
    let (_, mut rows) = read_csv(&run.join("progress.csv")).expect("a log");
    rows.iter_mut().for_each(|row| row.values.retain(|tag, _| !tag.starts_with("time/")));
    rows
}

/// The tensors of the last checkpoint, byte for byte.
pub fn tensors(run: &Path) -> Vec<u8> {
    let mut checkpoints: Vec<_> = std::fs::read_dir(run.join("checkpoints"))
        .expect("checkpoints")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    checkpoints.sort();
    std::fs::read(checkpoints.pop().expect("a checkpoint").join("tensors.safetensors")).expect("tensors")
}

#[test]
fn one_seed_gives_one_result_whatever_the_threads() {
    let place = Workplace::new();
    // The numbers of libtorch's threads and of the threads that share an update, for which the network is
    // wide enough.
    let runs = [("a", "1", "1"), ("b", "1", "1"), ("c", "4", "1"), ("d", "1", "2"), ("e", "4", "4")];
    for (run, threads, update_threads) in runs {
        let sets = [
            format!("threads={threads}"),
            format!("update_threads={update_threads}"),
            "net.hidden_sizes=[192, 192]".to_string(),
            "updates_per_phase=2".to_string(),
        ];
        let mut arguments = vec!["--seed", "7", "--envs", "2"];
        sets.iter().for_each(|set| arguments.extend(["--set", set]));
        let said = place.train_small(run, &arguments);
        assert!(said.success, "{}", said.err);
    }
    let (first, first_log) = (tensors(&place.path("a")), log(&place.path("a")));
    assert!(first_log.iter().any(|row| row.values.contains_key("train/loss")));
    for (run, threads, update_threads) in &runs[1..] {
        let what = format!("threads = {threads}, update_threads = {update_threads}");
        assert!(tensors(&place.path(run)) == first, "the weights or the replay differ with {what}");
        assert_eq!(log(&place.path(run)), first_log, "{what}");
    }
}

#[test]
fn another_seed_gives_another_result() {
    let place = Workplace::new();
    for (run, seed) in [("a", "1"), ("b", "2")] {
        assert!(place.train_small(run, &["--seed", seed]).success);
    }
    assert!(tensors(&place.path("a")) != tensors(&place.path("b")));
    assert!(!SMALL.is_empty());
}
