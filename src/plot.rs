//! Learning curves: values of one tag over env steps or updates, read from runs and drawn into one SVG.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail};
use pavlov_common::did_you_mean;
use plotters::coord::{CoordTranslate, Shift};
use plotters::prelude::*;

use crate::files::write_whole;
use crate::fitting::RatePoint;
use crate::record::read_csv;
use crate::run::Unit;

/// One run's values of one tag.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The curve's name in the legend.
    pub name: String,
    /// The unit of the steps, in words.
    pub unit: &'static str,
    /// Step and value, in the order of the log.
    pub points: Vec<(u64, f64)>,
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

/// The mean of the curves at the steps that all of them have.
pub fn mean(curves: &[Curve]) -> Vec<(u64, f64)> {
    let Some((first, others)) = curves.split_first() else { return Vec::new() };
    let value_at = |curve: &Curve, step| {
        let found = curve.points.binary_search_by_key(&step, |point| point.0).ok()?;
        Some(curve.points[found].1)
    };
    let mean_at = |&(step, value): &(u64, f64)| {
        let sum = others.iter().try_fold(value, |sum, curve| Some(sum + value_at(curve, step)?))?;
        Some((step, sum / curves.len() as f64))
    };
    first.points.iter().filter_map(mean_at).collect()
}

/// The curves as CSV: the steps, then one column per curve.
pub fn to_csv(curves: &[Curve]) -> String {
    let mut steps: Vec<u64> =
        curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.0)).collect();
    steps.sort_unstable();
    steps.dedup();
    let mut text = curves.first().map_or("env steps", |curve| curve.unit).replace(' ', "_");
    curves.iter().for_each(|curve| text.push_str(&format!(",{}", curve.name)));
    text.push('\n');
    for step in steps {
        text.push_str(&step.to_string());
        for curve in curves {
            text.push(',');
            if let Ok(found) = curve.points.binary_search_by_key(&step, |point| point.0) {
                text.push_str(&curve.points[found].1.to_string());
            }
        }
        text.push('\n');
    }
    text
}

/// Draws the curves into an SVG file: each run as a thin line, and the mean of several as a thick one.
///
/// # Errors
/// When there is nothing to draw or the file cannot be written.
pub fn draw(curves: &[Curve], title: &str, tag: &str, path: &Path) -> Result<()> {
    let all = || curves.iter().flat_map(|curve| curve.points.iter());
    let Some(last) = all().map(|point| point.0).max() else {
        bail!("the runs have no values of `{tag}` yet: nothing can be drawn");
    };
    let values = range(all().map(|point| point.1));
    let mut svg = String::new();
    draw_into(&mut svg, curves, title, tag, 0..last.max(1), values)
        .map_err(|error| anyhow::anyhow!("the curve cannot be drawn: {error}"))?;
    write_whole(path, svg)
}

/// Draws a loss over learning rates into an SVG file: the loss of each update as a thin line, its mean as a
/// thick one, and a vertical line at each of the rates in `marks`.
///
/// # Errors
/// When there is nothing to draw or the file cannot be written.
pub fn draw_rates(points: &[RatePoint], marks: &[(&str, f64)], title: &str, path: &Path) -> Result<()> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        bail!("there are no updates: nothing can be drawn");
    };
    let rates = first.rate..last.rate.max(first.rate * 1.01);
    let losses = range(points.iter().map(|point| point.smoothed));
    let mut svg = String::new();
    draw_rates_into(&mut svg, points, marks, title, rates, losses)
        .map_err(|error| anyhow::anyhow!("the curve cannot be drawn: {error}"))?;
    write_whole(path, svg)
}

fn draw_rates_into(
    svg: &mut String,
    points: &[RatePoint],
    marks: &[(&str, f64)],
    title: &str,
    rates: Range<f64>,
    losses: Range<f64>,
) -> Result<(), DrawingError> {
    let area = sheet(svg)?;
    let mut chart = titled(&area, title).build_cartesian_2d(rates.log_scale(), losses.clone())?;
    chart
        .configure_mesh()
        .x_desc("learning rate")
        .x_label_formatter(&|rate| format!("{rate:.0e}"))
        .y_desc("train/loss")
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.12))
        .draw()?;
    let held = |loss: f64| loss.clamp(losses.start, losses.end);
    let thin = COLORS[0].mix(0.4).stroke_width(1);
    chart.draw_series(LineSeries::new(points.iter().map(|point| (point.rate, held(point.loss))), thin))?;
    let thick = COLORS[0].stroke_width(2);
    chart
        .draw_series(LineSeries::new(points.iter().map(|point| (point.rate, point.smoothed)), thick))?
        .label("mean of neighbours")
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], thick));
    for (index, (name, rate)) in marks.iter().enumerate() {
        let style = COLORS[1 + index % (COLORS.len() - 1)].stroke_width(2);
        chart
            .draw_series(LineSeries::new([(*rate, losses.start), (*rate, losses.end)], style))?
            .label(format!("{name}: {rate:.1e}"))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    label(&mut chart, SeriesLabelPosition::LowerLeft)?;
    area.present()?;
    Ok(())
}

