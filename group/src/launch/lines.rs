//! The output of a child, cut into lines with its rank before each.

use std::time::{Duration, Instant};

/// A longer line is shown in pieces.
const LONGEST: usize = 256 * 1024;

/// A progress bar that draws itself anew with carriage returns is shown this often.
const BAR: Duration = Duration::from_secs(10);

/// Collects the bytes of one stream of a child until a line is whole.
#[derive(Debug)]
pub(super) struct Lines {
    prefix: Vec<u8>,
    /// The line so far.
    pending: Vec<u8>,
    /// True if the last byte was a carriage return: a line feed after it ends the line, all else overwrites
    /// it.
    returned: bool,
    /// When a line that is overwritten was shown last.
    bar: Option<Instant>,
}

impl Lines {
    /// Before the first byte of the child with this rank.
    pub fn new(rank: usize) -> Self {
        Self { prefix: format!("[rank {rank}] ").into_bytes(), ..Self::bare() }
    }

    /// The same for lines that stay as they are.
    pub fn bare() -> Self {
        Self { prefix: Vec::new(), pending: Vec::new(), returned: false, bar: None }
    }

    /// Takes what the child wrote, and appends the lines that it completes to `whole`. Of a line that is
    /// overwritten again and again, its last state is shown, and before that one every ten seconds.
    pub fn take(&mut self, mut bytes: &[u8], now: Instant, whole: &mut Vec<u8>) {
        while !bytes.is_empty() {
            if self.returned {
                self.returned = false;
                if bytes[0] != b'\n' {
                    let due = self.bar.is_none_or(|shown| now.duration_since(shown) >= BAR);
                    if due && !self.pending.is_empty() {
                        self.bar = Some(now);
                        self.end_line(whole);
                    }
                    self.pending.clear();
                }
            }
            let room = LONGEST - self.pending.len();
            let part = &bytes[..bytes.len().min(room)];
            let length = part.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(part.len());
            self.pending.extend_from_slice(&part[..length]);
            match part.get(length) {
                Some(b'\n') => self.end_line(whole),
                Some(_) => self.returned = true,
                None if self.pending.len() == LONGEST => self.end_line(whole),
                None => {}
            }
            bytes = &bytes[(length + 1).min(part.len())..];
        }
    }

    /// The child has closed the stream: appends what is left.
    pub fn finish(&mut self, whole: &mut Vec<u8>) {
        if !self.pending.is_empty() {
            self.end_line(whole);
        }
    }

    fn end_line(&mut self, whole: &mut Vec<u8>) {
        whole.extend_from_slice(&self.prefix);
        whole.append(&mut self.pending);
        whole.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that are shown of these pieces, all within ten seconds.
    fn shown(pieces: &[&[u8]]) -> String {
        let (mut lines, mut whole) = (Lines::new(3), Vec::new());
        let now = Instant::now();
        for piece in pieces {
            lines.take(piece, now, &mut whole);
        }
        lines.finish(&mut whole);
        String::from_utf8_lossy(&whole).replace("[rank 3] ", ">")
    }

    #[test]
    fn lines_are_whole_and_carry_the_rank() {
        assert_eq!(shown(&[b"one\ntw", b"o\n", b"\nthr", b"ee"]), ">one\n>two\n>\n>three\n");
        assert_eq!(shown(&[]), "");
        assert_eq!(shown(&[b"last\n"]), ">last\n");
    }

    #[test]
    fn carriage_returns_overwrite() {
        assert_eq!(shown(&[b"one\r", b"\ntwo\r\n"]), ">one\n>two\n");
        // The first state, and the last one.
        assert_eq!(shown(&[b"10%\r20%\r", b"30%\r100%\n", b"done\n"]), ">10%\n>100%\n>done\n");
        assert_eq!(shown(&[b"10%\r20%\r"]), ">10%\n>20%\n");
    }

    #[test]
    fn a_bar_is_shown_now_and_then() {
        let (mut lines, mut whole) = (Lines::new(0), Vec::new());
        let start = Instant::now();
        for second in 0..25 {
            let now = start + Duration::from_secs(second);
            lines.take(format!("\r{second}").as_bytes(), now, &mut whole);
        }
        lines.finish(&mut whole);
        let text = String::from_utf8_lossy(&whole);
        let states: Vec<&str> = text.lines().collect();
        assert_eq!(states, ["[rank 0] 0", "[rank 0] 10", "[rank 0] 20", "[rank 0] 24"]);
    }

    #[test]
    fn bytes_pass_as_they_are() {
        let (mut lines, mut whole) = (Lines::new(0), Vec::new());
        lines.take(b"\xff\xfe\0\n", Instant::now(), &mut whole);
        assert_eq!(whole, b"[rank 0] \xff\xfe\0\n");
    }

    #[test]
    fn endless_lines_come_in_pieces() {
        let (mut lines, mut whole) = (Lines::new(0), Vec::new());
        lines.take(&vec![b'x'; LONGEST + 10], Instant::now(), &mut whole);
        lines.finish(&mut whole);
        let lengths: Vec<usize> = whole.split(|byte| *byte == b'\n').map(<[u8]>::len).collect();
        assert_eq!(lengths, [LONGEST + 9, 19, 0]);
    }
}
