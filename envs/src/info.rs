//! The numbers of `info`: those that environments say of their last step ([`Env::visit_info`](crate::Env::visit_info)),
//! and those that an episode makes of them.

use serde::{Deserialize, Serialize};

/// The most names of infos that are kept; further ones are left out.
pub const MOST_INFOS: usize = 64;

/// Named numbers about the last step of each environment of a vector environment. It has no names, and costs
/// nothing, where the world has no infos. Numbers that are not finite as 32-bit numbers are left out.
#[derive(Clone, Debug)]
pub struct InfoBatch {
    rows: usize,
    names: Vec<String>,
    /// For each name a column of one number for each environment, NaN where its last step did not say it.
    columns: Vec<Vec<f64>>,
}

impl InfoBatch {
    /// Room for the infos of `rows` environments.
    pub fn new(rows: usize) -> Self {
        Self { rows, names: Vec::new(), columns: Vec::new() }
    }

    /// Returns true if no environment has said anything yet.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names so far, at most [`MOST_INFOS`].
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The number that the last step of environment `row` said under the name of this index.
    pub fn get(&self, row: usize, name: usize) -> Option<f64> {
        Some(self.columns[name][row]).filter(|value| !value.is_nan())
    }

    /// Forgets the infos of environment `row`.
    pub(crate) fn clear_row(&mut self, row: usize) {
        self.columns.iter_mut().for_each(|column| column[row] = f64::NAN);
    }

    /// Replaces the infos of environment `row` by those that `visit` shows.
    pub(crate) fn record(&mut self, row: usize, visit: impl FnOnce(&mut dyn FnMut(&str, f64))) {
        self.clear_row(row);
        let mut next = 0;
        visit(&mut |name, value| {
            if let Some(place) = self.place(next, name) {
                let fits = value.abs() <= f64::from(f32::MAX);
                self.columns[place][row] = if fits { value } else { f64::NAN };
                next = place + 1;
            }
        });
    }

    /// Copies the rows of `source` over those from `first` on.
    pub(crate) fn copy_rows(&mut self, first: usize, source: &Self) {
        for row in first..first + source.rows {
            self.clear_row(row);
        }
        for (index, name) in source.names.iter().enumerate() {
            if let Some(place) = self.place(index, name) {
                self.columns[place][first..first + source.rows].copy_from_slice(&source.columns[index]);
            }
        }
    }

    /// The index of the name, which is added if it is new; `None` if there are too many. Environments mostly say
    /// the same names in the same order, so that `guess` is right.
    fn place(&mut self, guess: usize, name: &str) -> Option<usize> {
        if let Some(place) = find(&self.names, guess, name) {
            return Some(place);
        }
        if self.names.len() == MOST_INFOS {
            return None;
        }
        self.names.push(name.into());
        self.columns.push(vec![f64::NAN; self.rows]);
        Some(self.names.len() - 1)
    }
}

impl PartialEq for InfoBatch {
    /// Infos that were not said are equal.
    fn eq(&self, other: &Self) -> bool {
        let equal = |a: &[f64], b: &[f64]| a.iter().map(|x| x.to_bits()).eq(b.iter().map(|x| x.to_bits()));
        self.rows == other.rows
            && self.names == other.names
            && self.columns.iter().zip(&other.columns).all(|(a, b)| equal(a, b))
    }
}

/// An episode's numbers under one name.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InfoTotal {
    /// The sum over the steps that said it.
    pub sum: f64,
    /// The number that was said last.
    pub last: f64,
}

/// The infos of a whole episode, by name.
pub type EpisodeInfos = Vec<(String, InfoTotal)>;

/// Adds up the infos of running episodes. It can be saved with them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunningInfos {
    names: Vec<String>,
    /// For each environment, and in it for each name, the numbers of the episode so far.
    rows: Vec<Vec<Option<InfoTotal>>>,
}

