"""Steps a second through the bridge to Gymnasium, beside the same environments in Python itself.

    python -m venv /tmp/side-by-side
    /tmp/side-by-side/bin/pip install "gymnasium[atari,mujoco]==1.4.0"
    /tmp/side-by-side/bin/python benches/side_by_side/bridge.py [--seconds 5] [--repeats 3] [WORD...]

Both take random actions that were drawn beforehand, reset in the same step, and run in turn, so that a machine that slows
down slows both. Words choose the workloads whose title has one of them.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WARM_UP = 200
ATARI = "atari_vector = true"

# Title, id, environments, threads of the bridge, its options, how Python steps them.
WORKLOADS = [
    ("Breakout, ALE's vector environment, 1 thread", "ALE/Breakout-v5", 8, 1, ATARI, "atari"),
    ("Breakout, ALE's vector environment, 2 threads", "ALE/Breakout-v5", 8, 2, ATARI, "atari"),
    ("HalfCheetah, 1 alone", "HalfCheetah-v5", 1, 1, "", "sync"),
    ("HalfCheetah, 8 in 1 process", "HalfCheetah-v5", 8, 1, "", "sync"),
    ("HalfCheetah, 8 in 2 processes / AsyncVectorEnv", "HalfCheetah-v5", 8, 2, "", "async"),
    ("CartPole, 1 alone", "CartPole-v1", 1, 1, "", "sync"),
    ("CartPole, 8 in 1 process", "CartPole-v1", 8, 1, "", "sync"),
    ("CartPole, 8 in 2 processes / AsyncVectorEnv", "CartPole-v1", 8, 2, "", "async"),
]


def bridge(program, name, count, threads, options, seconds):
    options = f'python = "{sys.executable}"\n{options}'
    command = [program, f"gym:{name}", str(count), str(threads), str(seconds), options]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def build():
    """The path of the bridge's bench."""
    command = ["cargo", "bench", "-p", "pavlov-envs", "--bench", "bridge", "--no-run"]
    said = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stderr
    path = said.rpartition("(")[2].rpartition(")")[0]
    return ROOT / path


def python(*arguments):
    command = [sys.executable, __file__, "--measure", *map(str, arguments)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(name, count, threads, kind, seconds):
    """What Python itself reaches: run in a process of its own."""
    import gymnasium as gym
    from gymnasium.vector import AutoresetMode

    count, threads, seconds = int(count), int(threads), float(seconds)
    if name.startswith("ALE/"):
        import ale_py

        gym.register_envs(ale_py)
    mode = AutoresetMode.SAME_STEP
    if kind == "atari":
        how = {"autoreset_mode": mode, "num_threads": threads}
        env = gym.make_vec(name, count, vectorization_mode="vector_entry_point", **how)
    else:
        env = gym.make_vec(name, count, vectorization_mode=kind, vector_kwargs={"autoreset_mode": mode})
    env.action_space.seed(1)
    actions = [env.action_space.sample() for _ in range(64)]
    env.reset(seed=1)
    for step in range(WARM_UP):
        env.step(actions[step % len(actions)])
    start, step = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        env.step(actions[step % len(actions)])
        step += 1
    print(step * count / (time.perf_counter() - start))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("words", nargs="*")
    given = parser.parse_args()
    if given.measure:
        return measure(*given.measure, given.seconds)
    program = build()
    print(f"{'':50}{'bridge':>10}{'Python':>10}{'ratio':>8}  steps/s, all")
    for title, name, count, threads, options, kind in WORKLOADS:
        if given.words and not any(word in title for word in given.words):
            continue
        ours, theirs = [], []
        for _ in range(given.repeats):
            ours.append(bridge(program, name, count, threads, options, given.seconds))
            theirs.append(python(name, count, threads, kind, "--seconds", given.seconds))
        a, b = statistics.median(ours), statistics.median(theirs)
        every = " ".join(f"{x:.0f}/{y:.0f}" for x, y in zip(ours, theirs))
        print(f"{title:50}{a:10.0f}{b:10.0f}{a / b:8.2f}  {every}", flush=True)


if __name__ == "__main__":
    main()
