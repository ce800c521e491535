//! The list of a network's parameters and buffers, and where each stands in the flat tensor.

use std::collections::HashSet;

use pavlov_common::did_you_mean;

use super::key::Key;
use super::names;
use crate::spectral::Spectral;
use crate::{Init, NnError};

/// The place of one parameter or buffer in its arena. It knows the network that it is a place of: in the
/// [`Parameters`](crate::Parameters) of another it leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterId {
    /// A layout stays below [`LARGEST`] numbers, and those with none do not come to so many.
    index: u32,
    key: Key,
}

impl ParameterId {
    /// Its index in the order of adding.
    pub(crate) fn index(self) -> usize {
        self.index as usize
    }

    pub(super) fn key(self) -> Key {
        self.key
    }
}

/// The role of a parameter in training. The flat tensor holds all numbers of one role side by side, in the
/// order of the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A parameter that optimisers step.
    Trainable,
    /// A parameter that is used as it is and has no gradient.
    Frozen,
    /// Numbers that a layer writes itself (batch norm's statistics): saved, copied and published like
    /// parameters, but never trained.
    Buffer,
}

impl Role {
    const ALL: [Self; 3] = [Self::Trainable, Self::Frozen, Self::Buffer];
}

/// One parameter or buffer of a network: its name as in PyTorch's `state_dict`, its shape, how it starts and
/// where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpec {
    /// The name, for instance `0.weight`.
    pub name: String,
    /// The shape.
    pub shape: Vec<i64>,
    /// Its initial values.
    pub init: Init,
    /// Its role in training.
    pub role: Role,
    /// True if it counts, as batch norm's `num_batches_tracked` does: an f32 in the arena, an i64 in a state.
    pub is_counter: bool,
    /// Where it starts in the flat tensor, in numbers. It moves when parameters are added, frozen or
    /// unfrozen.
    pub offset: i64,
}

impl ParameterSpec {
    /// The number of the parameter's numbers.
    pub fn len(&self) -> i64 {
        self.shape.iter().product()
    }

    /// True if the parameter has no numbers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The list of a network's parameters and buffers: networks add theirs as they are described.
///
/// Names, states and published values keep the order of adding. The flat tensor is arranged as
/// `[ trainable | frozen | buffers ]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    specs: Vec<ParameterSpec>,
    /// The key of each parameter.
    keys: Vec<Key>,
    names: HashSet<String>,
    len: i64,
    trainable_len: i64,
    parameters_len: i64,
    /// True if the flat tensor has the order of adding.
    is_in_order: bool,
    /// The weights with spectral normalisation.
    spectral: Vec<Spectral>,
}

/// The message for a pattern that names none of these parameters.
pub(crate) fn unknown<'n>(pattern: &str, names: impl Iterator<Item = &'n str> + Clone) -> String {
    const SHOWN: usize = 8;
    let nearest = did_you_mean(pattern, names.clone());
    let count = names.clone().count();
    let shown = names.take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let more = if count > SHOWN { format!(" and {} more", count - SHOWN) } else { String::new() };
    format!("no parameter is named `{pattern}`{nearest}; there are {shown}{more}")
}

/// A network stays below so many numbers, 16 GiB of f32; its gradients and an optimiser's moments come to
/// them.
const LARGEST: i64 = 1 << 32;

impl Default for Layout {
    fn default() -> Self {
        Self {
            specs: Vec::new(),
            keys: Vec::new(),
            names: HashSet::new(),
            len: 0,
            trainable_len: 0,
            parameters_len: 0,
            is_in_order: true,
            spectral: Vec::new(),
        }
    }
}

