//! The search for a learning rate (Smith 2017): over some updates the rate rises by the same factor each time,
//! and the loss tells where learning begins and where it breaks.

use anyhow::{Result, bail};
use pavlov_nn::Schedule;
use pavlov_tasks::TaskError;
use serde::Serialize;

use super::job::Fit;
use crate::config::{FitConfig, Registries};

/// The search ends when the mean of the latest losses is above this multiple of the lowest one.
const LARGEST_RATIO: f64 = 4.0;
/// The share of all updates over which losses are averaged, to each side.
const WINDOW: f64 = 0.05;
/// The updates that a curve needs.
const FEWEST_UPDATES: u64 = 10;

/// The rates of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateSearch {
    /// The first update's.
    pub from: f64,
    /// The last update's.
    pub to: f64,
    /// The number of updates.
    pub updates: u64,
}

impl Default for RateSearch {
    fn default() -> Self {
        Self { from: 1e-7, to: 10.0, updates: 100 }
    }
}

impl RateSearch {
    fn validate(&self) -> Result<()> {
        let Self { from, to, updates } = *self;
        if !(from > 0.0 && to > from && to.is_finite()) {
            bail!("a search from {from} to {to}: give two rates above 0, the smaller one first");
        }
        if updates < FEWEST_UPDATES {
            bail!("a search of {updates} updates: give at least {FEWEST_UPDATES}");
        }
        Ok(())
    }

    fn window(&self) -> usize {
        ((self.updates as f64 * WINDOW).round() as usize).max(1)
    }
}

/// One update of a search.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RatePoint {
    /// The learning rate.
    pub rate: f64,
    /// The loss of the update's batch, before the update.
    pub loss: f64,
    /// The mean of the losses nearby.
    pub smoothed: f64,
}

/// The curve of a search, and the rates that it speaks for. There are none where the loss never fell.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FoundRates {
    /// The updates, in order.
    pub points: Vec<RatePoint>,
    /// The rate at which the smoothed loss falls fastest over the logarithm of the rate.
    pub steepest: Option<f64>,
    /// A tenth of the rate at which the smoothed loss is lowest.
    pub tenth_of_lowest: Option<f64>,
}

/// A search that is ready to begin.
pub struct RateFinder {
    fit: Fit,
    rate: Schedule,
    search: RateSearch,
}

impl RateFinder {
    /// A search on a new model of this configuration, whose own rate is not used; all its other settings are.
    ///
    /// # Errors
    /// When the data is damaged, the task cannot learn from it or has no single loss, or a setting makes no
    /// sense.
    pub fn new(mut config: FitConfig, registries: &Registries, search: RateSearch) -> Result<Self> {
        search.validate()?;
        let rate = Schedule::exponential(search.from, search.to);
        config.learning.rate = rate;
        // Parameters that are frozen at first stay so: the search is for the start of the fit.
        if config.learning.unfreeze_at > 0.0 {
            config.learning.unfreeze_at = 1.0;
        }
        let mut fit = Fit::new(config, registries)?;
        if !fit.has_one_loss() {
            bail!(
                "there is no search for the learning rate of this task: its networks learn against each other, and \
                 no loss of theirs falls as they become better"
            );
        }
        fit.load_pretrained()?;
        Ok(Self { fit, rate, search })
    }

    /// Makes updates with rates that rise from the first to the last, until the loss breaks or all are made.
    /// The model is thrown away, and nothing is written.
    ///
    /// # Errors
    /// When the data cannot be read, or the first loss is not finite.
    pub fn run(self) -> Result<FoundRates> {
        let Self { mut fit, rate, search } = self;
        let mut losses: Vec<(f64, f64)> = Vec::new();
        let mut lowest = f64::INFINITY;
        for update in 0..search.updates {
            let progress = update as f64 / (search.updates - 1) as f64;
            let loss = match fit.update(update, progress).and_then(|()| fit.take_loss()) {
                Ok(loss) => loss,
                Err(error) if has_diverged(&error) && !losses.is_empty() => break,
                Err(error) => return Err(error),
            };
            losses.push((rate.value(progress), loss));
            if has_broken(&losses, search.window(), &mut lowest) {
                break;
            }
        }
        Ok(read(&losses, search.window()))
    }
}

/// True if the mean of the latest losses is far above the lowest such mean, and above the first one: a loss
/// that bounces near zero has not broken.
fn has_broken(losses: &[(f64, f64)], window: usize, lowest: &mut f64) -> bool {
    if losses.len() < window {
        return false;
    }
    let latest = mean(&losses[losses.len() - window..]);
    *lowest = lowest.min(latest);
    latest > limit(*lowest) && latest > mean(&losses[..window])
}

fn mean(losses: &[(f64, f64)]) -> f64 {
    losses.iter().map(|(_, loss)| loss).sum::<f64>() / losses.len() as f64
}

/// The loss above which learning counts as broken. Losses may be negative.
fn limit(lowest: f64) -> f64 {
    lowest + (LARGEST_RATIO - 1.0) * lowest.abs()
}

fn has_diverged(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<TaskError>(), Some(TaskError::Diverged(_)))
}

