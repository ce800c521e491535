//! The saved state of a component: named arrays and named values.
//!
//! A component offers `state()`, which gives a [`StateDict`], and `load_state(&StateView)`, which takes it
//! back. A parent nests the dicts of its parts under their names. Arrays borrow the component's memory where
//! they can (a replay buffer is not copied to be written); values are small serialisable things: counters,
//! generators.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytemuck::Pod;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use crate::NnError;

/// The type of an array's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArrayKind {
    /// 32-bit floating point.
    F32,
    /// 64-bit floating point.
    F64,
    /// 64-bit integers.
    I64,
    /// 32-bit integers without a sign; libtorch has no such tensors.
    U32,
    /// Bytes.
    U8,
}

impl ArrayKind {
    fn of_tensor(tensor: &Tensor) -> Result<Self, NnError> {
        match tensor.kind() {
            Kind::Float => Ok(Self::F32),
            Kind::Double => Ok(Self::F64),
            Kind::Int64 => Ok(Self::I64),
            Kind::Uint8 => Ok(Self::U8),
            other => Err(NnError::State(format!("tensors of type {other:?} cannot be saved"))),
        }
    }

    fn tensor_kind(self) -> Option<Kind> {
        match self {
            Self::F32 => Some(Kind::Float),
            Self::F64 => Some(Kind::Double),
            Self::I64 => Some(Kind::Int64),
            Self::U8 => Some(Kind::Uint8),
            Self::U32 => None,
        }
    }

    /// The size of a number, in bytes.
    pub fn size(self) -> usize {
        match self {
            Self::F32 | Self::U32 => 4,
            Self::F64 | Self::I64 => 8,
            Self::U8 => 1,
        }
    }
}

/// A number that an array can hold.
pub trait ArrayElement: Pod {
    /// Its type's name in a file.
    const KIND: ArrayKind;
}
impl ArrayElement for f32 {
    const KIND: ArrayKind = ArrayKind::F32;
}
impl ArrayElement for f64 {
    const KIND: ArrayKind = ArrayKind::F64;
}
impl ArrayElement for i64 {
    const KIND: ArrayKind = ArrayKind::I64;
}
impl ArrayElement for u32 {
    const KIND: ArrayKind = ArrayKind::U32;
}
impl ArrayElement for u8 {
    const KIND: ArrayKind = ArrayKind::U8;
}

/// A named array as it stands in a file: type, shape and little-endian bytes in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array<'a> {
    /// The type of the numbers.
    pub kind: ArrayKind,
    /// The shape.
    pub shape: Vec<usize>,
    /// The numbers' bytes.
    pub data: Cow<'a, [u8]>,
}

impl Array<'_> {
    /// The same array with memory of its own.
    pub fn into_owned(self) -> Array<'static> {
        Array { kind: self.kind, shape: self.shape, data: Cow::Owned(self.data.into_owned()) }
    }

    /// The same array, borrowed.
    pub fn borrowed(&self) -> Array<'_> {
        Array { kind: self.kind, shape: self.shape.clone(), data: Cow::Borrowed(&self.data) }
    }
}

/// Named arrays and values; names are joined with `.`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateDict<'a> {
    /// The arrays, by name.
    pub arrays: BTreeMap<String, Array<'a>>,
    /// The values, by name.
    pub values: BTreeMap<String, Value>,
}

impl<'a> StateDict<'a> {
    /// An empty dict.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor, copied to ordinary memory.
    ///
    /// # Errors
    /// [`NnError::State`] for a type of number that cannot be saved.
    pub fn put_tensor(&mut self, name: &str, tensor: &Tensor) -> Result<(), NnError> {
        let kind = ArrayKind::of_tensor(tensor)?;
        let host = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?;
        let mut data = vec![0; host.numel() * kind.size()];
        host.f_copy_data_u8(&mut data, host.numel())?;
        let shape = host.size().iter().map(|&n| n as usize).collect();
        self.arrays.insert(name.into(), Array { kind, shape, data: data.into() });
        Ok(())
    }

    /// Adds a slice without copying it.
    pub fn put_slice<T: ArrayElement>(&mut self, name: &str, shape: &[usize], slice: &'a [T]) {
        debug_assert_eq!(shape.iter().product::<usize>(), slice.len());
        let data = Cow::Borrowed(bytemuck::cast_slice(slice));
        self.arrays.insert(name.into(), Array { kind: T::KIND, shape: shape.to_vec(), data });
    }

