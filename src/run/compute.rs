//! Where a run computes: its device, its threads, libtorch's own generator.

use anyhow::Result;
use pavlov_common::derive_seed;
use tch::Device;

/// Where a run computes.
#[derive(Clone, Debug)]
pub struct Compute<'a> {
    /// The seed of the run.
    pub seed: u64,
    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    pub device: &'a str,
    /// Threads that libtorch may use within one operation.
    pub threads: usize,
    /// Threads that share the passes of small networks, as many as there are cores at most.
    pub update_threads: u32,
}

impl Compute<'_> {
    /// Sets the threads and seeds libtorch's own generator; gives the device.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn prepare(&self) -> Result<Device> {
        let device = pavlov_nn::device::parse(self.device)?;
        tch::manual_seed(derive_seed(self.seed, "libtorch", 0) as i64);
        pavlov_nn::keep_memory();
        tch::set_num_threads(self.threads as i32);
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        pavlov_nn::set_team_size(self.update_threads.min(cores));
        Ok(device)
    }
}
