//! The mark by which a parameter's place and the parameters themselves know that they belong together.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{LazyLock, Mutex, PoisonError};

use super::layout::{ParameterSpec, Role};

/// A sum of a parameter's name and shape and of all parameters that were added before it. Layouts that were made
/// alike have the same keys, whatever is frozen, so that a network can be described twice, in two threads or two
/// programs; others differ from the first parameter on that differs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(u32);

/// The words for a parameter that was described, by its key: for messages. There is one for each parameter of each
/// kind of network.
static DESCRIBED: LazyLock<Mutex<HashMap<u32, Box<str>>>> = LazyLock::new(Mutex::default);

impl Key {
    /// The key of a parameter that is added after the one of this key.
    pub fn after(last: Option<Self>, spec: &ParameterSpec) -> Self {
        let mut sum = DefaultHasher::new();
        last.map(|Self(key)| key).hash(&mut sum);
        (&spec.name, &spec.shape, spec.is_counter, spec.role == Role::Buffer).hash(&mut sum);
        // Half of the sum, so that places stay as small as a pointer; shapes are checked where numbers are used.
        let key = sum.finish() as u32;
        let mut described = DESCRIBED.lock().unwrap_or_else(PoisonError::into_inner);
        described.entry(key).or_insert_with(|| words(spec).into());
        Self(key)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// The parameter of this key, as it was described.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let described = DESCRIBED.lock().unwrap_or_else(PoisonError::into_inner);
        f.write_str(described.get(&self.0).map_or("another parameter", Box::as_ref))
    }
}

/// A parameter in the words of a message.
pub(super) fn words(spec: &ParameterSpec) -> String {
    format!("`{}` {:?}", spec.name, spec.shape)
}
