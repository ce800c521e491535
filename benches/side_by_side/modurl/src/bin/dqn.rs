//! DQN on CartPole-v1 with ModuRL: two hidden layers of 64 tanh units, a replay of 10,000, batches of 64, one
//! update per four steps, Adam at 2.5e-4, the target copied every 1,000 steps, epsilon 0.1. Prints the
//! seconds that the steps after the first 1,024 took.

use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use candle_nn::{AdamW, Optimizer, ParamsAdamW, VarBuilder, VarMap};
use modurl::prelude::*;
use modurl_gym::classic_control::cartpole::CartPoleV1;

const WARMUP: usize = 1_024;

fn network(variables: &VarMap, device: &Device) -> MLP {
    MLP::builder()
        .input_size(4)
        .output_size(2)
        .vb(VarBuilder::from_varmap(variables, DType::F32, device))
        .activation(Tensor::tanh)
        .hidden_layer_sizes(vec![64, 64])
        .build()
        .expect("a network")
}

fn main() {
    let steps: usize = std::env::args().nth(1).expect("give the number of steps").parse().expect("a number");
    let device = Device::Cpu;
    let mut env = VectorizedGymWrapper::from(vec![CartPoleV1::builder().device(&device).build().expect("CartPole")]);
    let (online_variables, mut target_variables) = (VarMap::new(), VarMap::new());
    let online = network(&online_variables, &device);
    let target = network(&target_variables, &device);
    let adam = ParamsAdamW { lr: 2.5e-4, eps: 1e-5, weight_decay: 0.0, ..Default::default() };
    let optimizer = AdamW::new(online_variables.all_vars(), adam).expect("an optimiser");
    let mut agent = DQNAgent::builder()
        .action_space(Discrete::new(2))
        .observation_space(env.observation_space())
        .online_q_network(online)
        .target_q_network(target)
        .online_vars(&online_variables)
        .target_vars(&mut target_variables)
        .optimizer(optimizer)
        .replay_capacity(10_000)
        .batch_size(64)
        .training_start(WARMUP + 1)
        .update_frequency(4)
        .target_update_interval(1_000)
        .training_horizon(WARMUP + steps)
        .epsilon_schedule(ConstantSchedule::new(0.1))
        .replay_storage_config(ReplayStorageConfig::new(ReplayDeviceStrategy::OneDevice(device.clone())))
        .build()
        .expect("an agent");
    agent.learn(&mut env, WARMUP).expect("the warm-up");
    let start = Instant::now();
    agent.learn(&mut env, steps).expect("the training");
    println!("{}", start.elapsed().as_secs_f64());
}
