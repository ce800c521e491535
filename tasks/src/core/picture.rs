//! Pictures of what a model has learned: sheets of images, matrices.

use font8x8::UnicodeFonts;
use tch::{Device, Kind, Tensor};

use super::error::TaskError;

/// A picture in red, green and blue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Columns of pixels.
    pub width: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Three bytes for each pixel, row after row.
    pub rgb: Vec<u8>,
}

/// Pictures that a model made.
#[derive(Clone, Debug, PartialEq)]
pub struct Pictures {
    /// Channels (1 or 3), height and width of each.
    pub shape: [usize; 3],
    /// The numbers of one after the other, `[channels, height, width]`, from 0 to 1.
    pub numbers: Vec<f32>,
    /// The class that each was made of; empty for models that make none of a given class.
    pub classes: Vec<usize>,
    /// Columns of the sheet that shows them.
    pub columns: usize,
}

impl Pictures {
    /// The pictures `[count, channels, height, width]`, with this number of columns on a sheet.
    ///
    /// # Errors
    /// [`TaskError::Nn`] when the tensor cannot be copied.
    pub fn of(images: &Tensor, columns: usize) -> Result<Self, TaskError> {
        let (shape, numbers) = numbers_of(images)?;
        Ok(Self { shape, numbers, classes: Vec::new(), columns })
    }

    /// All of them on one sheet.
    pub fn sheet(&self) -> Picture {
        drawn(self.shape, &self.numbers, self.columns)
    }
}

/// Pixels between the images of a sheet.
const GAP: usize = 2;
/// The side of a cell of a matrix.
const CELL: usize = 36;
const WHITE: [u8; 3] = [255; 3];

impl Picture {
    /// A picture of one colour.
    pub fn filled(width: usize, height: usize, color: [u8; 3]) -> Self {
        Self { width, height, rgb: color.repeat(width * height) }
    }

    fn set(&mut self, x: usize, y: usize, color: [u8; 3]) {
        if x < self.width && y < self.height {
            let at = (y * self.width + x) * 3;
            self.rgb[at..at + 3].copy_from_slice(&color);
        }
    }

    fn rectangle(&mut self, (x, y): (usize, usize), (width, height): (usize, usize), color: [u8; 3]) {
        for row in y..y + height {
            (x..x + width).for_each(|column| self.set(column, row, color));
        }
    }

    /// Text from (x, y) on, eight pixels a letter.
    fn text(&mut self, (x, y): (usize, usize), text: &str, color: [u8; 3]) {
        for (index, letter) in text.chars().enumerate() {
            let rows = font8x8::BASIC_FONTS.get(letter).unwrap_or_default();
            for (row, bits) in rows.into_iter().enumerate() {
                let set = (0..8).filter(|bit| bits >> bit & 1 == 1);
                set.for_each(|bit| self.set(x + index * 8 + bit, y + row, color));
            }
        }
    }
}

/// Images `[count, channels, height, width]` (1 or 3 channels, numbers from 0 to 1) on one sheet with so many
/// columns. Small ones are drawn larger.
///
/// # Errors
/// [`TaskError::Nn`] when the tensor has another shape.
pub fn sheet(images: &Tensor, columns: usize) -> Result<Picture, TaskError> {
    let (shape, numbers) = numbers_of(images)?;
    Ok(drawn(shape, &numbers, columns))
}

/// The shape of each image, and the numbers of all.
fn numbers_of(images: &Tensor) -> Result<([usize; 3], Vec<f32>), TaskError> {
    let (_, channels, height, width) = images.size4().map_err(|error| {
        TaskError::Unsupported(format!("a sheet is drawn of [count, channels, height, width]: {error}"))
    })?;
    let numbers = images.f_detach()?.f_to(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    let numbers = Vec::<f32>::try_from(numbers.f_view([-1])?)?;
    Ok(([channels, height, width].map(|size| size as usize), numbers))
}

fn drawn([channels, height, width]: [usize; 3], numbers: &[f32], columns: usize) -> Picture {
    let count = numbers.len() / (channels * height * width).max(1);
    let columns = columns.clamp(1, count.max(1));
    let rows = count.div_ceil(columns);
    let scale = (56 / height.max(width).max(1)).max(1);
    let (cell_width, cell_height) = (width * scale + GAP, height * scale + GAP);
    let mut picture = Picture::filled(columns * cell_width + GAP, rows * cell_height + GAP, [40, 60, 110]);
    for index in 0..count {
        let (left, top) = (GAP + index % columns * cell_width, GAP + index / columns * cell_height);
        for y in 0..height {
            for x in 0..width {
                let channel = |channel: usize| {
                    let at = ((index * channels + channel.min(channels - 1)) * height + y) * width + x;
                    (numbers[at].clamp(0.0, 1.0) * 255.0).round() as u8
                };
                let place = (left + x * scale, top + y * scale);
                picture.rectangle(place, (scale, scale), [channel(0), channel(1), channel(2)]);
            }
        }
    }
    picture
}

/// How often each class (row) was taken for each class (column), with the counts: dark where a class's
/// samples mostly are.
pub fn confusion(counts: &[Vec<u64>], names: &[String]) -> Picture {
    let label = |name: &String| name.chars().take(4).collect::<String>();
    let side = CELL * (counts.len() + 1);
    let mut picture = Picture::filled(side, side, WHITE);
    for (row, of_class) in counts.iter().enumerate() {
        let all = of_class.iter().sum::<u64>().max(1) as f64;
        let offset = CELL * (row + 1);
        picture.text((2, offset + CELL / 2 - 4), &label(&names[row]), [0; 3]);
        picture.text((offset + 2, CELL / 2 - 4), &label(&names[row]), [0; 3]);
        for (column, &count) in of_class.iter().enumerate() {
            let share = count as f64 / all;
            let fade = |full: f64| (255.0 - (255.0 - full) * share.sqrt()) as u8;
            let color = if row == column {
                [fade(0.0), fade(90.0), fade(160.0)]
            } else {
                [fade(200.0), fade(60.0), fade(0.0)]
            };
            let place = (CELL * (column + 1), offset);
            picture.rectangle(place, (CELL - 1, CELL - 1), color);
            if count > 0 {
                let ink = if share > 0.3 { WHITE } else { [0; 3] };
                let text = count.to_string();
                let left = (CELL.saturating_sub(8 * text.len())) / 2;
                picture.text((place.0 + left, place.1 + CELL / 2 - 4), &text, ink);
            }
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_shows_each_image_in_its_place() {
        let images = Tensor::from_slice(&[0f32, 1.0, 0.5, 0.25]).reshape([4, 1, 1, 1]);
        let picture = sheet(&images, 2).unwrap();
        assert_eq!((picture.width, picture.height), (2 * 58 + 2, 2 * 58 + 2));
        let at = |x: usize, y: usize| picture.rgb[(y * picture.width + x) * 3];
        assert_eq!([at(2, 2), at(60, 2), at(2, 60), at(60, 60)], [0, 255, 128, 64]);
    }

    #[test]
    fn a_matrix_is_dark_where_the_samples_are() {
        let names = ["a".to_string(), "b".to_string()];
        let picture = confusion(&[vec![9, 0], vec![0, 9]], &names);
        let at = |row: usize, column: usize| {
            let (x, y) = (CELL * (column + 1) + 2, CELL * (row + 1) + 2);
            picture.rgb[(y * picture.width + x) * 3]
        };
        assert!(at(0, 0) < 50 && at(0, 1) == 255 && at(1, 0) == 255 && at(1, 1) < 50);
    }
}
