//! The time that sums over processes of this machine take.
//!
//! ```text
//! cargo run --release -p pavlov-group --example sum_latency -- [PROCESSES [SHARDS_OF_EACH]]
//! ```
//!
//! It starts the other processes itself; they find one another through files in a temporary folder.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use pavlov_group::{Group, GroupError, Store, Wire, WireOptions};

/// The numbers of elements, and how often each is summed.
const SIZES: [(usize, usize); 5] =
    [(1, 3000), (1_000, 3000), (10_000, 2000), (67_000, 1000), (1_700_000, 40)];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, default: usize| {
        arguments.get(place).map_or(Ok(default), |argument| argument.parse::<usize>())
    };
    let (world_size, local, rank) = (number(0, 2)?, number(1, 1)?, number(2, 0)?);
    let folder = match arguments.get(3) {
        Some(folder) => PathBuf::from(folder),
        None => std::env::temp_dir().join(format!("sum-latency-{}", std::process::id())),
    };
    let mut others = Vec::new();
    if rank == 0 {
        std::fs::create_dir_all(&folder)?;
        for rank in 1..world_size {
            let mut other = Command::new(std::env::current_exe()?);
            other.args([world_size, local, rank].map(|number| number.to_string())).arg(&folder);
            others.push(other.spawn()?);
        }
    }
    let options = WireOptions {
        rank,
        world_size,
        prefix: "latency".to_owned(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        timeout: Duration::from_secs(30),
    };
    let wire = Wire::connect(&options, &Folder(folder.clone()))?;
    let shards: Vec<_> = Group::of_process(local, Some(wire))
        .into_iter()
        .map(|group| thread::spawn(move || measure(&group)))
        .collect();
    for shard in shards {
        shard.join().map_err(|_| "a shard panicked")??;
    }
    for mut other in others {
        other.wait()?;
    }
    if rank == 0 {
        std::fs::remove_dir_all(folder)?;
    }
    Ok(())
}

/// Sums arrays of all sizes; the first shard prints the times.
fn measure(group: &Group) -> Result<(), GroupError> {
    for (length, repeats) in SIZES {
        let mut numbers = vec![1.0; length];
        let mut times = Vec::with_capacity(repeats);
        for _ in 0..repeats {
            numbers.fill(group.shard() as f32);
            group.sum(&mut [0.0])?;
            let begun = Instant::now();
            group.sum(&mut numbers)?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        let right = (group.shards() * (group.shards() - 1) / 2) as f32;
        assert!(numbers.iter().all(|number| *number == right), "a sum is wrong");
        times.sort_by(f64::total_cmp);
        if group.shard() == 0 {
            let (median, slow) = (times[repeats / 2], times[repeats * 9 / 10]);
            println!("{length:>9} floats: median {median:.3} ms, 90th percentile {slow:.3} ms");
        }
    }
    Ok(())
}

/// A store of files.
struct Folder(PathBuf);

impl Folder {
    fn path(&self, key: &str) -> PathBuf {
        self.0.join(key.replace('/', "-"))
    }

    fn failed(error: std::io::Error) -> GroupError {
        GroupError::Rendezvous(format!("a store of files: {error}"))
    }
}

impl Store for Folder {
    fn set(&self, key: &str, value: &[u8]) -> Result<(), GroupError> {
        let unfinished = self.path(&format!("{key}.unfinished-{}", std::process::id()));
        std::fs::write(&unfinished, value).map_err(Self::failed)?;
        std::fs::rename(unfinished, self.path(key)).map_err(Self::failed)
    }

    fn get(&self, key: &str, timeout: Duration) -> Result<Option<Vec<u8>>, GroupError> {
        let begun = Instant::now();
        loop {
            match std::fs::read(self.path(key)) {
                Ok(value) => return Ok(Some(value)),
                Err(_) if begun.elapsed() >= timeout => return Ok(None),
                Err(_) => thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    fn add(&self, key: &str, amount: i64) -> Result<i64, GroupError> {
        let lock = self.path(&format!("{key}.lock"));
        while std::fs::File::create_new(&lock).is_err() {
            thread::sleep(Duration::from_millis(1));
        }
        let old =
            self.get(key, Duration::ZERO)?.and_then(|value| Some(i64::from_ne_bytes(*value.first_chunk()?)));
        let sum = old.unwrap_or_default() + amount;
        self.set(key, &sum.to_ne_bytes())?;
        std::fs::remove_file(lock).map_err(Self::failed)?;
        Ok(sum)
    }
}
