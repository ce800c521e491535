//! The two forms in which a loss is computed.

use tch::Device;

/// The form in which a loss is computed. Both give the same losses and gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossForm {
    /// Row by row in ordinary memory, with gradients derived by hand: the fast form on a CPU, where an
    /// operation on a small tensor costs many times its arithmetic.
    Rows,
    /// In operations on tensors that autograd records: no number leaves the device, so an update waits for
    /// nothing.
    Tensors,
}

impl LossForm {
    /// The form for networks on this device.
    pub fn of(device: Device) -> Self {
        match device {
            Device::Cpu => Self::Rows,
            _ => Self::Tensors,
        }
    }
}
