//! The drawing of learning curves.

use std::ops::Range;
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Curve, Group};
use crate::files::write_whole;
use crate::tell::short_count;

pub(super) type Sheet<'s> = DrawingArea<SVGBackend<'s>, Shift>;
pub(super) type DrawingError = Box<dyn std::error::Error>;

/// The size of a drawing in pixels, without the names of its lines.
const SIZE: (u32, u32) = (800, 450);
/// The height of a name.
const LINE: u32 = 20;
/// The room right of the axes, into which half of the last label reaches.
const RIGHT: u32 = 34;
/// The most characters of a name, and those of a title.
const MOST: usize = 115;
const MOST_TITLE: usize = 70;

/// Colours that colour-blind people can tell apart, and dark enough for thin lines (after Okabe and Ito
/// 2008).
pub(super) const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(120, 90, 40),
    RGBColor(70, 70, 70),
];

/// Draws groups of runs into an SVG file. A group of several runs is a thick line, the mean, with a band from its
/// lowest run to its highest; where some of its runs have ended, the others are thin lines. A group of one run is a thin
/// line. The names stand below the axes.
///
/// # Errors
/// When there is nothing to draw or the file cannot be written.
pub fn draw(groups: &[Group], title: &str, tag: &str, path: &Path) -> Result<()> {
    let all = || groups.iter().flat_map(|group| &group.curves).flat_map(|curve| curve.points.iter());
    let Some(last) = all().map(|point| point.0).max() else {
        bail!("the runs have no values of `{tag}` yet: nothing can be drawn");
    };
    let values = range(all().map(|point| point.1));
    let mut svg = String::new();
    draw_into(&mut svg, groups, title, tag, 0..last.max(1), values)
        .map_err(|error| anyhow!("the curve cannot be drawn: {error}"))?;
    write_whole(path, svg)
}

/// The range of these values with a margin.
pub(super) fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) =
        values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    let margin = ((high - low) * 0.05).max(1e-9 * high.abs().max(1.0));
    low - margin..high + margin
}

/// A white drawing area into this text, with room for so many names below the axes.
pub(super) fn sheet(svg: &mut String, names: usize) -> Result<(Sheet<'_>, Sheet<'_>), DrawingError> {
    let (width, height) = SIZE;
    let below = if names == 0 { 0 } else { names as u32 * LINE + LINE / 2 };
    let area = SVGBackend::with_string(svg, (width, height + below)).into_drawing_area();
    area.fill(&WHITE)?;
    Ok(area.split_vertically(height))
}

/// A chart with a title and room for the labels of its axes.
pub(super) fn titled<'a, 's>(area: &'a Sheet<'s>, title: &str) -> ChartBuilder<'a, 's, SVGBackend<'s>> {
    let mut chart = ChartBuilder::on(area);
    chart.caption(cut(title, MOST_TITLE), ("sans-serif", 20)).margin(12).margin_right(RIGHT);
    chart.x_label_area_size(42).y_label_area_size(72);
    chart
}

/// The text with so many characters at most.
fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 3).chain("...".chars()).collect(),
        false => text.into(),
    }
}

/// The style of a group's lines: after the last colour they begin again, with dashes.
struct Style {
    color: RGBColor,
    is_dashed: bool,
    width: u32,
}

impl Style {
    fn of(index: usize, group: &Group) -> Self {
        let width = if group.curves.len() > 1 { 2 } else { 1 };
        Self { color: COLORS[index % COLORS.len()], is_dashed: index / COLORS.len() % 2 == 1, width }
    }

    /// Lengths of dashes and gaps in pixels.
    fn dashes(&self) -> (u32, u32) {
        if self.is_dashed { (6, 4) } else { (1, 0) }
    }
}

/// The words for a group in the list of names.
fn label(group: &Group) -> String {
    let (steps, runs) = (group.steps(), group.curves.len());
    let longest = group.curves.iter().filter_map(|curve| curve.points.last()).map(|point| point.0).max();
    let words = match (runs, steps.last()) {
        (0 | 1, _) => String::new(),
        (_, None) => format!(": {runs} runs that have no step in common"),
        (_, Some(end)) if Some(*end) == longest => {
            format!(": mean of {runs} runs, band from the lowest to the highest")
        }
        (_, Some(end)) => {
            format!(": mean and band of {runs} runs to {}, thin lines of those that go on", short_count(*end))
        }
    };
    cut(&group.name, MOST - words.len()) + &words
}

