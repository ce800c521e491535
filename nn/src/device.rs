//! Where tensors live: from the user's word to a device that is there.

use tch::{Cuda, Device};

use crate::NnError;

/// The device of this name: `auto` (CUDA where there is one, else the CPU), `cpu`, `cuda` or `cuda:N`.
///
/// # Errors
/// [`NnError::Device`] for another word, and when CUDA is asked for where there is none: there is no silent
/// fall-back.
pub fn parse(name: &str) -> Result<Device, NnError> {
    let count = Cuda::device_count().max(0) as usize;
    let number = match name {
        "cpu" => return Ok(Device::Cpu),
        "auto" => return Ok(Device::cuda_if_available()),
        "cuda" => 0,
        other => other.strip_prefix("cuda:").and_then(|number| number.parse().ok()).ok_or_else(|| {
            NnError::Device(format!(
                "unknown device `{other}`: give auto, cpu, cuda or cuda:N (cuda:0, cuda:1, ...)"
            ))
        })?,
    };
    if !Cuda::is_available() || count == 0 {
        let message = "CUDA was asked for, but this libtorch finds no CUDA device: use `--device cpu`, or install an \
                       NVIDIA driver and run `PAVLOV_LIBTORCH=cuda make setup`, then build again";
        return Err(NnError::Device(message.into()));
    }
    if number >= count {
        let message = format!("`{name}` was asked for, but there are {count} CUDA devices, counted from 0");
        return Err(NnError::Device(message));
    }
    Ok(Device::Cuda(number))
}

/// The name that [`parse`] takes for this device.
pub fn name(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".into(),
        Device::Cuda(number) => format!("cuda:{number}"),
        Device::Mps => "mps".into(),
        Device::Vulkan => "vulkan".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_understood_or_explained() {
        assert_eq!(parse("cpu").unwrap(), Device::Cpu);
        assert_eq!(parse(&name(parse("auto").unwrap())).unwrap(), parse("auto").unwrap());
        for word in ["gpu", "cuda:", "cuda:-1", "CPU", ""] {
            assert!(parse(word).unwrap_err().to_string().contains("give auto, cpu"), "{word}");
        }
        if !Cuda::is_available() {
            assert!(parse("cuda").unwrap_err().to_string().contains("--device cpu"));
        }
    }
}
