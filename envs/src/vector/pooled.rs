//! Pooled statistics: several vector environments gather them together, each in a thread of its own.

use serde::{Deserialize, Serialize};

use super::RunningStatistics;
use crate::EnvError;

/// The statistics of normalising wrappers; `None` where there is no such wrapper, or nothing was seen yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeenStatistics {
    /// The statistics of observations.
    pub observations: Option<RunningStatistics>,
    /// The statistics of discounted sums of rewards.
    pub returns: Option<RunningStatistics>,
}

impl SeenStatistics {
    /// Adds the statistics of others.
    pub fn merge(&mut self, news: &SeenStatistics) {
        let pairs = [(&mut self.observations, &news.observations), (&mut self.returns, &news.returns)];
        for (all, news) in pairs {
            if let Some(news) = news {
                all.get_or_insert_with(|| RunningStatistics::new(news.mean().len())).merge(news);
            }
        }
    }
}

/// Running statistics, which can also count the observations since the last hand-over apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pooled {
    all: RunningStatistics,
    /// True if new observations are counted apart.
    gathers: bool,
    news: Option<RunningStatistics>,
}

impl Pooled {
    pub fn new(width: usize) -> Self {
        Self { all: RunningStatistics::new(width), gathers: false, news: None }
    }

    /// The statistics of all observations.
    pub fn all(&self) -> &RunningStatistics {
        &self.all
    }

    pub fn width(&self) -> usize {
        self.all.mean().len()
    }

    /// As [`RunningStatistics::update`].
    pub fn update(&mut self, rows: usize, row: impl Fn(usize, usize) -> f64) {
        self.all.update(rows, &row);
        if self.gathers && rows > 0 {
            let width = self.width();
            self.news.get_or_insert_with(|| RunningStatistics::nothing(width)).update(rows, row);
        }
    }

    /// The statistics since the last call, if anything was seen.
    pub fn take_news(&mut self) -> Option<RunningStatistics> {
        self.news.take()
    }

    /// Goes on with these statistics.
    pub fn set(&mut self, all: &RunningStatistics) -> Result<(), EnvError> {
        check_width(all, self.width())?;
        self.all.clone_from(all);
        Ok(())
    }

    /// Goes on with these statistics, if there are any, and counts later observations apart.
    pub fn follow(&mut self, all: Option<&RunningStatistics>) -> Result<(), EnvError> {
        all.map_or(Ok(()), |all| self.set(all))?;
        self.gathers = true;
        Ok(())
    }

    /// Goes on exactly with saved statistics.
    pub fn load(&mut self, saved: Pooled) -> Result<(), EnvError> {
        check_width(&saved.all, self.width())?;
        if let Some(news) = &saved.news {
            check_width(news, self.width())?;
        }
        *self = saved;
        Ok(())
    }
}

/// Refuses statistics of another width.
fn check_width(statistics: &RunningStatistics, want: usize) -> Result<(), EnvError> {
    let have = statistics.mean().len();
    if have == want {
        return Ok(());
    }
    Err(EnvError::State(format!("the saved statistics are of {have} numbers, where there are {want}")))
}
