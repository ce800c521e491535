//! From observations as environments write them to the numbers that a network takes.

use pavlov_envs::{BoxSpace, Dtype, ObsRef, Space};

/// Flattens an observation into one row of `f32`: boxes of `f32` and bits as they are, bytes divided by 255, each
/// discrete number as a one-hot code. A dict's entries follow one another.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoder {
    parts: Vec<Part>,
    width: usize,
    plain: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Floats(usize),
    Bytes(usize),
    OneHot(usize),
}

impl Encoder {
    /// The encoder of observations from `space`.
    pub fn new(space: &Space) -> Self {
        let mut parts = Vec::new();
        collect(space, &mut parts);
        let width = parts.iter().map(|part| match part {
            Part::Floats(n) | Part::Bytes(n) | Part::OneHot(n) => n,
        });
        let plain = parts.iter().all(|part| matches!(part, Part::Floats(_)));
        Self { width: width.sum(), plain, parts }
    }

    /// How many numbers an encoded observation has.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Writes the encoded observation into `row`, which has [`Encoder::width`] numbers.
    pub fn encode(&self, observation: ObsRef<'_>, row: &mut [f32]) {
        if self.plain {
            row.copy_from_slice(observation.floats);
            return;
        }
        let (mut floats, mut bytes, mut row) = (observation.floats, observation.bytes, row);
        for part in &self.parts {
            let (Part::Floats(n) | Part::Bytes(n) | Part::OneHot(n)) = part;
            let (head, tail) = row.split_at_mut(*n);
            match part {
                Part::Floats(n) => {
                    head.copy_from_slice(&floats[..*n]);
                    floats = &floats[*n..];
                }
                Part::Bytes(n) => {
                    head.iter_mut().zip(bytes).for_each(|(out, &byte)| *out = f32::from(byte) / 255.0);
                    bytes = &bytes[*n..];
                }
                Part::OneHot(n) => {
                    head.fill(0.0);
                    head[(floats[0] as usize).min(n - 1)] = 1.0;
                    floats = &floats[1..];
                }
            }
            row = tail;
        }
    }
}

fn collect(space: &Space, parts: &mut Vec<Part>) {
    match space {
        Space::Discrete(n) => parts.push(Part::OneHot(*n as usize)),
        Space::MultiDiscrete(counts) => parts.extend(counts.iter().map(|&n| Part::OneHot(n as usize))),
        Space::MultiBinary(n) => parts.push(Part::Floats(*n)),
        Space::Box(space @ BoxSpace { dtype: Dtype::F32, .. }) => parts.push(Part::Floats(space.len())),
        Space::Box(space) => parts.push(Part::Bytes(space.len())),
        Space::Dict(entries) => entries.iter().for_each(|(_, entry)| collect(entry, parts)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dict_becomes_one_row_in_the_order_of_its_entries() {
        let pixels = BoxSpace { low: vec![0.0; 2], high: vec![255.0; 2], shape: vec![2], dtype: Dtype::U8 };
        let space = Space::Dict(vec![
            ("choice".into(), Space::Discrete(3)),
            ("pixels".into(), Space::Box(pixels)),
            ("bits".into(), Space::MultiBinary(2)),
        ]);
        let encoder = Encoder::new(&space);
        let mut row = [9.0; 7];
        encoder.encode(ObsRef { floats: &[2.0, 1.0, 0.0], bytes: &[255, 51] }, &mut row);
        assert_eq!(row, [0.0, 0.0, 1.0, 1.0, 0.2, 1.0, 0.0]);
    }
}
