//! Patterns of parameters' names.

/// True if a name fits a pattern, in which each `*` stands for any characters or none.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(start) => rest = &rest[start + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_all_else_for_itself() {
        for (pattern, name, fits) in [
            ("0.weight", "0.weight", true),
            ("0.weight", "10.weight", false),
            ("0.weight", "0.weight.0", false),
            ("*", "", true),
            ("*", "a.b", true),
            ("features.*", "features.0.weight", true),
            ("features.*", "features", false),
            ("*.bias", "a.b.bias", true),
            ("*.bias", "bias", false),
            ("*.bias", "a.biases", false),
            ("*norm*", "layer_norm.weight", true),
            ("a*b*a", "aba", true),
            ("a*b*a", "ab", false),
            ("a*a", "a", false),
            ("*.0.*", "block.10.0.weight", true),
            ("*.0.*", "block.10.weight", false),
            ("a.?", "a.b", false),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
