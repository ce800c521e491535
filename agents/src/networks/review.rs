//! The way of an observation into the networks, in words, and the settings of `net.*` that have no effect on it.

use pavlov_envs::{ACTION_MASK, BoxLayout, Space};
use pavlov_nn::{Cnn, Init, Layout, NnError};

use super::layout::name_of;
use super::{
    BackboneConfig, DiscreteConfig, Encoder, ImageConfig, NetConfig, ObservationPart, PartKind,
    RecurrentConfig,
};
use crate::review::Review;

/// Reviews the networks of this configuration for observations of this space.
///
/// # Errors
/// As [`Encoder::for_networks`].
pub(crate) fn review(net: &NetConfig, space: &Space) -> Result<Review, NnError> {
    let encoder = Encoder::for_networks(space, net)?;
    let space = net.layout.apply(space)?;
    let mut leaves = Vec::new();
    collect(&space, "", &mut leaves);
    let mut review = Review::default();
    let is_auto = net.backbone == BackboneConfig::Auto;
    for (part, leaf) in encoder.parts().iter().zip(leaves) {
        let name = name_of(&part.key);
        review.facts.push(format!("{name}, {leaf}: {}", in_words(net, part, leaf)));
        let is_unclear = matches!(leaf, Space::Box(inner) if inner.layout == BoxLayout::Unclear);
        review.warn_if(is_auto && is_unclear && net.cnn != ImageConfig::Off, || {
            format!(
                "{name}, {leaf}, goes to the hidden layers as {} plain numbers. If it is a picture, set net.layout to \
                 \"grey\", \"channels_first\" or \"channels_last\"; if it is none, to \"numbers\"",
                part.kind.width()
            )
        });
    }
    let kinds = || encoder.parts().iter().map(|part| &part.kind);
    let has_picture = kinds().any(|kind| matches!(kind, PartKind::Image(_)));
    review.warn_if(!has_picture && matches!(net.cnn, ImageConfig::Cnn(_)), || {
        "net.cnn has no effect: the observation has no picture (net.layout declares one)".into()
    });
    let has_tokens = kinds().any(|kind| matches!(kind, PartKind::Tokens { .. }));
    review.warn_if(!has_tokens && matches!(net.discrete, DiscreteConfig::Embedding(_)), || {
        "net.discrete has no effect: the observation has no discrete numbers".into()
    });
    let usual = NetConfig::default();
    let forgets = net.recurrent == RecurrentConfig::Off;
    review.warn_if(forgets && net.sequence_length != usual.sequence_length, || {
        "net.sequence_length has no effect: net.recurrent is \"off\"".into()
    });
    review.warn_if(forgets && net.recurrent_size != usual.recurrent_size, || {
        "net.recurrent_size has no effect: net.recurrent is \"off\"".into()
    });
    review.warn_if(forgets && net.recurrent_keep_bias != usual.recurrent_keep_bias, || {
        "net.recurrent_keep_bias has no effect: net.recurrent is \"off\"".into()
    });
    Ok(review)
}

/// The way of a part of an observation into the networks.
fn in_words(net: &NetConfig, part: &ObservationPart, leaf: &Space) -> String {
    let count = part.kind.width();
    let image = match &part.kind {
        PartKind::Tokens { .. } => return format!("{count} discrete numbers, which the networks embed"),
        PartKind::Numbers { .. } if matches!(leaf, Space::Discrete(_) | Space::MultiDiscrete(_)) => {
            return format!("{count} numbers of one-hot codes");
        }
        PartKind::Numbers { .. } => return format!("{count} plain numbers"),
        PartKind::Image(image) => image,
    };
    let order = if image.channels_first { "first" } else { "last" };
    let plural = if image.channels == 1 { "" } else { "s" };
    let (height, width, channels) = (image.height, image.width, image.channels);
    let picture = format!("a picture of {height} x {width} pixels, {channels} channel{plural} {order}");
    match (&net.backbone, net.cnn.convolutions(part)) {
        (BackboneConfig::Auto, None) => format!("{picture}; net.cnn is \"off\": {count} plain numbers"),
        (BackboneConfig::Auto, Some(cnn)) => {
            let name = toml::Value::try_from(&cnn).map_or("its own layers".into(), |cnn| cnn.to_string());
            match Cnn::new(&mut Layout::new(), "", *image, &cnn, Init::Torch) {
                Ok(cnn) => format!("{picture}; convolutions {name}: {} features", cnn.outputs()),
                Err(error) => format!("{picture}; convolutions {name}: {error}"),
            }
        }
        _ => format!("{picture}; to net.backbone as {:?}", part.kind.shape()),
    }
}

/// The leaves of a space that are inputs, in the order of an encoder's parts.
fn collect<'a>(space: &'a Space, key: &str, leaves: &mut Vec<&'a Space>) {
    match space {
        Space::Dict(entries) => entries.iter().for_each(|(name, entry)| collect(entry, name, leaves)),
        Space::MultiBinary(_) if key == ACTION_MASK => {}
        leaf => leaves.push(leaf),
    }
}