    /// Adds bytes that nobody else keeps.
    pub fn put_bytes(&mut self, name: &str, bytes: Vec<u8>) {
        self.arrays
            .insert(name.into(), Array { kind: ArrayKind::U8, shape: vec![bytes.len()], data: bytes.into() });
    }

    /// Adds a small serialisable value.
    ///
    /// # Errors
    /// [`NnError::State`] when it cannot be expressed as JSON (a map whose keys are not strings).
    pub fn put_value(&mut self, name: &str, value: &impl Serialize) -> Result<(), NnError> {
        let value =
            serde_json::to_value(value).map_err(|error| NnError::State(format!("{name}: {error}")))?;
        self.values.insert(name.into(), value);
        Ok(())
    }

    /// Adds everything of a part under `name.`.
    pub fn nest(&mut self, name: &str, part: StateDict<'a>) {
        self.arrays.extend(part.arrays.into_iter().map(|(key, array)| (format!("{name}.{key}"), array)));
        self.values.extend(part.values.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
    }

    /// The same dict with memory of its own.
    pub fn into_owned(self) -> StateDict<'static> {
        let owned = |(name, array): (String, Array<'_>)| (name, array.into_owned());
        StateDict { arrays: self.arrays.into_iter().map(owned).collect(), values: self.values }
    }

    /// The dict as bytes, for another process of the same program.
    ///
    /// # Errors
    /// [`NnError::State`] when a value cannot be expressed.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NnError> {
        let entry = |(name, array): (&String, &Array<'_>)| (name.clone(), array.kind, array.shape.clone());
        let head = Head { arrays: self.arrays.iter().map(entry).collect(), values: self.values.clone() };
        let head = serde_json::to_vec(&head).map_err(|error| NnError::State(error.to_string()))?;
        let mut bytes = (head.len() as u64).to_le_bytes().to_vec();
        bytes.extend(head);
        self.arrays.values().for_each(|array| bytes.extend_from_slice(&array.data));
        Ok(bytes)
    }

    /// The dict of which [`StateDict::to_bytes`] gave the bytes.
    ///
    /// # Errors
    /// [`NnError::State`] when they are of something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<StateDict<'static>, NnError> {
        let broken = || NnError::State("the bytes are not those of a state".into());
        let (len, rest) = bytes.split_first_chunk().ok_or_else(broken)?;
        let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| broken())?;
        let (head, mut rest) = rest.split_at_checked(len).ok_or_else(broken)?;
        let Head { arrays: entries, values } = serde_json::from_slice(head).map_err(|_| broken())?;
        let mut arrays = BTreeMap::new();
        for (name, kind, shape) in entries {
            let size =
                shape.iter().try_fold(kind.size(), |size, &n| size.checked_mul(n)).ok_or_else(broken)?;
            let (data, others) = rest.split_at_checked(size).ok_or_else(broken)?;
            arrays.insert(name, Array { kind, shape, data: Cow::Owned(data.to_vec()) });
            rest = others;
        }
        match rest.is_empty() {
            true => Ok(StateDict { arrays, values }),
            false => Err(broken()),
        }
    }

    /// The whole dict, to be read.
    pub fn view(&self) -> StateView<'_> {
        StateView { dict: self, prefix: String::new() }
    }
}

/// The head before the arrays' numbers in [`StateDict::to_bytes`].
#[derive(Serialize, Deserialize)]
struct Head {
    arrays: Vec<(String, ArrayKind, Vec<usize>)>,
    values: BTreeMap<String, Value>,
}

/// The part of a [`StateDict`] under one name, to be read.
#[derive(Clone, Debug)]
pub struct StateView<'s> {
    dict: &'s StateDict<'s>,
    prefix: String,
}

