"""Worlds that try what a worker has to bear: odd spaces, words on standard output, exceptions, death, children."""

import ctypes
import os
import subprocess
import sys
import time

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Mortal(gym.Env):
    """Shows its process and the steps of its episode; some actions are the last thing it does."""

    observation_space = spaces.Box(-1.0, np.inf, (2,), np.float64)
    action_space = spaces.Discrete(6)
    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, render_mode=None, episode_steps=10**9, print_words=False, dies_in_reset=False):
        self.render_mode, self.episode_steps = render_mode, episode_steps
        self.print_words, self.dies_in_reset = print_words, dies_in_reset

    def observe(self):
        return np.array([os.getpid(), self.steps], np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        if self.dies_in_reset:
            print("no way to begin", file=sys.stderr)
            os._exit(4)
        return self.observe(), {"seed": -1 if seed is None else seed, "word": "none"}

    def step(self, action):
        assert isinstance(action, int)
        self.steps += 1
        if self.print_words:
            print("a word on standard output")
            os.write(1, b"and one below Python\n")
            assert sys.stdin.read() == ""
        if action == 1:
            raise ValueError("this world has a fault")
        if action == 2:
            print("the last words", file=sys.stderr, flush=True)
            os._exit(3)
        if action == 3:
            time.sleep(1000)
        if action == 4:
            return np.array([np.nan, 0.0]), 0.0, False, False, {}
        if action == 5:
            return self.observe(), float("inf"), False, False, {}
        info = {"steps": self.steps, "half": np.float32(0.5), "alive": True, "lives": 3, "word": "some"}
        return self.observe(), 1.0, False, self.steps >= self.episode_steps, info

    def render(self):
        picture = np.zeros((2, 3, 3), np.uint8)
        picture[1, 2] = 1, 2, 3
        return picture


class Simulated(Mortal):
    """Starts two processes and never ends them: one in the group of its own process, one in a session of its own.
    Shows them after its own process and the steps."""

    observation_space = spaces.Box(-1.0, np.inf, (4,), np.float64)
    metadata = {"render_modes": []}

    def __init__(self, told=None, fails=False):
        super().__init__()
        self.simulators = [subprocess.Popen(["sleep", "1000"], start_new_session=apart) for apart in (False, True)]
        if told:
            with open(told, "w") as file:
                file.write(" ".join(str(simulator.pid) for simulator in self.simulators))
        if fails:
            raise ValueError("there is no level of this name")

    def observe(self):
        return np.array([os.getpid(), self.steps, *(simulator.pid for simulator in self.simulators)], np.float64)

    def step(self, action):
        if action == 3:
            # Unlike Python's own, it holds the interpreter's lock, so that no other thread can run.
            ctypes.PyDLL(None).sleep(1000)
        return super().step(action)


class Zoo(gym.Env):
    """Every kind of space at once. Its observation tells the last action."""

    kinds = {
        "discrete": spaces.Discrete(4, start=-2),
        "multi_discrete": spaces.MultiDiscrete([3, 4], start=[1, 10]),
        "multi_binary": spaces.MultiBinary([2, 2]),
        "box": spaces.Box(np.float32([-1.0, -np.inf]), np.float32([1.0, 2.0]), dtype=np.float32),
        "double": spaces.Box(-1.0, 1.0, (1, 2), np.float64),
        "whole": spaces.Box(-5, 5, (2,), np.int16),
    }

    def __init__(self, kind="discrete"):
        self.action_space = self.kinds[kind]
        self.observation_space = spaces.Dict(
            {
                "action": self.action_space,
                "pair": spaces.Tuple([spaces.Discrete(3, start=7), spaces.Box(0, 255, (2, 2), np.uint8)]),
                "wide": spaces.Box(-1.0, 1.0, (3,), np.float64),
                "whole": spaces.Box(-9, 9, (2,), np.int32),
            }
        )

    def observe(self, action):
        picture = np.arange(4, dtype=np.uint8).reshape(2, 2)
        return {"action": action, "pair": (8, picture), "wide": np.full(3, 0.25), "whole": np.array([-9, 9], np.int32)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.action_space.seed(1)
        return self.observe(self.action_space.sample()), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        return self.observe(action), 0.0, False, False, {}


class Wordy(Mortal):
    """Talks."""

    observation_space = spaces.Text(9)


class Rigid(Mortal):
    """Gives observations of another shape than it says."""

    def observe(self):
        return np.zeros(3)


class Mistyped(gym.Env):
    """Gives numbers of another type than it declares."""

    action_space = spaces.Discrete(2)

    def __init__(self, declared, given, number):
        box = spaces.Box(0, 255, (2,), np.dtype(declared))
        self.observation_space = spaces.Dict({"camera": box})
        self.observation = {"camera": np.full(2, number, np.dtype(given))}

    def reset(self, *, seed=None, options=None):
        return self.observation, {}

    def step(self, action):
        return self.observation, 0.0, False, False, {}


class Masked(gym.Env):
    """Declares its mask in PettingZoo's way."""

    action_space = spaces.Discrete(5)
    observation_space = spaces.Dict(
        {"observation": spaces.Box(0.0, 1.0, (1,), np.float32), "action_mask": spaces.Box(0, 1, (5,), np.int8)}
    )

    def observe(self):
        return {"observation": np.zeros(1, np.float32), "action_mask": np.int8([0, 1, 0, 0, 1])}

    def reset(self, *, seed=None, options=None):
        return self.observe(), {}

    def step(self, action):
        assert action in (1, 4)
        return self.observe(), 0.0, False, False, {}


for world in (Mortal, Simulated, Zoo, Wordy, Rigid, Mistyped, Masked):
    gym.register(f"{world.__name__}-v0", world)
