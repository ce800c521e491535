//! The infos of episodes in the log: for each name the mean of its last number and the mean of its sum.

use std::collections::{BTreeMap, BTreeSet};

use pavlov_envs::{EpisodeInfos, InfoTotal, MOST_INFOS};

use crate::run::Values;

/// The longest name in a tag.
const LONGEST: usize = 100;

/// The means over those episodes in which a name was said, for each name.
pub(super) fn means<'e>(episodes: impl IntoIterator<Item = &'e EpisodeInfos>) -> BTreeMap<String, InfoTotal> {
    let mut all = BTreeMap::<&str, (InfoTotal, f64)>::new();
    for (name, total) in episodes.into_iter().flatten() {
        let (sums, count) = all.entry(name).or_insert((InfoTotal { sum: 0.0, last: 0.0 }, 0.0));
        (sums.sum, sums.last) = (sums.sum + total.sum, sums.last + total.last);
        *count += 1.0;
    }
    let mean = |(sums, count): (InfoTotal, f64)| InfoTotal { sum: sums.sum / count, last: sums.last / count };
    all.into_iter().map(|(name, sums)| (name.to_string(), mean(sums))).collect()
}

/// The rows of the log: `STAGE/info/NAME`, the mean of the last numbers, and `STAGE/info_sum/NAME`, that of the sums.
pub(super) fn values(stage: &str, means: &BTreeMap<String, InfoTotal>) -> Values {
    let mut values = Values::new();
    let mut taken = BTreeSet::new();
    for (name, mean) in means.iter().take(MOST_INFOS) {
        let clean = clean(name);
        let numbered = (2..).map(|number| format!("{clean}_{number}"));
        let mut free = std::iter::once(clean.clone()).chain(numbered).filter(|name| !taken.contains(name));
        let Some(name) = free.next() else { continue };
        values.insert(format!("{stage}/info/{name}"), mean.last);
        values.insert(format!("{stage}/info_sum/{name}"), mean.sum);
        taken.insert(name);
    }
    values
}

/// The name in the characters that TensorBoard takes.
fn clean(name: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || "_.-/".contains(c) { c } else { '_' };
    let name: String = name.chars().take(LONGEST).map(fit).collect();
    let name = name.trim_matches('/');
    if name.is_empty() { "_".into() } else { name.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episode(said: &[(&str, f64, f64)]) -> EpisodeInfos {
        said.iter().map(|&(name, sum, last)| (name.to_string(), InfoTotal { sum, last })).collect()
    }

    #[test]
    fn means_are_over_the_episodes_that_say_a_name() {
        let episodes =
            [episode(&[("won", 1.0, 1.0), ("cost", 6.0, 2.0)]), episode(&[("won", 0.0, 0.0)]), episode(&[])];
        let means = means(&episodes);
        assert_eq!(means["won"], InfoTotal { sum: 0.5, last: 0.5 });
        assert_eq!(means["cost"], InfoTotal { sum: 6.0, last: 2.0 });
        let values = values("rollout", &means);
        let expected = [("info/cost", 2.0), ("info/won", 0.5), ("info_sum/cost", 6.0), ("info_sum/won", 0.5)];
        assert_eq!(values, expected.map(|(tag, value)| (format!("rollout/{tag}"), value)).into());
    }

    #[test]
    fn names_become_tags_that_differ() {
        let names = ["a b", "a,b", "a_b", "reward/forward", "/", "Größe"];
        let episodes = [episode(&names.map(|name| (name, 1.0, 1.0)))];
        let tags: Vec<_> = values("eval", &means(&episodes)).into_keys().collect();
        let expected = ["Gr__e", "_", "a_b", "a_b_2", "a_b_3", "reward/forward"];
        assert_eq!(tags[..6], expected.map(|name| format!("eval/info/{name}")));
        let many: EpisodeInfos =
            (0..200).map(|n| (format!("{n}"), InfoTotal { sum: 0.0, last: 0.0 })).collect();
        assert_eq!(values("eval", &means(&[many])).len(), 2 * MOST_INFOS);
    }
}
