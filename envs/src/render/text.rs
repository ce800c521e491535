//! Text as an image, so that a world of letters can be filmed as well.

use font8x8::UnicodeFonts;

use super::{Color, Frame};

/// Pixels of the image for each dot of a letter; a letter has 8 x 8.
const SCALE: usize = 2;
const LETTER: usize = 8 * SCALE;

const INK: Color = [230, 230, 230];
const PAPER: Color = [24, 24, 24];

/// A terminal's eight colours.
const COLORS: [Color; 8] = [
    [40, 40, 40],
    [205, 62, 62],
    [60, 170, 80],
    [205, 165, 50],
    [80, 130, 235],
    [190, 90, 190],
    [60, 170, 180],
    [220, 220, 220],
];

/// The suits of cards, which the fonts lack: a byte for each row of dots, the lowest bit on the left.
const SUITS: [(char, [u8; 8]); 4] = [
    ('\u{2660}', [0x08, 0x1c, 0x3e, 0x7f, 0x6b, 0x08, 0x1c, 0x00]),
    ('\u{2663}', [0x1c, 0x1c, 0x6b, 0x7f, 0x6b, 0x08, 0x1c, 0x00]),
    ('\u{2665}', [0x36, 0x7f, 0x7f, 0x7f, 0x3e, 0x1c, 0x08, 0x00]),
    ('\u{2666}', [0x08, 0x1c, 0x3e, 0x7f, 0x3e, 0x1c, 0x08, 0x00]),
];

#[derive(Clone, Copy)]
struct Style {
    ink: Color,
    paper: Color,
}

const PLAIN: Style = Style { ink: INK, paper: PAPER };

/// The lines as a terminal shows them. Codes that set colours are followed, others are ignored.
pub(super) fn draw(text: &str) -> Frame {
    let lines = styled_lines(text);
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default().max(1);
    let rows = lines.len().max(1);
    // A margin of half a letter all around.
    let (width, height) = ((columns + 1) * LETTER, (rows + 1) * LETTER);
    let mut frame = Frame { width, height, pixels: PAPER.repeat(width * height) };
    for (row, line) in lines.iter().enumerate() {
        for (column, (letter, style)) in line.iter().enumerate() {
            put(&mut frame, (LETTER / 2 + row * LETTER, LETTER / 2 + column * LETTER), *letter, *style);
        }
    }
    frame
}

fn styled_lines(text: &str) -> Vec<Vec<(char, Style)>> {
    let mut style = PLAIN;
    text.lines()
        .map(|line| {
            let mut letters = Vec::new();
            let mut rest = line.chars();
            while let Some(letter) = rest.next() {
                if letter != '\x1b' {
                    letters.push((letter, style));
                    continue;
                }
                let code: String = rest.by_ref().skip(1).take_while(|c| !c.is_ascii_alphabetic()).collect();
                code.split(';').for_each(|number| follow(number, &mut style));
            }
            letters
        })
        .collect()
}

fn follow(number: &str, style: &mut Style) {
    match number.parse::<usize>() {
        Ok(0) | Err(_) => *style = PLAIN,
        Ok(7) => *style = Style { ink: style.paper, paper: style.ink },
        Ok(code @ (30..=37 | 90..=97)) => style.ink = COLORS[code % 10],
        Ok(code @ (40..=47 | 100..=107)) => style.paper = COLORS[code % 10],
        Ok(_) => {}
    }
}

fn put(frame: &mut Frame, (top, left): (usize, usize), letter: char, style: Style) {
    let suit = |letter| SUITS.iter().find(|(suit, _)| *suit == letter).map(|(_, glyph)| *glyph);
    let fonts: [&dyn Fn(char) -> Option<[u8; 8]>; 5] = [
        &suit,
        &|letter| font8x8::BASIC_FONTS.get(letter),
        &|letter| font8x8::BOX_FONTS.get(letter),
        &|letter| font8x8::BLOCK_FONTS.get(letter),
        &|letter| font8x8::LATIN_FONTS.get(letter),
    ];
    let glyph = fonts.iter().find_map(|font| font(letter)).unwrap_or_default();
    for y in 0..LETTER {
        for x in 0..LETTER {
            let inked = glyph[y / SCALE] >> (x / SCALE) & 1 == 1;
            let at = ((top + y) * frame.width + left + x) * 3;
            frame.pixels[at..at + 3].copy_from_slice(if inked { &style.ink } else { &style.paper });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colors(frame: &Frame) -> Vec<&[u8]> {
        let mut colors: Vec<_> = frame.pixels.chunks_exact(3).collect();
        colors.sort_unstable();
        colors.dedup();
        colors
    }

    #[test]
    fn letters_have_their_colours_and_codes_take_no_room() {
        let plain = draw("ab\nc");
        assert_eq!((plain.width, plain.height), (3 * LETTER, 3 * LETTER));
        assert_eq!(colors(&plain), [&PAPER, &INK]);
        let red = draw("\x1b[41ma\x1b[0mb\nc");
        assert_eq!((red.width, red.height), (plain.width, plain.height));
        assert_eq!(colors(&red), [&PAPER, &COLORS[1], &INK]);
    }

    #[test]
    fn nothing_and_unknown_letters_are_blank() {
        assert_eq!(colors(&draw("")), [&PAPER]);
        assert_eq!(colors(&draw("\u{1f600}")), [&PAPER]);
        assert_eq!(colors(&draw("\x1b[")), [&PAPER]);
    }
}
