"""The replay of Atari's observations beside those of Python: the same frames, the same machine, each in turn.

    make setup && cargo bench --no-run --bench replay
    python -m venv /tmp/side-by-side
    /tmp/side-by-side/bin/pip install "stable-baselines3==2.9.*" tianshou "torchrl==0.13.2" cpprb
    /tmp/side-by-side/bin/python benches/side_by_side/replay.py [--transitions 100000] [--repeats 3]

100,000 transitions of one environment whose observations are four frames of 84 x 84 bytes, batches of 256 with both
observations as tensors of bytes. Prioritised, and priorities written back after each batch, where a rival has that:
Stable-Baselines3 draws uniformly. Each rival keeps frames as sparingly as it can and takes steps in the way that suits
it best (cpprb and TorchRL 64 at once). On one thread and on two; each in a process of its own. Memory is that of the
process, after less before. A rival that is not installed is left out and named. The figures are medians over the
repeats. TorchRL's priorities need the release that was built for the torch that is installed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FRAME, STACK, BATCH, EPISODE, CHUNK = 84 * 84, 4, 256, 1_000, 64
SECONDS = 4.0
STACKED = (STACK, 84, 84)


def resident():
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


class Film:
    """The frames of an episode, one after the other, so that an observation is a view of them."""

    def __init__(self):
        import numpy as np

        self.np = np
        shape = (EPISODE + STACK, 84, 84)
        self.frames = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)

    def step(self, index):
        """Observation, action, reward, whether the episode ends, and the next observation."""
        step = index % EPISODE
        now, later = self.frames[step : step + STACK], self.frames[step + 1 : step + 1 + STACK]
        return now, index % 4, 1.0, step + 1 == EPISODE, later

    def steps(self, index):
        """CHUNK steps of one episode as arrays, and how many they are."""
        count = min(CHUNK, EPISODE - index % EPISODE)
        observations, actions, rewards, ends, nexts = zip(*(self.step(index + i) for i in range(count)), strict=True)
        stack = self.np.stack
        rewards, ends = self.np.array(rewards, self.np.float32), self.np.array(ends)
        return count, stack(observations), self.np.array(actions), rewards, ends, stack(nexts)


class StableBaselines3:
    """One environment's `ReplayBuffer`, observations kept once; not prioritised."""

    def __init__(self, capacity, film):
        from gymnasium import spaces
        from stable_baselines3.common.buffers import ReplayBuffer

        observations = spaces.Box(0, 255, STACKED, dtype=film.np.uint8)
        options = {"optimize_memory_usage": True, "handle_timeout_termination": False}
        self.replay = ReplayBuffer(capacity, observations, spaces.Discrete(4), "cpu", **options)
        self.film = film

    def insert(self, index):
        now, action, reward, end, later = self.film.step(index)
        array = self.film.np.array
        self.replay.add(now[None], later[None], array([action]), array([reward]), array([end]), [{}])
        return 1

    def sample(self):
        self.replay.sample(BATCH)


class Tianshou:
    """`PrioritizedReplayBuffer`, the newest frame of an observation alone, stacks put together by it."""

    def __init__(self, capacity, film):
        import torch
        from tianshou.data import Batch, PrioritizedReplayBuffer

        self.torch, self.Batch, self.film = torch, Batch, film
        frames = {"stack_num": STACK, "ignore_obs_next": True, "save_only_last_obs": True}
        self.replay = PrioritizedReplayBuffer(size=capacity, alpha=0.6, beta=0.5, **frames)
        self.errors = film.np.arange(BATCH) / 64.0

    def insert(self, index):
        now, action, reward, end, later = self.film.step(index)
        step = {"obs": now, "act": action, "rew": reward, "terminated": end, "truncated": False, "obs_next": later}
        self.replay.add(self.Batch(**step))
        return 1

    def sample(self):
        batch, indices = self.replay.sample(BATCH)
        for observations in (batch.obs, batch.obs_next):
            self.torch.as_tensor(observations)
        self.replay.update_weight(indices, self.errors)


class TorchRL:
    """`TensorDictPrioritizedReplayBuffer` upon a tensor storage, which keeps both observations of a step whole."""

    def __init__(self, capacity, film):
        import torch
        from tensordict import TensorDict
        from torchrl.data import LazyTensorStorage, TensorDictPrioritizedReplayBuffer

        self.torch, self.TensorDict, self.film = torch, TensorDict, film
        storage = LazyTensorStorage(capacity)
        options = {"priority_key": "td_error", "batch_size": BATCH, "storage": storage}
        self.replay = TensorDictPrioritizedReplayBuffer(alpha=0.6, beta=0.5, **options)
        self.errors = torch.arange(BATCH) / 64.0

    def insert(self, index):
        count, *arrays = self.film.steps(index)
        names = ("obs", "action", "reward", "terminated", "next_obs")
        tensors = {name: self.torch.from_numpy(array) for name, array in zip(names, arrays, strict=True)}
        self.replay.extend(self.TensorDict(tensors, batch_size=[count]))
        return count

    def sample(self):
        batch = self.replay.sample()
        batch["td_error"] = self.errors
        self.replay.update_tensordict_priority(batch)


