//! libtorch's generator is one for the whole process: its test runs alone in a process of its own.

use pavlov_nn::{generator_state, set_generator_state};
use tch::{Device, Tensor, kind::FLOAT_CPU};

#[test]
fn the_saved_generator_draws_the_same_numbers_again() {
    let draw = || Tensor::randn([16], FLOAT_CPU);
    let state = generator_state(Device::Cpu).expect("a state");
    let first = draw();
    assert_ne!(draw(), first);
    set_generator_state(Device::Cpu, &state).expect("its own state");
    assert_eq!(draw(), first);
    let bytes = Tensor::from_slice(&[1u8, 2, 3]);
    assert!(set_generator_state(Device::Cpu, &bytes).is_err(), "three bytes are no state");
}