/// The suggestions of a curve of rates and losses.
fn read(losses: &[(f64, f64)], window: usize) -> FoundRates {
    let lowest = losses.windows(window.min(losses.len()).max(1)).map(mean).fold(f64::INFINITY, f64::min);
    // Losses at the end that broke away must not hide the fall before them.
    let whole =
        losses.iter().rposition(|(_, loss)| *loss <= limit(lowest)).map_or(losses.len(), |last| last + 1);
    let smoothed = |at: usize| {
        let end = if at < whole { whole } else { losses.len() };
        mean(&losses[at.saturating_sub(window)..(at + window + 1).min(end)])
    };
    let points: Vec<RatePoint> = losses
        .iter()
        .enumerate()
        .map(|(at, &(rate, loss))| RatePoint { rate, loss, smoothed: smoothed(at) })
        .collect();
    let Some(lowest) = (0..points.len()).min_by(|&a, &b| points[a].smoothed.total_cmp(&points[b].smoothed))
    else {
        return FoundRates::default();
    };
    let slope = |at: usize| {
        let (before, after) = (points[at - 1], points[at + 1]);
        (after.smoothed - before.smoothed) / (after.rate / before.rate).ln()
    };
    let falls = (1..lowest).filter(|&at| slope(at) < 0.0);
    let steepest = falls.min_by(|&a, &b| slope(a).total_cmp(&slope(b))).map(|at| points[at].rate);
    let tenth_of_lowest = steepest.map(|_| points[lowest].rate / 10.0);
    FoundRates { points, steepest, tenth_of_lowest }
}

impl FoundRates {
    /// The curve as CSV.
    pub fn to_csv(&self) -> String {
        let rows = self.points.iter();
        let rows = rows.map(|RatePoint { rate, loss, smoothed }| format!("{rate:e},{loss},{smoothed}\n"));
        format!("rate,loss,smoothed\n{}", rows.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rates from 1e-6 to 1, and a loss that is flat, falls by a logistic curve around 1e-3, and breaks at
    /// 0.1.
    fn curve(updates: usize) -> Vec<(f64, f64)> {
        let rate = Schedule::exponential(1e-6, 1.0);
        let rates = (0..updates).map(|update| rate.value(update as f64 / (updates - 1) as f64));
        rates
            .map(|rate| match rate < 0.1 {
                true => (rate, 0.5 + 1.8 / (1.0 + (2.0 * (rate.ln() - 1e-3f64.ln())).exp())),
                false => (rate, 0.5 + 1e4 * rate),
            })
            .collect()
    }

    #[test]
    fn suggestions_stand_where_the_loss_falls_fastest_and_before_its_lowest() {
        let found = read(&curve(121), 6);
        let near = |found: Option<f64>, wanted: f64| (found.unwrap() / wanted).ln().abs() < 2f64.ln();
        assert!(near(found.steepest, 1e-3), "{:?}", found.steepest);
        assert!(near(found.tenth_of_lowest, 5e-3), "{:?}", found.tenth_of_lowest);
        let csv = found.to_csv();
        assert!(csv.starts_with("rate,loss,smoothed\n1e-6,"), "{csv}");
        assert_eq!(csv.lines().count(), 122);
    }

    #[test]
    fn a_loss_that_falls_to_nothing_is_smoothed_by_plain_means() {
        let losses: Vec<_> = curve(121).iter().map(|&(rate, loss)| (rate, (loss - 0.5).max(0.0))).collect();
        let whole = &losses[..100];
        let found = read(whole, 6);
        let wanted = whole[4..17].iter().map(|(_, loss)| loss).sum::<f64>() / 13.0;
        assert!((found.points[10].smoothed - wanted).abs() < 1e-12, "{:?}", found.points[10]);
        assert!((found.steepest.unwrap() / 1e-3).ln().abs() < 2f64.ln(), "{:?}", found.steepest);
    }

    #[test]
    fn a_search_ends_where_the_loss_breaks_and_not_where_it_bounces() {
        let broken = |losses: &[f64]| {
            let losses: Vec<_> = losses.iter().map(|&loss| (1.0, loss)).collect();
            let mut lowest = f64::INFINITY;
            (1..=losses.len()).find(|&count| has_broken(&losses[..count], 2, &mut lowest))
        };
        assert_eq!(broken(&[0.1, 5.0, 0.1, 0.1, 0.2]), None, "too few for a mean at first, then no rise");
        assert_eq!(broken(&[2.0, 2.0, 0.01, 0.01, 0.5, 0.5]), None, "below where it began");
        assert_eq!(broken(&[2.0, 2.0, 0.4, 0.4, 9.0, 9.0]), Some(5));
    }

    #[test]
    fn a_loss_that_never_falls_speaks_for_no_rate() {
        let rising: Vec<_> = curve(50).into_iter().map(|(rate, _)| (rate, 1.0 + rate)).collect();
        let found = read(&rising, 2);
        assert_eq!((found.steepest, found.tenth_of_lowest), (None, None));
        assert_eq!(read(&[], 2), FoundRates::default());
    }

    #[test]
    fn a_negative_loss_has_a_limit_above_it() {
        assert_eq!((limit(1.0), limit(-1.0), limit(0.0)), (4.0, 2.0, 0.0));
    }

    #[test]
    fn a_search_that_makes_no_sense_is_explained() {
        let default = RateSearch::default();
        default.validate().unwrap();
        for (search, part) in [
            (RateSearch { from: 0.0, ..default }, "two rates above 0"),
            (RateSearch { to: 1e-8, ..default }, "the smaller one first"),
            (RateSearch { updates: 5, ..default }, "at least 10"),
        ] {
            let error = search.validate().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