impl RunningInfos {
    /// Adds what the last step of environment `row` said to its episode.
    pub fn add(&mut self, row: usize, infos: &InfoBatch) {
        for (index, name) in infos.names().iter().enumerate() {
            let Some(value) = infos.get(row, index) else { continue };
            let Some(place) = self.place(index, name) else { continue };
            if self.rows.len() <= row {
                self.rows.resize(row + 1, Vec::new());
            }
            let totals = &mut self.rows[row];
            if totals.len() <= place {
                totals.resize(place + 1, None);
            }
            let total = totals[place].get_or_insert(InfoTotal { sum: 0.0, last: value });
            (total.sum, total.last) = (total.sum + value, value);
        }
    }

    /// Takes the infos of the episode of environment `row`, which has ended.
    pub fn take(&mut self, row: usize) -> EpisodeInfos {
        let Some(totals) = self.rows.get_mut(row) else { return Vec::new() };
        let said = self.names.iter().zip(totals.iter_mut().map(Option::take));
        said.filter_map(|(name, total)| Some((name.clone(), total?))).collect()
    }

    /// Drops the running episodes.
    pub fn forget(&mut self) {
        self.rows.iter_mut().for_each(|totals| totals.fill(None));
    }

    /// As [`InfoBatch::place`].
    fn place(&mut self, guess: usize, name: &str) -> Option<usize> {
        if let Some(place) = find(&self.names, guess, name) {
            return Some(place);
        }
        (self.names.len() < MOST_INFOS).then(|| self.names.push(name.into()))?;
        Some(self.names.len() - 1)
    }
}