/// The range of these values with a margin.
fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) =
        values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    let margin = ((high - low) * 0.05).max(1e-9);
    low - margin..high + margin
}

type Sheet<'s> = DrawingArea<SVGBackend<'s>, Shift>;
type DrawingError = Box<dyn std::error::Error>;

/// A white drawing area into this text.
fn sheet(svg: &mut String) -> Result<Sheet<'_>, DrawingError> {
    let area = SVGBackend::with_string(svg, (800, 450)).into_drawing_area();
    area.fill(&WHITE)?;
    Ok(area)
}

/// A chart with a title and room for the labels of its axes.
fn titled<'a, 's>(area: &'a Sheet<'s>, title: &str) -> ChartBuilder<'a, 's, SVGBackend<'s>> {
    let mut chart = ChartBuilder::on(area);
    chart.caption(title, ("sans-serif", 22)).margin(12).x_label_area_size(42).y_label_area_size(64);
    chart
}

/// Draws the box with the names of the lines.
fn label<'s, C: CoordTranslate>(
    chart: &mut ChartContext<'s, SVGBackend<'s>, C>,
    position: SeriesLabelPosition,
) -> Result<(), DrawingError> {
    let mut labels = chart.configure_series_labels();
    labels.position(position).background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3));
    Ok(labels.draw()?)
}

/// Colours that colour-blind people can tell apart, and dark enough for thin lines (after Okabe and Ito
/// 2008).
const COLORS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(120, 90, 40),
];

fn draw_into(
    svg: &mut String,
    curves: &[Curve],
    title: &str,
    tag: &str,
    steps: Range<u64>,
    values: Range<f64>,
) -> Result<(), DrawingError> {
    let area = sheet(svg)?;
    let mut chart = titled(&area, title).build_cartesian_2d(steps, values)?;
    chart
        .configure_mesh()
        .x_desc(curves.first().map_or("", |curve| curve.unit))
        .y_desc(tag)
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.12))
        .draw()?;
    for (index, curve) in curves.iter().enumerate() {
        let color = COLORS[index % COLORS.len()];
        let style = if curves.len() > 1 { color.mix(0.7).stroke_width(1) } else { color.stroke_width(2) };
        chart
            .draw_series(LineSeries::new(curve.points.iter().copied(), style))?
            .label(curve.name.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    if curves.len() > 1 {
        let style = BLACK.stroke_width(2);
        chart
            .draw_series(LineSeries::new(mean(curves), style))?
            .label("mean")
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    label(&mut chart, SeriesLabelPosition::LowerRight)?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str, points: &[(u64, f64)]) -> Curve {
        Curve { name: name.into(), unit: "env steps", points: points.to_vec() }
    }

    #[test]
    fn the_mean_is_taken_where_all_have_a_value() {
        let curves = [curve("a", &[(1, 1.0), (2, 2.0), (3, 3.0)]), curve("b", &[(1, 3.0), (3, 5.0)])];
        assert_eq!(mean(&curves), [(1, 2.0), (3, 4.0)]);
        assert_eq!(mean(&[]), []);
        assert_eq!(to_csv(&curves), "env_steps,a,b\n1,1,3\n2,2,\n3,3,5\n");
    }

    #[test]
    fn a_drawing_names_its_runs_and_an_empty_one_is_an_error() {
        let folder = std::env::temp_dir().join(format!("pavlov-plot-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("curve.svg");
        let curves = [curve("first", &[(0, 1.0), (10, 2.0)]), curve("second", &[(0, 1.0), (10, 4.0)])];
        draw(&curves, "a title", "eval/mean_reward", &path).expect("a drawing");
        let svg = std::fs::read_to_string(&path).expect("a file");
        for word in ["first", "second", "mean", "a title", "env steps"] {
            assert!(svg.contains(word), "{word}");
        }
        assert!(draw(&[curve("none", &[])], "a title", "x", &path).is_err());
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
