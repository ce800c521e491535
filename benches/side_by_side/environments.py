"""Env steps per second with random actions beside the Python originals: the same machine, one run, each in turn.

    cargo build --release -p pavlov-envs --example steps_per_second
    python -m venv /tmp/side-by-side
    /tmp/side-by-side/bin/pip install "gymnasium[classic-control,box2d]" minatar "jax[cpu]" gymnax envpool
    /tmp/side-by-side/bin/python benches/side_by_side/environments.py [--repeats 3]

Actions are drawn beforehand, episodes that end are reset. A rival that is not installed is left out and named.
The figures are medians over the repeats; each repeat runs all rows in turn.
"""

import argparse
import os
import statistics
import subprocess
import time
from pathlib import Path

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).resolve().parent.parent.parent / "target"))
SECONDS = 1.5
SINGLE = ["CartPole-v1", "MountainCar-v0", "Pendulum-v1", "Acrobot-v1", "LunarLander-v3"]


def pavlov(*arguments):
    command = [TARGET / "release" / "examples" / "steps_per_second", *map(str, arguments)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def rate(step, count=1):
    """Calls `step` for some time; `count` env steps each."""
    for _ in range(3):
        step()
    start, calls = time.perf_counter(), 0
    while (passed := time.perf_counter() - start) < SECONDS:
        for _ in range(16):
            step()
        calls += 16
    return calls * count / passed


def gymnasium_single(name):
    import gymnasium

    env = gymnasium.make(name)
    env.action_space.seed(1)
    actions = [env.action_space.sample() for _ in range(1000)]
    env.reset(seed=1)
    turn = iter(range(10**12))

    def step():
        _, _, terminated, truncated, _ = env.step(actions[next(turn) % 1000])
        if terminated or truncated:
            env.reset()

    return rate(step)


def gymnasium_vector(name, num_envs):
    import gymnasium

    env = gymnasium.make_vec(name, num_envs, vectorization_mode="vector_entry_point")
    env.action_space.seed(1)
    actions = [env.action_space.sample() for _ in range(32)]
    env.reset(seed=1)
    turn = iter(range(10**12))
    return rate(lambda: env.step(actions[next(turn) % 32]), num_envs)


def gymnax_vector(name, num_envs, steps=128):
    import gymnax
    import jax

    env, params = gymnax.make(name)
    reset = jax.vmap(env.reset, in_axes=(0, None))
    step = jax.vmap(env.step, in_axes=(0, 0, 0, None))

    @jax.jit
    def roll(key, state):
        def one(carry, _):
            key, state = carry
            key, draw, move = jax.random.split(key, 3)
            actions = jax.vmap(lambda k: env.action_space(params).sample(k))(jax.random.split(draw, num_envs))
            _, state, reward, _, _ = step(jax.random.split(move, num_envs), state, actions, params)
            return (key, state), reward.sum()

        (key, state), rewards = jax.lax.scan(one, (key, state), None, steps)
        return key, state, rewards.sum()

    key = jax.random.PRNGKey(0)
    held = [key, reset(jax.random.split(key, num_envs), params)[1]]

    def run():
        held[0], held[1], total = roll(*held)
        total.block_until_ready()

    return rate(run, num_envs * steps)


def envpool_vector(name, num_envs, threads):
    import envpool
    import numpy

    env = envpool.make_gymnasium(name, num_envs=num_envs, num_threads=threads)
    actions = [numpy.array([env.action_space.sample() for _ in range(num_envs)]) for _ in range(32)]
    env.reset()
    turn = iter(range(10**12))
    return rate(lambda: env.step(actions[next(turn) % 32]), num_envs)


def minatar(name):
    import random

    from minatar import Environment

    env = Environment(name)
    env.seed(1)
    actions = [random.randrange(6) for _ in range(1000)]
    turn = iter(range(10**12))

    def step():
        _, over = env.act(actions[next(turn) % 1000])
        env.state()
        if over:
            env.reset()

    return rate(step)


def comparisons():
    """Name, Pavlov's measurement, and the rivals'."""
    for name in SINGLE:
        yield f"{name}, one", lambda n=name: pavlov(n), {"Gymnasium": lambda n=name: gymnasium_single(n)}
    yield (
        "CartPole-v1 x 1024",
        lambda: pavlov("CartPole-v1", 1024),
        {
            "Gymnasium's NumPy vector": lambda: gymnasium_vector("CartPole-v1", 1024),
            "gymnax": lambda: gymnax_vector("CartPole-v1", 1024),
            "EnvPool, one thread": lambda: envpool_vector("CartPole-v1", 1024, 1),
        },
    )
    for name in ["MountainCar-v0", "Pendulum-v1", "Acrobot-v1"]:
        yield (
            f"{name} x 1024",
            lambda n=name: pavlov(n, 1024),
            {
                "gymnax": lambda n=name: gymnax_vector(n, 1024),
                "EnvPool, one thread": lambda n=name: envpool_vector(n, 1024, 1),
            },
        )
    yield (
        "MinAtar Breakout, one",
        lambda: pavlov("MinAtar/Breakout-v0"),
        {"MinAtar's package": lambda: minatar("breakout")},
    )
    yield (
        "MinAtar Breakout x 1024",
        lambda: pavlov("MinAtar/Breakout-v0", 1024),
        {"gymnax": lambda: gymnax_vector("Breakout-MinAtar", 1024)},
    )
    for threads in [1, 2]:
        yield (
            f"LunarLander-v3 x 64, {threads} threads",
            lambda t=threads: pavlov("LunarLander-v3", 64, t),
            {"EnvPool": lambda t=threads: envpool_vector("LunarLander-v3", 64, t)},
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    rows = list(comparisons())
    rates = {}
    for _ in range(repeats):
        for title, own, rivals in rows:
            for name, measure in {"Pavlov": own, **rivals}.items():
                try:
                    rates.setdefault((title, name), []).append(measure())
                except Exception as error:
                    rates[title, name] = error
    print("| world | by | steps/s | Pavlov's ratio |\n|---|---|---|---|")
    for title, _, rivals in rows:
        own = rates[title, "Pavlov"]
        for name in ["Pavlov", *rivals]:
            measured = rates[title, name]
            if isinstance(measured, Exception):
                print(f"| {title} | {name} | not measured: {str(measured).splitlines()[0][:80]} | |")
                continue
            median = statistics.median(measured)
            ratio = "" if name == "Pavlov" or isinstance(own, Exception) else f"{statistics.median(own) / median:.1f}"
            print(f"| {title} | {name} | {median:,.0f} | {ratio} |")


if __name__ == "__main__":
    main()
