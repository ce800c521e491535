//! Pictures held in memory as bytes.

use crate::{DataError, Dataset, Input, SampleMut, Target, content_hash};

/// Pictures with a class each, one byte for each number: 0 stands for 0 and 255 for 1.
#[derive(Debug)]
pub struct ByteImages {
    input: Input,
    target: Target,
    size: usize,
    pixels: Vec<u8>,
    classes: Vec<u16>,
    identities: Vec<u64>,
    test_begin: Option<usize>,
}

impl ByteImages {
    /// Pictures of one size `[channels, height, width]`, the bytes of one after the other in that order, and
    /// the class of each, a place in `names`.
    ///
    /// # Errors
    /// [`DataError::Data`] when a size is 0, the bytes are not those of as many pictures as there are
    /// classes, or a class has no name.
    pub fn new(
        shape: [usize; 3],
        pixels: Vec<u8>,
        classes: Vec<u16>,
        names: Vec<String>,
    ) -> Result<Self, DataError> {
        let [channels, height, width] = shape;
        let size = channels.checked_mul(height).and_then(|size| size.checked_mul(width));
        let bytes = size.and_then(|size| size.checked_mul(classes.len()));
        let (Some(size @ 1..), true) = (size, bytes == Some(pixels.len())) else {
            let (pictures, bytes) = (classes.len(), pixels.len());
            let message = format!("{bytes} bytes are not {pictures} pictures of the shape {shape:?}");
            return Err(DataError::Data(message));
        };
        if let Some(picture) = classes.iter().position(|class| usize::from(*class) >= names.len()) {
            let (class, names) = (classes[picture], names.len());
            let message = format!("picture {picture} has class {class}, but there are {names} classes");
            return Err(DataError::Data(message));
        }
        let identities = pixels.chunks_exact(size).map(content_hash).collect();
        let (input, target) = (Input::Image { channels, height, width }, Target::Class { names });
        Ok(Self { input, target, size, pixels, classes, identities, test_begin: None })
    }

    /// Sets the pictures from `begin` on apart for testing ([`Dataset::test_begin`]).
    pub fn with_test_begin(mut self, begin: usize) -> Self {
        self.test_begin = Some(begin);
        self
    }

    /// The bytes of one picture, `[channels, height, width]`; none behind the last.
    pub fn pixels(&self, index: usize) -> &[u8] {
        self.pixels.chunks_exact(self.size).nth(index).unwrap_or_default()
    }
}

impl Dataset for ByteImages {
    fn input(&self) -> &Input {
        &self.input
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn len(&self) -> usize {
        self.classes.len()
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.classes.get(index).map(|class| usize::from(*class))
    }

    fn identity(&self, index: usize) -> u64 {
        self.identities.get(index).copied().unwrap_or(0)
    }

    fn test_begin(&self) -> Option<usize> {
        self.test_begin
    }

    fn read(&self, index: usize, sample: SampleMut<'_>) -> Result<(), DataError> {
        let pixels = self.pixels(index);
        if pixels.is_empty() {
            return Err(DataError::Data(format!("there is no picture {index} among {}", self.len())));
        }
        for (number, byte) in sample.numbers.iter_mut().zip(pixels) {
            *number = f32::from(*byte) / 255.0;
        }
        Ok(())
    }
}
