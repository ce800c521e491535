//! A frame of an observation: one colour per channel.

use std::f64::consts::TAU;

use super::game::SIDE;
use crate::render::{Color, Frame};

/// Pixels along a side of a cell.
const CELL: usize = 24;

/// The grid on black. Where a cell holds several things, the last channel's colour is seen.
pub(super) fn frame(cells: &[u8], channels: usize) -> Frame {
    let palette: Vec<Color> = (0..channels).map(|channel| color(channel, channels)).collect();
    let colors: Vec<Color> = cells
        .chunks_exact(channels)
        .map(|cell| cell.iter().rposition(|&mark| mark != 0).map_or([0; 3], |channel| palette[channel]))
        .collect();
    let side = SIDE as usize;
    let row = |y: usize| &colors[y * side..(y + 1) * side];
    let pixels = (0..side * CELL)
        .flat_map(|y| row(y / CELL).iter().flat_map(|&color| [color; CELL]))
        .flatten()
        .collect();
    Frame { width: side * CELL, height: side * CELL, pixels }
}

/// The colour of a channel: `channels` points at equal distances on the helix through the colour cube that
/// grows brighter from black to white (Green, "A colour scheme for the display of astronomical intensity
/// images", 2011, with his standard parameters).
fn color(channel: usize, channels: usize) -> Color {
    let lightness = (channel + 1) as f64 / (channels + 1) as f64;
    let (sin, cos) = (TAU * (0.5 / 3.0 - 1.5 * lightness)).sin_cos();
    let amplitude = lightness * (1.0 - lightness) / 2.0;
    let deviations = [-0.14861 * cos + 1.78277 * sin, -0.29227 * cos - 0.90649 * sin, 1.97294 * cos];
    // Casting cuts off at 0 and at 255.
    deviations.map(|deviation| (255.0 * (lightness + amplitude * deviation)).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_channel_of_a_cell_is_seen() {
        let mut cells = [0; 200];
        (cells[0], cells[1], cells[198]) = (1, 1, 1);
        let frame = frame(&cells, 2);
        assert_eq!((frame.width, frame.height, frame.pixels.len()), (240, 240, 240 * 240 * 3));
        let pixel = |x: usize, y: usize| &frame.pixels[(y * 240 + x) * 3..][..3];
        assert_eq!(pixel(23, 23), color(1, 2));
        assert_eq!(pixel(24, 0), [0, 0, 0]);
        assert_eq!(pixel(216, 216), color(0, 2));
    }

    #[test]
    fn channels_differ() {
        for channels in [4, 6, 7, 10] {
            let mut colors: Vec<_> = (0..channels).map(|channel| color(channel, channels)).collect();
            colors.sort();
            colors.dedup();
            assert_eq!(colors.len(), channels);
        }
    }
}
