//! Pictures of worlds, for people.

mod area;
mod canvas;
mod text;

pub(crate) use area::AreaFilter;
pub use canvas::{Canvas, Color};

use crate::EnvError;

/// A picture of a world in its present state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Picture {
    /// Lines of text, with ANSI colours where they help.
    Text(String),
    /// An image.
    Frame(Frame),
}

impl Picture {
    /// The picture as an image: text as a terminal shows it.
    pub fn into_frame(self) -> Frame {
        match self {
            Self::Text(text) => text::draw(&text),
            Self::Frame(frame) => frame,
        }
    }
}

/// An RGB image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The width in pixels.
    pub width: usize,
    /// The height in pixels.
    pub height: usize,
    /// Red, green and blue of each pixel, row by row from the top: `height * width * 3` bytes.
    pub pixels: Vec<u8>,
}

impl Frame {
    /// The image in another size, each pixel the mean of the area that it covers.
    ///
    /// # Errors
    /// [`EnvError::Option`] for a side of 0 pixels.
    pub fn resized(&self, width: usize, height: usize) -> Result<Self, EnvError> {
        let mut pixels = vec![0; width * height * 3];
        AreaFilter::new((self.height, self.width), (height, width), 3)?.apply(&self.pixels, &mut pixels);
        Ok(Self { width, height, pixels })
    }

    /// The image made smaller, its sides in the same ratio, until it fits; one that fits already is kept as
    /// it is.
    ///
    /// # Errors
    /// [`EnvError::Option`] for a side of 0 pixels.
    pub fn fitted(self, width: usize, height: usize) -> Result<Self, EnvError> {
        let factor = (width as f64 / self.width as f64).min(height as f64 / self.height as f64);
        if factor >= 1.0 {
            return Ok(self);
        }
        let side = |pixels: usize| ((pixels as f64 * factor).round() as usize).max(1);
        self.resized(side(self.width), side(self.height))
    }
}
