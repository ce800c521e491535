//! Colours of a terminal, with the codes that Gymnasium uses.

/// Coloured letters.
pub(super) const BLUE: &str = "34;1";
pub(super) const MAGENTA: &str = "35";
/// Coloured backgrounds.
pub(super) const ON_RED: &str = "41";
pub(super) const ON_GREEN: &str = "42";
pub(super) const ON_YELLOW: &str = "43";

/// `text` in this style.
pub(super) fn paint(text: &str, style: &str) -> String {
    format!("\x1b[{style}m{text}\x1b[0m")
}
