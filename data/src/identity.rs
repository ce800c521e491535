//! Samples recognised by their contents.

/// A hash of 64 bits, the same on every machine and in every version: an identity for [`crate::Dataset`].
///
/// Each word of eight bytes is mixed into the state by SplitMix64's finaliser (Steele, Lea and Flood 2014).
pub fn content_hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let state = words.iter().fold(bytes.len() as u64, |state, word| mix(state ^ u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(state ^ u64::from_le_bytes(last))
}

/// The same of numbers, by their bytes.
pub fn content_hash_of_numbers(numbers: &[f32]) -> u64 {
    content_hash(&numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>())
}

fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_byte_and_the_length_count() {
        let base = [7u8; 21];
        let mut seen = HashSet::from([content_hash(&base)]);
        for place in 0..base.len() {
            let mut other = base;
            other[place] ^= 1;
            assert!(seen.insert(content_hash(&other)), "byte {place}");
        }
        for length in 0..16 {
            assert!(seen.insert(content_hash(&[0u8; 16][..length])), "length {length}");
        }
    }
}
