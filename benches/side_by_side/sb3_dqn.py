"""Stable-Baselines3's DQN on CartPole-v1 with rl-baselines3-zoo's hyper-parameters: wall time and greedy return.

    python sb3_dqn.py [seed] [threads]

Needs: pip install "stable-baselines3==2.9.*" gymnasium
"""

import sys
import time

import gymnasium
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.evaluation import evaluate_policy

seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
threads = int(sys.argv[2]) if len(sys.argv) > 2 else 1
torch.set_num_threads(threads)

model = DQN(
    "MlpPolicy",
    gymnasium.make("CartPole-v1"),
    learning_rate=2.3e-3,
    batch_size=64,
    buffer_size=100_000,
    learning_starts=1_000,
    gamma=0.99,
    target_update_interval=10,
    train_freq=256,
    gradient_steps=128,
    exploration_fraction=0.16,
    exploration_final_eps=0.04,
    policy_kwargs={"net_arch": [256, 256]},
    seed=seed,
    device="cpu",
)
start = time.perf_counter()
model.learn(total_timesteps=50_000)
seconds = time.perf_counter() - start
mean, deviation = evaluate_policy(model, gymnasium.make("CartPole-v1"), n_eval_episodes=100)
print(f"sb3 seed {seed} threads {threads}: return {mean:.1f} +- {deviation:.1f}, seconds {seconds:.2f}")
