"""Plays a run's best DQN weights in Gymnasium's own world: what was learned here must be worth the same there.

    pip install "gymnasium[box2d]" safetensors numpy
    pavlov train dqn LunarLander-v3 --run-dir runs/transfer
    pavlov eval runs/transfer --episodes 200
    python scripts/transfer.py runs/transfer LunarLander-v3 --episodes 200

The network is that of the presets: linear layers with ReLU between them.
"""

import argparse
from pathlib import Path

import gymnasium
import numpy as np
from safetensors.numpy import load_file


def layers(run):
    arrays = load_file(Path(run) / "best" / "weights.safetensors")
    names = sorted({int(name.split(".")[0]) for name in arrays if name.endswith(".weight")})
    return [(arrays[f"{name}.weight"], arrays[f"{name}.bias"]) for name in names]


def greedy(network, observation):
    hidden = np.asarray(observation, np.float32)
    for weight, bias in network[:-1]:
        hidden = np.maximum(weight @ hidden + bias, 0.0)
    weight, bias = network[-1]
    return int(np.argmax(weight @ hidden + bias))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("environment")
    parser.add_argument("--episodes", type=int, default=100)
    arguments = parser.parse_args()
    network, env, returns = layers(arguments.run), gymnasium.make(arguments.environment), []
    for seed in range(arguments.episodes):
        observation, _ = env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            observation, reward, terminated, truncated, _ = env.step(greedy(network, observation))
            total, over = total + float(reward), terminated or truncated
        returns.append(total)
    mean, deviation = np.mean(returns), np.std(returns)
    error = deviation / np.sqrt(len(returns))
    print(f"{arguments.episodes} episodes in Gymnasium's {arguments.environment}")
    print(f"return {mean:.2f} +- {deviation:.2f}, standard error of the mean {error:.2f}")


if __name__ == "__main__":
    main()
