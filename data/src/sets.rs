//! The data sets of pictures and tables, a file each.

mod bytes;
mod cifar;
mod csv;
mod digits;
pub(crate) mod files;
mod folder;
mod idx;
mod memory;

pub use bytes::ByteImages;
pub use memory::InMemory;

use crate::DatasetSpec;

/// The data sets of this module.
pub(crate) fn specs() -> Vec<DatasetSpec> {
    let mut specs = vec![csv::spec(), digits::spec(), folder::spec(), idx::spec()];
    specs.extend(cifar::specs());
    specs
}
