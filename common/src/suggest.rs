//! The nearest right name, for error messages about a wrong one.

/// The candidate that is nearest to `name`, if one is near enough to be meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let similarity = |candidate: &str| strsim::jaro_winkler(&wanted, &candidate.to_lowercase());
    candidates
        .into_iter()
        .map(|candidate| (similarity(candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// ` (did you mean \`x\`?)`, or nothing: the end of an error message.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map_or_else(String::new, |nearest| format!(" (did you mean `{nearest}`?)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_nonsense_is_not() {
        let names = ["CartPole-v0", "CartPole-v1", "Acrobot-v1"];
        assert_eq!(nearest("cartpole-v1", names), Some("CartPole-v1"));
        assert_eq!(nearest("CartPol-v1", names), Some("CartPole-v1"));
        assert_eq!(nearest("xyz", names), None);
        assert_eq!(did_you_mean("Akrobot-v1", names), " (did you mean `Acrobot-v1`?)");
    }
}
