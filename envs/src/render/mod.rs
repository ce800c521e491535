//! What a world looks like to people.

mod canvas;

pub use canvas::{Canvas, Color};

/// A picture of a world as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Picture {
    /// Lines of text, with ANSI colours where they help.
    Text(String),
    /// An image.
    Frame(Frame),
}

/// An RGB image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
    /// Red, green and blue of each pixel, row by row from the top: `height * width * 3` bytes.
    pub pixels: Vec<u8>,
}
