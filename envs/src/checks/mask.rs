//! The check of how a world declares its action mask.

use std::ops::Range;

use crate::{ACTION_MASK, EnvError, Space};

/// The choices of each part of an action, as places in the mask; none without a mask.
///
/// # Errors
/// [`EnvError::Contract`] for a mask that no agent would see: in an inner dict, of another kind or width, or
/// for actions that are not discrete.
pub(super) fn choices(observations: &Space, actions: &Space) -> Result<Vec<Range<usize>>, EnvError> {
    let Space::Dict(entries) = observations else { return Ok(Vec::new()) };
    if let Some((key, _)) = entries.iter().find(|(_, entry)| holds_mask(entry)) {
        return refuse(format!("`{key}.{ACTION_MASK}` is no entry of the outermost dict: move it there"));
    }
    let Some((_, mask)) = entries.iter().find(|(key, _)| key == ACTION_MASK) else { return Ok(Vec::new()) };
    let counts: &[i64] = match actions {
        Space::Discrete(n) => std::slice::from_ref(n),
        Space::MultiDiscrete(counts) => counts,
        _ => {
            return refuse(format!(
                "`{ACTION_MASK}` is for discrete actions, the environment's are {actions}: rename the entry"
            ));
        }
    };
    let width = counts.iter().map(|&count| usize::try_from(count).unwrap_or(0)).sum::<usize>();
    match mask {
        Space::MultiBinary(n) if *n == width => {}
        _ => {
            return refuse(format!(
                "`{ACTION_MASK}` is declared as {mask}, the actions as {actions}: declare it as MultiBinary({width}), \
                 one bit for each choice"
            ));
        }
    }
    let mut end = 0;
    let choices = counts.iter().map(|&count| {
        let begin = end;
        end += usize::try_from(count).unwrap_or(0);
        begin..end
    });
    Ok(choices.collect())
}

/// True if a dict within this space has an entry for a mask.
fn holds_mask(space: &Space) -> bool {
    let Space::Dict(entries) = space else { return false };
    entries.iter().any(|(key, entry)| key == ACTION_MASK || holds_mask(entry))
}

fn refuse<T>(message: String) -> Result<T, EnvError> {
    Err(EnvError::Contract(message))
}
