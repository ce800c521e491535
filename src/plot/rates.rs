//! The drawing of a search for a learning rate.

use std::ops::Range;
use std::path::Path;

use anyhow::{Result, bail};
use plotters::prelude::*;

use super::draw::{COLORS, DrawingError, range, sheet, titled};
use crate::files::write_whole;
use crate::fitting::RatePoint;

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
    let (area, _) = sheet(svg, 0)?;
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
    let mut labels = chart.configure_series_labels();
    labels
        .position(SeriesLabelPosition::LowerLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3));
    labels.draw()?;
    area.present()?;
    Ok(())
}