impl<'s> StateView<'s> {
    /// The part under `name`.
    pub fn part(&self, name: &str) -> StateView<'s> {
        StateView { dict: self.dict, prefix: format!("{}{name}.", self.prefix) }
    }

    /// The dict that this is a part of.
    pub fn whole(&self) -> &'s StateDict<'s> {
        self.dict
    }

    /// True if there is an array of this name.
    pub fn has_array(&self, name: &str) -> bool {
        self.dict.arrays.contains_key(&self.full(name))
    }

    /// The names of the arrays, without the name of the part.
    pub fn array_names(&self) -> impl Iterator<Item = &'s str> {
        let (from, prefix) = (self.prefix.clone(), self.prefix.clone());
        let names = self.dict.arrays.range(from..).map(|(name, _)| name.as_str());
        names.map_while(move |name| name.strip_prefix(&prefix))
    }

    /// Where the part stands in the whole, for the end of a message.
    pub(crate) fn place(&self) -> String {
        match self.prefix.strip_suffix('.') {
            Some(part) => format!(" (in `{part}`)"),
            None => String::new(),
        }
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn array(&self, name: &str) -> Result<&'s Array<'s>, NnError> {
        let full = self.full(name);
        self.dict.arrays.get(&full).ok_or_else(|| NnError::State(format!("the array `{full}` is missing")))
    }

    /// A tensor on the CPU.
    ///
    /// # Errors
    /// [`NnError::State`] when there is no array of this name, or its type is none of tensors.
    pub fn tensor(&self, name: &str) -> Result<Tensor, NnError> {
        let (array, kind) = self.tensor_array(name)?;
        let shape: Vec<i64> = array.shape.iter().map(|&n| n as i64).collect();
        Ok(Tensor::f_from_data_size(&array.data, &shape, kind)?)
    }

    /// An array that a tensor can be made of, and the type of that.
    pub(crate) fn tensor_array(&self, name: &str) -> Result<(&'s Array<'s>, Kind), NnError> {
        let array = self.array(name)?;
        let broken = |what: &str| NnError::State(format!("the array `{}` {what}", self.full(name)));
        let kind = array.kind.tensor_kind().ok_or_else(|| broken("is of no type of tensors"))?;
        // libtorch reads as many bytes as the shape says.
        let bytes = array.shape.iter().try_fold(array.kind.size(), |bytes, &n| bytes.checked_mul(n));
        match bytes == Some(array.data.len()) {
            true => Ok((array, kind)),
            false => Err(broken("has another number of bytes than its shape needs")),
        }
    }

    /// An array's numbers.
    ///
    /// # Errors
    /// [`NnError::State`] when there is no array of this name or it holds another type of number.
    pub fn vec<T: ArrayElement>(&self, name: &str) -> Result<Vec<T>, NnError> {
        let array = self.array(name)?;
        if array.kind != T::KIND {
            let full = self.full(name);
            return Err(NnError::State(format!("`{full}` holds {:?}, not {:?}", array.kind, T::KIND)));
        }
        Ok(bytemuck::allocation::pod_collect_to_vec(&array.data))
    }

    /// A value.
    ///
    /// # Errors
    /// [`NnError::State`] when there is no value of this name or it does not fit.
    pub fn value<T: DeserializeOwned>(&self, name: &str) -> Result<T, NnError> {
        let full = self.full(name);
        let value = self
            .dict
            .values
            .get(&full)
            .ok_or_else(|| NnError::State(format!("the value `{full}` is missing")))?;
        serde_json::from_value(value.clone())
            .map_err(|error| NnError::State(format!("the value `{full}`: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_lists_its_own_arrays_alone() {
        let mut state = StateDict::new();
        for name in ["a", "a.b", "a.b.c", "a.d", "ab.c", "a-b"] {
            state.put_slice(name, &[1], &[1.0f32]);
        }
        let names = |view: StateView<'_>| view.array_names().map(str::to_string).collect::<Vec<_>>();
        assert_eq!(names(state.view().part("a")), ["b", "b.c", "d"]);
        assert_eq!(names(state.view().part("a").part("b")), ["c"]);
        assert_eq!(names(state.view().part("b")), [""; 0]);
        assert_eq!(names(state.view()).len(), 6);
    }

    #[test]
    fn a_state_comes_back_from_its_bytes_and_from_no_others() {
        let mut state = StateDict::new();
        state.put_slice("weights", &[2, 2], &[1.0f32, f32::NAN, -0.0, 3.5]);
        state.put_slice("empty", &[0, 3], &[0u32; 0]);
        state.put_bytes("worlds", vec![1, 2, 3]);
        state.put_value("count", &0.1f64).unwrap();
        let bytes = state.to_bytes().unwrap();
        assert_eq!(StateDict::from_bytes(&bytes).unwrap().to_bytes().unwrap(), bytes);
        for cut in 0..bytes.len() {
            assert!(StateDict::from_bytes(&bytes[..cut]).is_err(), "{cut}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(StateDict::from_bytes(&longer).is_err());
        let mut other = bytes.clone();
        other[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(StateDict::from_bytes(&other).is_err());
    }

    #[test]
    fn an_array_with_fewer_bytes_than_its_shape_needs_is_refused() {
        let mut state = StateDict::new();
        for shape in [vec![3], vec![usize::MAX, 2]] {
            let data = vec![0; 8].into();
            state.arrays.insert("a".into(), Array { kind: ArrayKind::F32, shape, data });
            let error = state.view().tensor("a").unwrap_err().to_string();
            assert!(error.contains("`a` has another number of bytes"), "{error}");
        }
    }
}