class Cpprb:
    """`PrioritizedReplayBuffer`, frames kept once and the next observation taken from the step after."""

    def __init__(self, capacity, film):
        import torch
        from cpprb import PrioritizedReplayBuffer

        self.torch, self.film = torch, film
        shapes = {"obs": {"shape": STACKED, "dtype": film.np.uint8}, "act": {"dtype": film.np.int64}}
        shapes |= {"rew": {}, "done": {}}
        sparing = {"next_of": "obs", "stack_compress": "obs"}
        # Its stacks are along the last axis.
        shapes["obs"]["shape"] = STACKED[1:] + (STACK,)
        self.replay = PrioritizedReplayBuffer(capacity, shapes, alpha=0.6, **sparing)
        self.errors = film.np.arange(BATCH) / 64.0

    def insert(self, index):
        count, now, action, reward, end, later = self.film.steps(index)
        last = self.film.np.moveaxis
        self.replay.add(obs=last(now, 1, -1), act=action, rew=reward, done=end, next_obs=last(later, 1, -1))
        if end[-1]:
            self.replay.on_episode_end()
        return count

    def sample(self):
        batch = self.replay.sample(BATCH, beta=0.5)
        for key in ("obs", "next_obs"):
            self.torch.from_numpy(batch[key])
        self.replay.update_priorities(batch["indexes"], self.errors)


RIVALS = {
    "Stable-Baselines3 (uniform)": StableBaselines3,
    "Tianshou": Tianshou,
    "TorchRL": TorchRL,
    "cpprb": Cpprb,
}


def measure(rival, capacity):
    """Bytes a transition, insertions and batches a second."""
    film = Film()
    # A small one first, so that what its libraries take is not counted.
    small = RIVALS[rival](2 * BATCH, film)
    for index in range(0, 2 * BATCH, CHUNK):
        small.insert(index)
    small.sample()
    before = resident()
    replay, index = RIVALS[rival](capacity, film), 0
    while index < capacity:
        index += replay.insert(index)
    each = (resident() - before) / capacity
    start, first = time.perf_counter(), index
    while time.perf_counter() - start < SECONDS:
        index += replay.insert(index)
    insertions = (index - first) / (time.perf_counter() - start)
    replay.sample()
    start, batches = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        replay.sample()
        batches += 1
    return each, insertions, batches / (time.perf_counter() - start)


def pavlov(capacity):
    """What the bench says of returns of one step: bytes, insertions, batches on one thread and on two."""
    command = ["cargo", "bench", "--quiet", "--bench", "replay"]
    environment = {**os.environ, "PAVLOV_REPLAY": str(capacity)}
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=ROOT).stdout
    row = next(line.split() for line in said.splitlines() if line.split()[:1] == ["1"])
    return [float(number) for number in row[1:]]


def in_a_process(rival, capacity, threads):
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, "--rival", rival, "--transitions", str(capacity)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return [float(number) for number in done.stdout.split()[-3:]]


def one_and_two_threads(rival, capacity):
    each, insertions, one = in_a_process(rival, capacity, 1)
    return each, insertions, one, in_a_process(rival, capacity, 2)[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--transitions", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rival", choices=RIVALS, help="measure this one alone, in this process")
    arguments = parser.parse_args()
    if arguments.rival:
        print(*measure(arguments.rival, arguments.transitions))
        return
    figures = {name: [] for name in ["Pavlov", *RIVALS]}
    for _ in range(arguments.repeats):
        figures["Pavlov"].append(pavlov(arguments.transitions))
        for rival in RIVALS:
            try:
                figures[rival].append(one_and_two_threads(rival, arguments.transitions))
            except RuntimeError as error:
                print(f"{rival} is left out: {error}", flush=True)
    print(f"{'':28}{'bytes each':>12}{'insertions/s':>14}{'batches/s: 1 thread':>22}{'2 threads':>12}")
    for name, rows in figures.items():
        if rows:
            each, insertions, one, two = map(statistics.median, zip(*rows, strict=True))
            print(f"{name:28}{each:12.0f}{insertions:14.0f}{one:22.0f}{two:12.0f}")


if __name__ == "__main__":
    main()