impl Layout {
    /// A layout without parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a trainable parameter and gives its place.
    ///
    /// # Errors
    /// [`NnError::Config`] when the name is taken.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        shape: &[i64],
        init: Init,
    ) -> Result<ParameterId, NnError> {
        self.push(name.into(), shape, init, Role::Trainable, false)
    }

    /// Adds a buffer, f32 numbers that the layer itself writes (batch norm's statistics), and gives its
    /// place.
    ///
    /// A layer writes a buffer in place through [`Parameters::get`](crate::Parameters::get), under
    /// [`tch::no_grad_guard`]; autograd does not take that for a change of the network's weights.
    ///
    /// # Errors
    /// [`NnError::Config`] when the name is taken.
    pub fn add_buffer(
        &mut self,
        name: impl Into<String>,
        shape: &[i64],
        init: Init,
    ) -> Result<ParameterId, NnError> {
        self.push(name.into(), shape, init, Role::Buffer, false)
    }

    /// Adds a buffer of shape `[]` that counts from 0 and gives its place: an f32 in the arena, exact up to
    /// 2^24, and an i64 in a state, as PyTorch keeps batch norm's `num_batches_tracked`.
    ///
    /// # Errors
    /// [`NnError::Config`] when the name is taken.
    pub fn add_counter(&mut self, name: impl Into<String>) -> Result<ParameterId, NnError> {
        self.push(name.into(), &[], Init::Constant { value: 0.0 }, Role::Buffer, true)
    }

    /// Notes a weight with its singular vectors, which begin with the weight's initial values.
    pub(crate) fn add_spectral(&mut self, spectral: Spectral) {
        self.spectral.push(spectral);
    }

    /// The weights with spectral normalisation.
    pub(super) fn spectral(&self) -> &[Spectral] {
        &self.spectral
    }

    fn push(
        &mut self,
        name: String,
        shape: &[i64],
        init: Init,
        role: Role,
        is_counter: bool,
    ) -> Result<ParameterId, NnError> {
        let count = shape.iter().try_fold(1i64, |count, &size| count.checked_mul(size));
        let total = count.filter(|&count| count >= 0).and_then(|count| count.checked_add(self.len));
        let Some(total) = total.filter(|&total| total < LARGEST) else {
            return Err(NnError::Config(format!(
                "`{name}` of shape {shape:?} would make a network of {LARGEST} numbers or more: give smaller layers"
            )));
        };
        if !self.names.insert(name.clone()) {
            return Err(NnError::Config(format!(
                "two parameters are named `{name}`: give the networks names"
            )));
        }
        let offset = self.len;
        let index = self.specs.len();
        self.specs.push(ParameterSpec { name, shape: shape.to_vec(), init, role, is_counter, offset });
        let key = Key::after(self.keys.last().copied(), &self.specs[index]);
        self.keys.push(key);
        if role == Role::Trainable && offset == self.trainable_len && self.is_in_order {
            // At the end of parameters that all train: the usual case, without a look at the others.
            [self.trainable_len, self.parameters_len, self.len] = [total; 3];
        } else {
            self.arrange();
        }
        Ok(ParameterId { index: index as u32, key })
    }

    /// Gives every parameter its place in the flat tensor.
    fn arrange(&mut self) {
        let mut ends = [0; Role::ALL.len()];
        let mut offset = 0;
        for (role, end) in Role::ALL.into_iter().zip(&mut ends) {
            for spec in self.specs.iter_mut().filter(|spec| spec.role == role) {
                spec.offset = offset;
                offset += spec.len();
            }
            *end = offset;
        }
        [self.trainable_len, self.parameters_len, self.len] = ends;
        let arranged = self.arranged().map(|(index, _)| index);
        self.is_in_order = arranged.eq(0..self.specs.len());
    }

    /// Freezes parameters: they keep their values, have no gradient, and optimisers pass them over.
    ///
    /// A pattern is a parameter's name, in which each `*` stands for any characters, dots included, or none:
    /// `features.*`, `*.bias`, `encoder.*.norm1.*`. Buffers stay what they are: a frozen batch norm still
    /// gathers statistics in training.
    ///
    /// # Errors
    /// [`NnError::Config`] for a pattern that names no parameter; nothing is changed then.
    pub fn freeze<N: AsRef<str>>(&mut self, patterns: &[N]) -> Result<(), NnError> {
        self.give_role(patterns, Role::Frozen)
    }

    /// Makes parameters trainable again; the patterns are those of [`Layout::freeze`].
    ///
    /// # Errors
    /// [`NnError::Config`] for a pattern that names no parameter; nothing is changed then.
    pub fn unfreeze<N: AsRef<str>>(&mut self, patterns: &[N]) -> Result<(), NnError> {
        self.give_role(patterns, Role::Trainable)
    }

    fn give_role<N: AsRef<str>>(&mut self, patterns: &[N], role: Role) -> Result<(), NnError> {
        let found =
            patterns.iter().map(|pattern| self.named(pattern.as_ref())).collect::<Result<Vec<_>, _>>()?;
        for index in found.into_iter().flatten() {
            self.specs[index].role = role;
        }
        self.arrange();
        Ok(())
    }

    /// Checks that a pattern names a parameter, as those of [`Layout::freeze`] must.
    ///
    /// # Errors
    /// [`NnError::Config`] with the nearest names when it names none.
    pub fn check_name(&self, pattern: &str) -> Result<(), NnError> {
        self.named(pattern).map(|_| ())
    }

    /// The parameters that a pattern names, by their index.
    pub(crate) fn named(&self, pattern: &str) -> Result<Vec<usize>, NnError> {
        let parameters = || self.specs.iter().enumerate().filter(|(_, spec)| spec.role != Role::Buffer);
        let found: Vec<_> = parameters()
            .filter(|(_, spec)| names::matches(pattern, &spec.name))
            .map(|(index, _)| index)
            .collect();
        if found.is_empty() {
            let names = parameters().map(|(_, spec)| spec.name.as_str());
            return Err(NnError::Config(unknown(pattern, names)));
        }
        Ok(found)
    }

    /// The layout with exactly these parameters frozen.
    pub(crate) fn with_frozen(&self, frozen: &[String]) -> Result<Self, NnError> {
        let mut layout = self.clone();
        for spec in layout.specs.iter_mut().filter(|spec| spec.role == Role::Frozen) {
            spec.role = Role::Trainable;
        }
        for name in frozen {
            let spec = layout.specs.iter_mut().find(|spec| spec.name == *name && spec.role != Role::Buffer);
            let unknown =
                || NnError::State(format!("`{name}` was frozen and is no parameter of the network"));
            spec.ok_or_else(unknown)?.role = Role::Frozen;
        }
        layout.arrange();
        Ok(layout)
    }

    /// True if the other network has the same parameters and buffers, whatever is trained.
    pub(crate) fn is_same_network(&self, other: &Self) -> bool {
        let same = |(a, b): (&ParameterSpec, &ParameterSpec)| {
            let buffers = (a.role == Role::Buffer) == (b.role == Role::Buffer);
            buffers && a.name == b.name && a.shape == b.shape && a.is_counter == b.is_counter
        };
        self.specs.len() == other.specs.len() && self.specs.iter().zip(&other.specs).all(same)
    }

    /// True if the flat tensor has the order of adding.
    pub(super) fn is_in_order(&self) -> bool {
        self.is_in_order
    }

    /// The parameters and buffers in the order of adding.
    pub fn specs(&self) -> &[ParameterSpec] {
        &self.specs
    }

    /// The places of all parameters, in the order of [`Layout::specs`].
    pub fn ids(&self) -> impl Iterator<Item = ParameterId> + use<> {
        self.keys.clone().into_iter().zip(0..).map(|(key, index)| ParameterId { index, key })
    }

    /// The keys of all parameters, in the order of [`Layout::specs`].
    pub(super) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The number of all numbers: parameters and buffers.
    pub fn len(&self) -> i64 {
        self.len
    }

    /// The number of trainable numbers.
    pub fn trainable_len(&self) -> i64 {
        self.trainable_len
    }

    /// The number of the parameters' numbers, trainable or frozen: where the buffers start.
    pub fn parameters_len(&self) -> i64 {
        self.parameters_len
    }

    /// True if there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// The parameters and buffers in the order of the flat tensor, each with its index in the order of
    /// adding.
    pub(crate) fn arranged(&self) -> impl Iterator<Item = (usize, &ParameterSpec)> {
        let of = |role| self.specs.iter().enumerate().filter(move |(_, spec)| spec.role == role);
        Role::ALL.into_iter().flat_map(of)
    }
}