/// The index of the name, which is mostly `guess`.
fn find(names: &[String], guess: usize, name: &str) -> Option<usize> {
    match names.get(guess) {
        Some(known) if known == name => Some(guess),
        _ => names.iter().position(|known| known == name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Action, ActionBatch, End, Env, EnvError, ObsBatch, ObsMut, RowEnvs, SingleRows, Space, Step,
        StepBatch, VectorOptions,
    };

    fn record(infos: &mut InfoBatch, row: usize, said: &[(&str, f64)]) {
        infos.record(row, |visit| said.iter().for_each(|(name, value)| visit(name, *value)));
    }

    fn said(infos: &InfoBatch, row: usize) -> Vec<(&str, f64)> {
        let names = infos.names().iter().enumerate();
        names.filter_map(|(index, name)| Some((name.as_str(), infos.get(row, index)?))).collect()
    }

    #[test]
    fn each_step_replaces_what_the_step_before_said() {
        let mut infos = InfoBatch::new(2);
        assert!(infos.is_empty());
        record(&mut infos, 0, &[("a", 1.0), ("b", 2.0)]);
        record(&mut infos, 1, &[("b", 3.0), ("a", f64::NAN), ("c", 1e300)]);
        assert_eq!(said(&infos, 0), [("a", 1.0), ("b", 2.0)]);
        assert_eq!(said(&infos, 1), [("b", 3.0)], "numbers that do not fit are left out");
        record(&mut infos, 0, &[("c", 4.0)]);
        assert_eq!(said(&infos, 0), [("c", 4.0)]);
        let mut all = InfoBatch::new(4);
        record(&mut all, 3, &[("z", 1.0), ("a", 9.0)]);
        all.copy_rows(2, &infos);
        assert_eq!((said(&all, 2), said(&all, 3)), (vec![("c", 4.0)], vec![("b", 3.0)]));
    }

    #[test]
    fn names_are_bounded() {
        let (mut infos, mut running) = (InfoBatch::new(1), RunningInfos::default());
        for number in 0..2 * MOST_INFOS {
            record(&mut infos, 0, &[(&format!("name {number}"), 1.0)]);
            running.add(0, &infos);
        }
        assert_eq!(infos.names().len(), MOST_INFOS);
        assert_eq!(running.take(0).len(), MOST_INFOS);
    }

    #[test]
    fn an_episode_has_sums_and_last_numbers_of_what_was_said() {
        let (mut infos, mut running) = (InfoBatch::new(2), RunningInfos::default());
        for step in [[("cost", 1.0), ("won", 0.0)], [("cost", 0.5), ("late", 7.0)]] {
            record(&mut infos, 1, &step);
            running.add(1, &infos);
        }
        let saved = serde_json::to_string(&running).unwrap();
        running = serde_json::from_str(&saved).unwrap();
        record(&mut infos, 1, &[]);
        running.add(1, &infos);
        let total = |sum, last| InfoTotal { sum, last };
        let expected = [("cost", total(1.5, 0.5)), ("won", total(0.0, 0.0)), ("late", total(7.0, 7.0))];
        assert_eq!(running.take(1), expected.map(|(name, total)| (name.to_string(), total)));
        assert_eq!((running.take(1), running.take(0), running.take(9)), (vec![], vec![], vec![]));
        record(&mut infos, 1, &[("cost", 1.0)]);
        running.add(1, &infos);
        running.forget();
        assert_eq!(running.take(1), []);
    }

    /// Says the step of its episode, which lasts three; in the last step under another name as well.
    struct Talker(u32);

    impl Env for Talker {
        fn observation_space(&self) -> &Space {
            &Space::Discrete(9)
        }

        fn action_space(&self) -> &Space {
            &Space::Discrete(2)
        }

        fn reset(&mut self, _seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
            (self.0, observation.floats[0]) = (0, 0.0);
            Ok(())
        }

        fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
            (self.0, observation.floats[0]) = (self.0 + 1, 0.0);
            action.discrete(2)?;
            Ok(Step::new(0.0, End::terminated_if(self.0 == 3)))
        }

        fn visit_info(&self, visit: &mut dyn FnMut(&str, f64)) {
            visit("step", self.0.into());
            if self.0 == 3 {
                visit("goal", 1.0);
            }
            assert!(self.0 < 9, "no more words");
        }
    }

    #[test]
    fn vector_environments_of_every_form_tell_the_infos_of_the_last_step() {
        let mut expected = None;
        for threads in [1, 2, 3] {
            let options = VectorOptions::new(5).threads(threads);
            let mut envs = options.of_single(|_| Ok(Box::new(Talker(0)))).unwrap();
            let mut out = StepBatch::new(envs.observation_space(), 5);
            envs.reset(Some(1), &mut out.observations).unwrap();
            let mut seen = Vec::new();
            for _ in 0..7 {
                envs.step(&ActionBatch::Discrete(vec![0; 5]), &mut out).unwrap();
                seen.push(out.infos.clone());
            }
            let steps: Vec<_> = seen.iter().map(|infos| said(infos, 4)).collect();
            let end = vec![("step", 3.0), ("goal", 1.0)];
            let episode = [vec![("step", 1.0)], vec![("step", 2.0)], end];
            assert_eq!(steps[..6], [episode.clone(), episode].concat());
            assert_eq!(&seen, expected.get_or_insert_with(|| seen.clone()), "{threads} threads");
        }
    }

    #[test]
    fn a_panic_while_it_says_something_is_an_error() {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| ()));
        let make = || Ok(Box::new(Talker(0)) as Box<dyn Env>);
        let mut rows = SingleRows::new(1, make).unwrap();
        let (mut seen, mut infos) = (ObsBatch::new(rows.observation_space(), 1), InfoBatch::new(1));
        let (mut steps, action) = ([Step::default()], ActionBatch::Discrete(vec![0]));
        let outcomes: Vec<_> =
            (0..9).map(|_| rows.step(&[0], &action, &mut steps, &mut seen, &mut infos)).collect();
        std::panic::set_hook(hook);
        assert!(outcomes[..8].iter().all(Result::is_ok));
        assert!(outcomes[8].as_ref().unwrap_err().to_string().contains("no more words"));
    }
}
