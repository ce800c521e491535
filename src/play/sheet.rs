//! The contact sheet: one picture of every environment, side by side.

use std::path::Path;

use anyhow::{Context, Result};
use image::{ImageFormat, RgbImage};
use pavlov_common::SeededRng;
use pavlov_envs::render::{Frame, Picture};
use pavlov_envs::{ActionBatch, ObsBatch, Registry};
use pavlov_nn::weights::write_atomically;

/// The size of one picture with its label, in pixels.
const TILE: (usize, usize) = (240, 184);
const LABEL: usize = 24;
const COLUMNS: usize = 5;
/// Steps that each world is played before its picture is taken.
const STEPS: usize = 12;

/// Draws one frame of each registered environment that renders, with its id below, and writes them as one
/// PNG. Returns the number of pictures.
///
/// # Errors
/// When an environment fails or the file cannot be written.
pub fn contact_sheet(registry: &Registry, path: &Path) -> Result<usize> {
    let mut tiles = Vec::new();
    for spec in registry.specs() {
        if let Some(picture) = taken(registry, &spec.id)? {
            let label = Picture::Text(spec.id.clone()).into_frame().fitted(TILE.0, 16)?;
            tiles.push((picture.into_frame().fitted(TILE.0 - 8, TILE.1 - LABEL - 6)?, label));
        }
    }
    let rows = tiles.len().div_ceil(COLUMNS);
    let mut sheet =
        RgbImage::from_pixel((COLUMNS * TILE.0) as u32, (rows * TILE.1) as u32, [24, 24, 24].into());
    for (index, (picture, label)) in tiles.iter().enumerate() {
        let (left, top) = (index % COLUMNS * TILE.0, index / COLUMNS * TILE.1);
        let middle = |frame: &Frame| left + (TILE.0 - frame.width) / 2;
        paste(&mut sheet, picture, middle(picture), top + (TILE.1 - LABEL - picture.height) / 2);
        paste(&mut sheet, label, middle(label), top + TILE.1 - LABEL);
    }
    write_atomically(path, |beside| {
        sheet.save_with_format(beside, ImageFormat::Png).map_err(std::io::Error::other)
    })
    .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(tiles.len())
}

/// The picture of the world after a few random steps.
fn taken(registry: &Registry, id: &str) -> Result<Option<Picture>> {
    let mut env = registry.make(id)?;
    let space = env.action_space().clone();
    let mut observation = ObsBatch::new(env.observation_space(), 1);
    let mut action = ActionBatch::new(&space, 1)?;
    let mut rng = SeededRng::seeded(5);
    env.reset(Some(5), observation.row_mut(0))?;
    for _ in 0..STEPS {
        action.sample_row(0, &space, &mut rng);
        if env.step(action.row(0), observation.row_mut(0))?.end.is_over() {
            env.reset(None, observation.row_mut(0))?;
        }
    }
    Ok(env.render())
}

fn paste(sheet: &mut RgbImage, frame: &Frame, left: usize, top: usize) {
    let (pixels, _) = frame.pixels.as_chunks::<3>();
    for (index, pixel) in pixels.iter().enumerate() {
        let (x, y) = (left + index % frame.width, top + index / frame.width);
        sheet.put_pixel(x as u32, y as u32, (*pixel).into());
    }
}
