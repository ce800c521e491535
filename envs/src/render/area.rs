//! Resizing of pictures by areas.

use crate::EnvError;

/// Writes into each new pixel the mean of the area of the old picture that it covers, edges weighted by their
/// share: OpenCV's INTER_AREA for smaller pictures. A larger picture repeats pixels.
pub(crate) struct AreaFilter {
    rows: Vec<Cover>,
    columns: Vec<Cover>,
    width: usize,
    channels: usize,
    /// The picture with its columns done and its rows still to do.
    narrow: Vec<f32>,
}

/// The old pixels that a new one covers along one dimension.
struct Cover {
    first: usize,
    /// The share of each; they add up to 1.
    shares: Vec<f32>,
}

impl AreaFilter {
    /// A filter from pictures of `[height, width]` to others; each pixel has `channels` numbers.
    pub fn new(from: (usize, usize), to: (usize, usize), channels: usize) -> Result<Self, EnvError> {
        if [from.0, from.1, to.0, to.1, channels].contains(&0) {
            let message =
                format!("a picture of {from:?} cannot be resized to {to:?}: each side needs a pixel");
            return Err(EnvError::Option(message));
        }
        Ok(Self {
            rows: covers(from.0, to.0),
            columns: covers(from.1, to.1),
            width: from.1,
            channels,
            narrow: vec![0.0; from.0 * to.1 * channels],
        })
    }

    /// Writes `from` in the new size into `to`, both row by row with the channels of a pixel together.
    pub fn apply(&mut self, from: &[u8], to: &mut [u8]) {
        let channels = self.channels;
        let line = self.columns.len() * channels;
        for (row, out) in from.chunks_exact(self.width * channels).zip(self.narrow.chunks_exact_mut(line)) {
            for (cover, out) in self.columns.iter().zip(out.chunks_exact_mut(channels)) {
                out.fill(0.0);
                let pixels = row[cover.first * channels..].chunks_exact(channels);
                for (pixel, share) in pixels.zip(&cover.shares) {
                    out.iter_mut().zip(pixel).for_each(|(sum, &byte)| *sum += f32::from(byte) * share);
                }
            }
        }
        for (cover, out) in self.rows.iter().zip(to.chunks_exact_mut(line)) {
            for (column, byte) in out.iter_mut().enumerate() {
                let lines = self.narrow[cover.first * line..].chunks_exact(line);
                let mean: f32 = lines.zip(&cover.shares).map(|(line, share)| line[column] * share).sum();
                *byte = mean.round_ties_even() as u8;
            }
        }
    }
}

fn covers(from: usize, to: usize) -> Vec<Cover> {
    let scale = from as f64 / to as f64;
    (0..to)
        .map(|index| {
            let (start, end) = (index as f64 * scale, (index + 1) as f64 * scale);
            let first = (start as usize).min(from - 1);
            let last = (end.ceil() as usize).clamp(first + 1, from);
            let share = |pixel: usize| {
                let (low, high) = (start.max(pixel as f64), end.min((pixel + 1) as f64));
                ((high - low).max(0.0) / scale) as f32
            };
            Cover { first, shares: (first..last).map(share).collect() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resized(from: &[u8], size: (usize, usize), to: (usize, usize), channels: usize) -> Vec<u8> {
        let mut out = vec![0; to.0 * to.1 * channels];
        AreaFilter::new(size, to, channels).unwrap().apply(from, &mut out);
        out
    }

    #[test]
    fn areas_are_averaged_with_their_shares() {
        assert_eq!(resized(&[10, 20, 30, 40], (2, 2), (1, 1), 1), [25]);
        // Each new pixel covers one old pixel and a half.
        assert_eq!(resized(&[0, 90, 30], (1, 3), (1, 2), 1), [30, 50]);
        assert_eq!(resized(&[0, 100, 50, 200], (1, 2), (1, 1), 2), [25, 150]);
        assert_eq!(resized(&[7, 9], (1, 2), (1, 4), 1), [7, 7, 9, 9]);
    }

    #[test]
    fn nothing_cannot_be_resized() {
        assert!(AreaFilter::new((0, 3), (1, 1), 1).is_err() && AreaFilter::new((3, 3), (1, 0), 1).is_err());
    }
}
