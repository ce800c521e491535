//! The layouts of an observation's boxes, as `net.layout` gives them.

use std::collections::BTreeMap;
use std::fmt;

use pavlov_envs::{BoxLayout, Dtype, Space};
use pavlov_nn::NnError;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The boxes of an observation that are pictures, and the places of their channels.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum LayoutConfig {
    /// As the environment declares it, or else as the box's shape says ([`BoxLayout::of_shape`]); in a file
    /// the word "auto".
    #[default]
    Auto,
    /// The observation, or the only box of a dict, is of this layout; "numbers" is said of all boxes.
    All(BoxLayout),
    /// For each of these entries of a dict its own; the others are as with "auto". In a file a table:
    /// `layout = { camera = "channels_last", board = "numbers" }`.
    ByKey(BTreeMap<String, BoxLayout>),
}

impl Serialize for LayoutConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::All(layout) => layout.serialize(serializer),
            Self::ByKey(entries) => entries.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for LayoutConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrTable;

        impl<'de> Visitor<'de> for WordOrTable {
            type Value = LayoutConfig;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(
                    "\"auto\", \"channels_first\", \"channels_last\", \"grey\", \"numbers\", or a table of these by the \
                     entries' keys",
                )
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<LayoutConfig, E> {
                match word {
                    "auto" => Ok(LayoutConfig::Auto),
                    word => BoxLayout::deserialize(word.into_deserializer()).map(LayoutConfig::All),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<LayoutConfig, A::Error> {
                BTreeMap::deserialize(MapAccessDeserializer::new(entries)).map(LayoutConfig::ByKey)
            }
        }

        deserializer.deserialize_any(WordOrTable)
    }
}

impl LayoutConfig {
    /// The space with these layouts.
    ///
    /// # Errors
    /// [`NnError::Config`] for a layout that does not fit its box, or a key that names none.
    pub fn apply(&self, space: &Space) -> Result<Space, NnError> {
        let mut space = space.clone();
        let mut boxes = Vec::new();
        collect(&mut space, "", &mut boxes);
        match self {
            Self::Auto => {}
            Self::All(layout) => {
                if *layout != BoxLayout::Numbers && boxes.len() > 1 {
                    let keys = names(&boxes);
                    return refuse(format!(
                        "it is `{layout}` for one box, and the observation has {keys}: give {EXAMPLE}"
                    ));
                }
                if boxes.is_empty() {
                    return refuse(format!(
                        "it is `{layout}`, and the observation has no box: leave it at \"auto\""
                    ));
                }
                boxes.into_iter().try_for_each(|(_, place)| declare(place, *layout))?;
            }
            Self::ByKey(entries) => {
                for (key, layout) in entries {
                    let Some((_, place)) = boxes.iter_mut().find(|(name, _)| name == key) else {
                        let hint =
                            pavlov_common::did_you_mean(key, boxes.iter().map(|(name, _)| name.as_str()));
                        let keys = names(&boxes);
                        return refuse(format!(
                            "the observation has no box `{key}`{hint}; there are: {keys}"
                        ));
                    };
                    declare(place, *layout)?;
                }
            }
        }
        Ok(space)
    }
}

const EXAMPLE: &str = "{ camera = \"channels_last\" }, with the entry's own key";

/// Refuses bytes that may be a picture whose channels nobody has declared.
///
/// # Errors
/// [`NnError::Config`] that names the entry and the setting.
pub(super) fn refuse_unclear(space: &Space) -> Result<(), NnError> {
    let mut space = space.clone();
    let mut boxes = Vec::new();
    collect(&mut space, "", &mut boxes);
    let unclear = boxes.iter().find(|(_, place)| {
        matches!(place, Space::Box(inner) if inner.dtype == Dtype::U8 && inner.layout == BoxLayout::Unclear)
    });
    let Some((key, place)) = unclear else { return Ok(()) };
    let dimensions = if let Space::Box(inner) = &**place { inner.shape.len() } else { 0 };
    let what = name_of(key);
    let keyed = if key.is_empty() { "" } else { ", in a table by the entry's key" };
    if dimensions != 3 {
        return refuse(format!(
            "{what}, {place}, has {dimensions} dimensions, and a picture has 2 or 3: stack pictures with the wrapper \
             `frame_stack`, or set net.layout to \"numbers\"{keyed}"
        ));
    }
    refuse(format!(
        "{what}, {place}, may be a picture, and its shape does not say where its channels are: set net.layout to \
         \"channels_first\", \"channels_last\" or \"numbers\"{keyed}"
    ))
}

fn declare(place: &mut Space, layout: BoxLayout) -> Result<(), NnError> {
    if let Space::Box(inner) = place {
        *inner = inner.clone().with_layout(layout).or_else(|error| refuse(error.to_string()))?;
    }
    Ok(())
}

fn refuse<T>(message: String) -> Result<T, NnError> {
    Err(NnError::Config(format!("net.layout: {message}")))
}

/// The observation, or its entry of this key.
pub(super) fn name_of(key: &str) -> String {
    match key {
        "" => "the observation".into(),
        key => format!("the observation's entry `{key}`"),
    }
}

fn names(boxes: &[(String, &mut Space)]) -> String {
    boxes.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The boxes of a space by their keys, `outer.inner` in a dict of a dict.
fn collect<'a>(space: &'a mut Space, key: &str, boxes: &mut Vec<(String, &'a mut Space)>) {
    match space {
        Space::Dict(entries) => {
            for (name, entry) in entries {
                let path = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                collect(entry, &path, boxes);
            }
        }
        Space::Box(_) => boxes.push((key.to_string(), space)),
        _ => {}
    }
}
