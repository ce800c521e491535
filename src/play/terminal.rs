//! Pictures in a terminal: text, or images made of half blocks.

use std::fmt::Write;

use anyhow::Result;
use pavlov_envs::render::Picture;

/// Moves to the upper left without clearing the screen, so that the picture does not flicker.
const HOME: &str = "\x1b[H";
const END_OF_LINE: &str = "\x1b[K";
const REST: &str = "\x1b[J";

/// A picture as text for a terminal of `columns` x `rows` letters, with a line below it. An image is drawn
/// with half blocks: each letter shows two pixels, one above the other, in 24-bit colour.
///
/// # Errors
/// When the terminal has no room at all.
pub fn draw(picture: &Picture, caption: &str, columns: usize, rows: usize) -> Result<String> {
    let mut out = String::from(HOME);
    match picture {
        Picture::Text(text) => {
            text.lines().for_each(|line| _ = write!(out, "{line}{END_OF_LINE}\r\n"));
        }
        Picture::Frame(frame) => {
            let frame = frame.clone().fitted(columns.max(1), rows.saturating_sub(2).max(1) * 2)?;
            let (pixels, _) = frame.pixels.as_chunks::<3>();
            for rows in pixels.chunks(frame.width * 2) {
                let (upper, lower) = rows.split_at(frame.width);
                for (column, [r, g, b]) in upper.iter().enumerate() {
                    let [lr, lg, lb] = lower.get(column).unwrap_or(&[0, 0, 0]);
                    let _ = write!(out, "\x1b[38;2;{r};{g};{b};48;2;{lr};{lg};{lb}m\u{2580}");
                }
                let _ = write!(out, "\x1b[0m{END_OF_LINE}\r\n");
            }
        }
    }
    let _ = write!(out, "{caption}{END_OF_LINE}{REST}");
    Ok(out)
}

#[cfg(test)]
mod tests {
    use pavlov_envs::render::Frame;

    use super::*;

    #[test]
    fn an_image_fits_the_terminal_two_pixels_to_a_letter() {
        let frame = Frame { width: 40, height: 20, pixels: [9, 8, 7].repeat(800) };
        let text = draw(&Picture::Frame(frame), "caption", 20, 12).unwrap();
        assert_eq!(text.matches('\u{2580}').count(), 20 * 5);
        assert!(text.contains("38;2;9;8;7;48;2;9;8;7") && text.contains("caption"));
        assert_eq!(draw(&Picture::Text("ab\ncd".into()), "", 20, 12).unwrap().matches("\r\n").count(), 2);
    }
}
