//! Learning curves: values of one tag over env steps or updates, read from runs, put into groups of runs that differ
//! by their seeds alone, and drawn into one SVG.

mod draw;
mod groups;
mod rates;

use std::path::Path;

use anyhow::{Context, Result, bail};
use pavlov_common::did_you_mean;

pub use draw::draw;
pub use groups::{Group, group};
pub use rates::draw_rates;

use crate::record::read_csv;
use crate::run::Unit;

/// One run's values of one tag.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The run's name.
    pub name: String,
    /// The unit of the steps, in words.
    pub unit: &'static str,
    /// Step and value, in the order of the log.
    pub points: Vec<(u64, f64)>,
}

impl Curve {
    /// The value at a step between the first and the last one, on a straight line between its neighbours.
    pub fn value_at(&self, step: u64) -> Option<f64> {
        let next = self.points.partition_point(|point| point.0 < step);
        let &(after, value) = self.points.get(next)?;
        if after == step {
            return Some(value);
        }
        let &(before, start) = self.points.get(next.checked_sub(1)?)?;
        let share = (step - before) as f64 / (after - before) as f64;
        Some(start + share * (value - start))
    }
}

/// The curve of `tag` in a run's folder.
///
/// # Errors
/// When there is no log, or no such tag in it; the nearest one is named.
pub fn read(run: &Path, tag: &str) -> Result<Curve> {
    let path = run.join("progress.csv");
    let (columns, rows) = read_csv(&path)
        .with_context(|| format!("{} cannot be read: give the folder of a run", path.display()))?;
    if !columns.iter().any(|column| column == tag) {
        let hint = did_you_mean(tag, columns.iter().map(String::as_str));
        bail!("{} has no column `{tag}`{hint}; there are: {}", path.display(), columns.join(", "));
    }
    let points = rows.iter().filter_map(|row| Some((row.step, *row.values.get(tag)?)));
    let points = points.filter(|(_, value)| value.is_finite()).collect();
    let name =
        run.file_name().map_or_else(|| run.display().to_string(), |name| name.to_string_lossy().into());
    let unit = if columns[0] == Unit::Updates.column() { Unit::Updates } else { Unit::EnvSteps };
    Ok(Curve { name, unit: unit.words(), points })
}

/// The groups as CSV: the steps, then of each group the mean, the lowest and the highest of its runs and each run's own
/// values, or the one run's values.
pub fn to_csv(groups: &[Group]) -> String {
    let curves = || groups.iter().flat_map(|group| &group.curves);
    let mut steps: Vec<u64> = curves().flat_map(|curve| curve.points.iter().map(|point| point.0)).collect();
    steps.sort_unstable();
    steps.dedup();
    let mut head = vec![curves().next().map_or("env steps", |curve| curve.unit).replace(' ', "_")];
    for group in groups {
        match group.curves.len() {
            0 | 1 => head.push(group.name.clone()),
            _ => {
                head.extend(["mean", "lowest", "highest"].map(|what| format!("{} {what}", group.name)));
                head.extend(group.curves.iter().map(|curve| format!("{} {}", group.name, curve.name)));
            }
        }
    }
    let mut text = head.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(",") + "\n";
    for step in steps {
        let mut cells = vec![step.to_string()];
        for group in groups {
            if group.curves.len() > 1 {
                let spread = group.spread_at(step);
                cells.extend((0..3).map(|index| spread.map_or(String::new(), |of| of[index].to_string())));
            }
            for curve in &group.curves {
                let found = curve.points.binary_search_by_key(&step, |point| point.0).ok();
                cells.push(found.map_or(String::new(), |found| curve.points[found].1.to_string()));
            }
        }
        text.push_str(&(cells.join(",") + "\n"));
    }
    text
}

/// A cell of a table; one with a comma, quotes or a line's end in it stands in quotes.
fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\n']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn curve(name: &str, points: &[(u64, f64)]) -> Curve {
        Curve { name: name.into(), unit: "env steps", points: points.to_vec() }
    }

    #[test]
    fn the_table_has_the_groups_and_each_run() {
        let both = vec![curve("a", &[(1, 1.0), (3, 3.0)]), curve("b", &[(1, 3.0), (2, 3.5), (4, 5.0)])];
        let groups = [
            Group { name: "dqn".into(), curves: both },
            Group { name: "net.sizes [8, 8]".into(), curves: vec![curve("c", &[(2, -1.0)])] },
        ];
        let expected = "env_steps,dqn mean,dqn lowest,dqn highest,dqn a,dqn b,\"net.sizes [8, 8]\"\n\
                        1,2,1,3,1,3,\n2,2.75,2,3.5,,3.5,-1\n3,3.625,3,4.25,3,,\n4,,,,,5,\n";
        assert_eq!(to_csv(&groups), expected);
        assert_eq!(to_csv(&[]), "env_steps\n");
    }

    #[test]
    fn values_between_points_lie_on_a_line() {
        let curve = curve("a", &[(10, 1.0), (20, 3.0)]);
        let at = |step| curve.value_at(step);
        assert_eq!([at(9), at(10), at(15), at(20), at(21)], [None, Some(1.0), Some(2.0), Some(3.0), None]);
    }
}
