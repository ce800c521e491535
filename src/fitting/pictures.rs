//! Pictures of models as files and as notes of the log.

use anyhow::{Context, Result};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use pavlov_tasks::Picture;

use crate::record::Note;

/// The picture as a PNG file.
///
/// # Errors
/// When it has no pixels.
pub fn png(picture: &Picture) -> Result<Vec<u8>> {
    let mut encoded = Vec::new();
    let (width, height) = (picture.width as u32, picture.height as u32);
    PngEncoder::new(&mut encoded)
        .write_image(&picture.rgb, width, height, ExtendedColorType::Rgb8)
        .context("a picture cannot be encoded")?;
    Ok(encoded)
}

/// The picture for TensorBoard's page of images.
pub(super) fn note(tag: String, step: u64, picture: &Picture) -> Result<Note> {
    Ok(Note::Image { tag, step, size: (picture.width, picture.height), encoded: png(picture)? })
}
