#!/usr/bin/env python3
"""Random settings for every agent and every task: each is taken, or refused with its name.

Half of the cases set one key to a value that makes no sense or is far too large, the others several. A setting that
is taken trains for a moment and is stopped.
"""

import random
import subprocess
import sys
import tomllib

from attack import Tally, arguments, attempt, scratch

AGENTS = [
    ("dqn", "CartPole-v1"),
    ("apex", "CartPole-v1"),
    ("ppo", "CartPole-v1"),
    ("a2c", "CartPole-v1"),
    ("impala", "CartPole-v1"),
    ("reinforce", "CartPole-v1"),
    ("sac", "Pendulum-v1"),
    ("sac", "CartPole-v1"),
    ("td3", "Pendulum-v1"),
    ("ddpg", "Pendulum-v1"),
    ("ppo", "MinAtar/Breakout-v1"),
    ("dqn", "PixelPong-v0"),
]
TASKS = [
    ("classifier", "digits"),
    ("autoencoder", "digits"),
    ("gan", "digits"),
    ("speech", "tones"),
]
# Keys that name what is trained, files and devices, or that only lengthen a run.
LEFT_ALONE = ("agent", "environment", "task", "data.name", "data.path", "pretrained", "device", "seed")
LARGE = ["1000000000000", "9223372036854775807", "4294967296", "100000000", "1000001"]
WRONG = ["-1", "0", "1e300", "-1e300", "nan", "inf", "-inf", "1e-300", "1.5", "true", "word", "[]", "{}", "''", "[0]",
         "[1, 2, 3]", "{ kind = 'nothing' }"]
LISTS = ["[1000000000]", "[100000, 100000]", "[-1]", "[0]", "[4, 4, 4, 4, 4, 4, 4, 4]", "[" + "2, " * 70 + "2]"]


def leaves(table, prefix=""):
    """The keys of a configuration with their values; those under `hyperparameters` stand without it."""
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from leaves(value, "" if name == "hyperparameters" else f"{name}.")
        else:
            yield name, value


def value_for(chance, present):
    """A value in place of the present one: usually of its kind."""
    if isinstance(present, list):
        return chance.choice(LISTS + WRONG)
    if isinstance(present, bool):
        return chance.choice(["true", "false", "1"])
    if isinstance(present, int):
        return chance.choice(LARGE * 2 + WRONG + [str(chance.randrange(1, 64))])
    if isinstance(present, float):
        return chance.choice(WRONG + ["1.0", "0.5", "1e9", "1e-9"])
    return chance.choice(WRONG + ["off", "auto", "relu"])


def main():
    given = arguments(__doc__.splitlines()[0], runs=400)
    chance = random.Random(given.seed)
    tally = Tally("random settings")
    starts = [(["train", agent, env], ["config", agent, env]) for agent, env in AGENTS]
    starts += [(["fit", task, data], ["fit", task, data, "--print-config"]) for task, data in TASKS]
    with scratch() as folder:
        known = []
        for start, show in starts:
            text = subprocess.run([given.pavlov, *show], cwd=folder, capture_output=True, text=True, check=True).stdout
            keys = [(key, value) for key, value in leaves(tomllib.loads(text)) if not key.startswith(LEFT_ALONE)]
            known.append((start, keys))
        for case in range(given.runs):
            start, keys = known[case % len(known)]
            count = 1 if chance.random() < 0.5 else chance.randrange(2, 5)
            sets = [f"{key}={value_for(chance, value)}" for key, value in chance.sample(keys, count)]
            attempt(given, tally, folder, f"run-{case}", start, sets, works_for=1.0)
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
