//! Files of results, which appear whole or not at all, their names, and paths in messages.

use std::path::Path;

use anyhow::{Context, Result, bail};
use pavlov_nn::weights::write_atomically;

/// Writes the file; what stood there before stays where that fails.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write_whole(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    write_atomically(path, |beside| std::fs::write(beside, contents))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// The first of the names `stem`, `stem-2`, `stem-3` and so on that nothing in the folder has.
pub(crate) fn free_name(folder: &Path, stem: &str) -> String {
    let mut name = stem.to_string();
    let mut number = 2;
    while folder.join(&name).exists() {
        name = format!("{stem}-{number}");
        number += 1;
    }
    name
}

/// Refuses a file of results whose name ends otherwise than its kind: another ending would promise another kind.
///
/// # Errors
/// When the ending is not `ending`, in small or capital letters.
pub(crate) fn check_ending(flag: &str, path: &Path, ending: &str) -> Result<()> {
    if path.extension().is_some_and(|own| own.eq_ignore_ascii_case(ending)) {
        return Ok(());
    }
    let kind = ending.to_uppercase();
    bail!("{flag} {}: the file is of the kind {kind}, give a name that ends in .{ending}", path.display())
}

/// A path as a shell takes it for one word, for commands that messages suggest.
pub(crate) fn for_shell(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |letter: char| letter.is_alphanumeric() || "_./:=@%+,-".contains(letter);
    // A word that begins with a dash would be a flag.
    let text = if text.starts_with('-') { format!("./{text}") } else { text };
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_one_word_of_a_shell() {
        for (path, word) in [
            ("runs/CartPole-v1/dqn-0-20260101T000000", "runs/CartPole-v1/dqn-0-20260101T000000"),
            ("../my-shop", "../my-shop"),
            ("my runs/a", "'my runs/a'"),
            ("a b/it's", "'a b/it'\\''s'"),
            ("it's", "'it'\\''s'"),
            ("$HOME;x", "'$HOME;x'"),
            ("-x", "./-x"),
            ("", "''"),
        ] {
            assert_eq!(for_shell(Path::new(path)), word);
        }
    }

    #[test]
    fn an_ending_that_promises_another_kind_is_refused() {
        for (path, is_right) in
            [("a.gif", true), ("a.GIF", true), ("x.mp4", false), ("gif", false), ("a.", false)]
        {
            let checked = check_ending("--gif", Path::new(path), "gif");
            assert_eq!(checked.is_ok(), is_right, "{path}");
            if let Err(error) = checked {
                assert!(error.to_string().contains("ends in .gif"), "{error}");
            }
        }
    }
}