fn draw_into(
    svg: &mut String,
    groups: &[Group],
    title: &str,
    tag: &str,
    steps: Range<u64>,
    values: Range<f64>,
) -> Result<(), DrawingError> {
    let (area, names) = sheet(svg, groups.len())?;
    let unit = groups.iter().flat_map(|group| &group.curves).next().map_or("", |curve| curve.unit);
    let mut chart = titled(&area, title).build_cartesian_2d(steps, values)?;
    chart
        .configure_mesh()
        .x_desc(unit)
        .x_label_formatter(&|steps| short_count(*steps))
        .y_desc(tag)
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 15))
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.12))
        .draw()?;
    // All bands lie below all lines.
    let spreads: Vec<Vec<(u64, [f64; 3])>> = groups.iter().map(spread).collect();
    for (index, spread) in spreads.iter().enumerate() {
        let upper = spread.iter().map(|&(step, [_, _, high])| (step, high));
        let lower = spread.iter().rev().map(|&(step, [_, low, _])| (step, low));
        let outline: Vec<_> = upper.chain(lower).collect();
        if outline.len() > 2 {
            let color = COLORS[index % COLORS.len()].mix(0.18);
            chart.draw_series([Polygon::new(outline, color.filled())])?;
        }
    }
    for (index, (group, spread)) in groups.iter().zip(&spreads).enumerate() {
        let style = Style::of(index, group);
        let (dash, gap) = style.dashes();
        let mut line = |points: Vec<(u64, f64)>, width: u32| -> Result<(), DrawingError> {
            let stroke = style.color.stroke_width(width);
            match style.is_dashed {
                true => chart.draw_series(DashedLineSeries::new(points, dash, gap, stroke))?,
                false => chart.draw_series(LineSeries::new(points, stroke))?,
            };
            Ok(())
        };
        match &group.curves[..] {
            [one] => line(one.points.clone(), style.width)?,
            several => {
                line(spread.iter().map(|&(step, [mean, ..])| (step, mean)).collect(), style.width)?;
                let end = spread.last().map_or(0, |&(step, _)| step);
                for rest in several.iter().map(|curve| rest(curve, end)).filter(|rest| rest.len() > 1) {
                    line(rest, 1)?;
                }
            }
        }
        // A line needs two points: what has one is a dot.
        let lonely = group.curves.iter().filter(|curve| curve.points.len() == 1).map(|curve| curve.points[0]);
        let mean =
            spread.iter().take(if spread.len() == 1 { 1 } else { 0 }).map(|&(step, [mean, ..])| (step, mean));
        let dots = lonely.chain(mean).map(|point| Circle::new(point, 3, style.color.filled()));
        chart.draw_series(dots)?;
    }
    for (index, group) in groups.iter().enumerate() {
        let style = Style::of(index, group);
        let y = (index as u32 * LINE + LINE / 2) as i32;
        let (dash, gap) = style.dashes();
        let (from, to) = (24, 54);
        let step = (dash + gap) as usize;
        let pieces = if style.is_dashed { (from..to).step_by(step).collect() } else { vec![from] };
        for start in pieces {
            let end = if style.is_dashed { (start + dash as i32).min(to) } else { to };
            names
                .draw(&PathElement::new([(start, y), (end, y)], style.color.stroke_width(style.width + 1)))?;
        }
        let font = ("sans-serif", 13).into_font().color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
        names.draw(&Text::new(label(group), (to + 8, y), font))?;
    }
    area.present()?;
    Ok(())
}

/// The mean, the lowest and the highest of a group of several runs, at its steps.
fn spread(group: &Group) -> Vec<(u64, [f64; 3])> {
    if group.curves.len() < 2 {
        return Vec::new();
    }
    group.steps().into_iter().filter_map(|step| Some((step, group.spread_at(step)?))).collect()
}

/// The part of a run after the step at which the first run of its group has ended.
fn rest(curve: &Curve, end: u64) -> Vec<(u64, f64)> {
    let first = curve.value_at(end).map(|value| (end, value));
    let after = curve.points.iter().copied().filter(|point| point.0 > end);
    first.into_iter().chain(after).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::curve;
    use super::*;

    fn drawn(groups: &[Group], title: &str) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("curve.svg");
        draw(groups, title, "eval/mean_reward", &path).expect("a drawing");
        std::fs::read_to_string(path).expect("a file")
    }

    #[test]
    fn a_drawing_names_its_groups_and_an_empty_one_is_an_error() {
        let several = vec![curve("a", &[(0, 1.0), (10, 2.0)]), curve("b", &[(0, 1.0), (10, 4.0)])];
        let groups = [
            Group { name: "first".into(), curves: several },
            Group { name: "second".into(), curves: vec![curve("c", &[(0, -1.0), (12, -4.0)])] },
        ];
        let svg = drawn(&groups, "a title");
        for word in
            ["first: mean of 2 runs, band from the lowest to the highest", "second", "a title", "env steps"]
        {
            assert!(svg.contains(word), "{word}");
        }
        assert_eq!(svg.matches("<polygon").count(), 1, "one band");
        let none = Group { name: "none".into(), curves: vec![curve("none", &[])] };
        assert!(draw(&[none], "a title", "x", Path::new("x.svg")).is_err());
    }

    #[test]
    fn many_groups_have_a_line_each_and_room_for_their_names() {
        let group = |index: usize| Group {
            name: format!("group {index} {}", "x".repeat(200)),
            curves: vec![curve("a", &[(0, index as f64), (1_500_000, 1.0)])],
        };
        let svg = drawn(&(0..12).map(group).collect::<Vec<_>>(), "many");
        assert!((0..12).all(|index| svg.contains(&format!("group {index} xxx"))));
        assert!(!svg.contains(&"x".repeat(MOST)), "long names are cut");
        assert!(svg.contains("\n1M\n") && svg.contains("height=\"700\""), "{svg}");
    }

    #[test]
    fn one_point_and_equal_values_can_be_drawn() {
        let one = |points: &[(u64, f64)]| [Group { name: "one".into(), curves: vec![curve("a", points)] }];
        assert!(drawn(&one(&[(5, 500.0)]), "t").contains("one"));
        assert!(drawn(&one(&[(0, 0.0), (9, 0.0)]), "t").contains("one"));
    }
}
