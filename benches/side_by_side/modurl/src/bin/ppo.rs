//! PPO on CartPole-v1 with ModuRL: 8 environments, rollouts of 256 steps each, 10 epochs in minibatches of
//! 64, networks of two hidden layers of 64 tanh units for policy and value. Prints the seconds that the steps
//! took.

use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use candle_nn::{AdamW, Optimizer, ParamsAdamW, VarBuilder, VarMap};
use modurl::prelude::*;
use modurl_gym::classic_control::cartpole::CartPoleV1;

const ENVS: usize = 8;
const STEPS_EACH: usize = 256;

fn network(variables: &VarMap, outputs: usize, name: &str, device: &Device) -> MLP {
    MLP::builder()
        .input_size(4)
        .output_size(outputs)
        .vb(VarBuilder::from_varmap(variables, DType::F32, device))
        .activation(Tensor::tanh)
        .hidden_layer_sizes(vec![64, 64])
        .name(name.to_string())
        .build()
        .expect("a network")
}

fn adam(variables: &VarMap) -> AdamW {
    let settings = ParamsAdamW { lr: 3e-4, eps: 1e-5, weight_decay: 0.0, ..Default::default() };
    AdamW::new(variables.all_vars(), settings).expect("an optimiser")
}

fn main() {
    let steps: usize = std::env::args().nth(1).expect("give the number of steps").parse().expect("a number");
    let device = Device::Cpu;
    let envs: Vec<_> =
        (0..ENVS).map(|_| CartPoleV1::builder().device(&device).build().expect("CartPole")).collect();
    let mut env = VectorizedGymWrapper::from(envs);
    let (actor_variables, critic_variables) = (VarMap::new(), VarMap::new());
    let actor = network(&actor_variables, 2, "actor", &device);
    let critic = network(&critic_variables, 1, "critic", &device);
    let networks = SeparatePPONetwork::builder()
        .actor_network(ProbabilisticPolicyModel::<CategoricalDistribution>::new(actor))
        .critic_network(critic)
        .actor_optimizer(adam(&actor_variables))
        .critic_optimizer(adam(&critic_variables))
        .build();
    let mut agent = PPOAgent::builder()
        .action_space(env.action_space())
        .network_info(PPONetworkInfo::Separate(networks))
        .batch_size(ENVS * STEPS_EACH)
        .mini_batch_size(64)
        .num_epochs(10)
        .clip_range(ConstantSchedule::new(0.2))
        .device(device.clone())
        .training_horizon(steps)
        .build()
        .expect("an agent");
    let start = Instant::now();
    agent.learn(&mut env, steps).expect("the training");
    println!("{}", start.elapsed().as_secs_f64());
}
