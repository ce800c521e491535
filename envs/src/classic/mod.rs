//! Classic control, after Gymnasium's `classic_control`.

mod cartpole;

pub use cartpole::CartPole;
