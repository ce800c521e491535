//! The data sets of pictures and tables, a file each.

mod bytes;
mod digits;

pub use bytes::ByteImages;

use crate::DatasetSpec;

/// The data sets of this module.
pub(crate) fn specs() -> Vec<DatasetSpec> {
    vec![digits::spec()]
}
