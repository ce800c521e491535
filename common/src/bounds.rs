//! Bounds of settings that count something: the most that makes sense, and the memory that they ask for.

use std::fmt::Display;
use std::fs;
use std::sync::OnceLock;

/// Refuses a count above `most`.
///
/// # Errors
/// The message, which names the setting and the bound.
pub fn at_most(setting: &str, value: u64, most: u64) -> Result<(), String> {
    match value <= most {
        true => Ok(()),
        false => Err(format!("{setting} is {value}: give at most {most}")),
    }
}

/// Refuses a setting for which this machine has too little memory. What is asked of memory is known before any
/// is taken; a system that gives more than it has ends a process without a word.
///
/// # Errors
/// The message, which names the setting, the memory that it would need and the memory that there is.
pub fn fits(setting: &str, value: impl Display, bytes: u128) -> Result<(), String> {
    let there = memory();
    match bytes <= u128::from(there) {
        true => Ok(()),
        false => Err(format!(
            "{setting} = {value} would need {} of memory, and this machine has {}: give less",
            bytes_in_words(bytes),
            bytes_in_words(there.into())
        )),
    }
}

/// The product of counts, in a range that no such product leaves.
pub fn product(counts: impl IntoIterator<Item = usize>) -> u128 {
    counts.into_iter().fold(1, |product: u128, count| product.saturating_mul(count as u128))
}

/// The memory of this machine in bytes, or what the control group of the process may have of it. Without a
/// bound where the system does not say it.
pub fn memory() -> u64 {
    static MEMORY: OnceLock<u64> = OnceLock::new();
    *MEMORY.get_or_init(|| {
        let read = |path: &str| fs::read_to_string(path).ok();
        let machine = read("/proc/meminfo").as_deref().and_then(of_meminfo);
        let group = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse().ok());
        [machine, group].into_iter().flatten().min().unwrap_or(u64::MAX)
    })
}

/// The bytes of `MemTotal`.
fn of_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Bytes as people say them: `28 PB`.
pub fn bytes_in_words(bytes: u128) -> String {
    const UNITS: [&str; 9] = ["bytes", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
    let (mut number, mut unit) = (bytes as f64, 0);
    while number >= 999.5 && unit + 1 < UNITS.len() {
        number /= 1000.0;
        unit += 1;
    }
    format!("{number:.*} {}", usize::from(number < 9.95 && unit > 0), UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_said_in_words() {
        for (bytes, words) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_000, "1.0 kB"),
            (28_000_000_000_000_000, "28 PB"),
            (999_600, "1.0 MB"),
            (25_300_000_000, "25 GB"),
        ] {
            assert_eq!(bytes_in_words(bytes), words);
        }
        assert!(bytes_in_words(u128::MAX).ends_with(" YB"));
    }

    #[test]
    fn more_than_the_machine_has_is_refused_in_words() {
        assert_eq!(of_meminfo("MemTotal:       24625284 kB\nMemFree: 1 kB"), Some(24_625_284 * 1024));
        assert_eq!(of_meminfo("MemFree: 1 kB"), None);
        assert!(memory() > 1 << 20);
        fits("replay_capacity", 10, 280).unwrap();
        let message = fits("replay_capacity", 10u64.pow(15), product([10usize.pow(15), 28])).unwrap_err();
        assert!(
            message.starts_with("replay_capacity = 1000000000000000 would need 28 PB of memory"),
            "{message}"
        );
        assert_eq!(product([usize::MAX, usize::MAX, usize::MAX]), u128::MAX);
        assert_eq!(at_most("threads", 4, 3).unwrap_err(), "threads is 4: give at most 3");
        at_most("threads", 3, 3).unwrap();
    }
}
