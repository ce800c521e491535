"""A library on Stable-Baselines3's interface, timed: prints its env steps per second.

    python sb3.py ppo|recurrent64|recurrent256|cnn|sac|sbx [threads]
"""

import sys
import time

import gymnasium
import numpy as np
import torch

what = sys.argv[1]
torch.set_num_threads(int(sys.argv[2]) if len(sys.argv) > 2 else 1)


class Frames(gymnasium.Env):
    """Stacks of 84x84 frames that cost nothing to make."""

    observation_space = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
    action_space = gymnasium.spaces.Discrete(3)

    def __init__(self):
        self.frames = np.random.default_rng(0).integers(0, 256, (64, 4, 84, 84), dtype=np.uint8)
        self.time = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self.frames[0], {}

    def step(self, action):
        self.time += 1
        return self.frames[self.time % 64], float(action), self.time >= 1000, False, {}


if what == "ppo":
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    envs = make_vec_env("CartPole-v1", n_envs=8)
    model = PPO("MlpPolicy", envs, n_steps=128, batch_size=256, n_epochs=10, device="cpu")
    warm, steps = 1_024, 20_480
elif what.startswith("recurrent"):
    from sb3_contrib import RecurrentPPO
    from stable_baselines3.common.env_util import make_vec_env

    envs = make_vec_env("CartPole-v1", n_envs=8)
    policy = {"lstm_hidden_size": int(what.removeprefix("recurrent")), "net_arch": [64]}
    model = RecurrentPPO(
        "MlpLstmPolicy", envs, n_steps=32, batch_size=256, n_epochs=20, policy_kwargs=policy, device="cpu"
    )
    warm, steps = 256, 2_560
elif what == "cnn":
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    envs = make_vec_env(Frames, n_envs=8)
    model = PPO("CnnPolicy", envs, n_steps=128, batch_size=256, n_epochs=4, device="cpu")
    warm, steps = 1_024, 4_096
elif what in ("sac", "sbx"):
    if what == "sac":
        from stable_baselines3 import SAC
    else:
        from sbx import SAC

    policy = {"net_arch": [256, 256]}
    model = SAC("MlpPolicy", "Pendulum-v1", learning_starts=100, batch_size=256, policy_kwargs=policy, device="cpu")
    warm, steps = 600, 2_000
else:
    sys.exit(__doc__)

# The first steps fill buffers and compile what is compiled.
model.learn(total_timesteps=warm)
start = time.perf_counter()
model.learn(total_timesteps=steps, reset_num_timesteps=False)
print(steps / (time.perf_counter() - start))
