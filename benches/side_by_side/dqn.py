"""DQN on CartPole-v1 beside Stable-Baselines3 and ModuRL: the same settings, the same machine, one run.

    make setup && cargo build --release
    python -m venv /tmp/side-by-side
    /tmp/side-by-side/bin/pip install "stable-baselines3==2.9.*"
    (cd benches/side_by_side/modurl_dqn && cargo build --release)
    /tmp/side-by-side/bin/python benches/side_by_side/dqn.py [--repeats 3]

The rivals are timed from their first training step, Pavlov from the start of its process to its end, evaluations,
checkpoints and logs included. Each runs in turn, so that a machine that slows down slows all of them.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent.parent / "target"
MODURL_STEPS = 50_000
MODURL_WARMUP = 1_024
# ModuRL's workload in Pavlov's words.
MODURL_SETTINGS = """
    net.hidden_sizes=[64,64] net.activation=tanh replay_capacity=10000 batch_size=64 train_every_env_steps=4
    updates_per_training=1 learning_rate=2.5e-4 optimizer.eps=1e-5 target_update_every_env_steps=1000
    epsilon_start=0.1 epsilon_end=0.1 loss=squared gradient_clip_norm=off warmup_env_steps=1024
    evaluation.every_env_steps=0 checkpoint.every_env_steps=0
""".split()


def pavlov(*settings):
    with tempfile.TemporaryDirectory() as folder:
        command = [TARGET / "release" / "pavlov", "train", "dqn", "CartPole-v1", "--quiet"]
        command += ["--run-dir", Path(folder) / "run"]
        command += [word for setting in settings for word in ("--set", setting)]
        start = time.perf_counter()
        subprocess.run(command, check=True)
        return time.perf_counter() - start


def sb3(threads):
    command = [sys.executable, HERE / "sb3_dqn.py", "0", str(threads)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(re.search(r": ([0-9.]+) s", said)[1])


def modurl():
    # More threads make it slower on networks of this size.
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
    folder = Path(os.environ.get("MODURL_TARGET", HERE / "modurl_dqn" / "target"))
    command = [folder / "release" / "modurl_dqn", str(MODURL_STEPS)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return float(said)


def compare(title, steps, rivals, repeats):
    seconds = {name: [] for name in rivals}
    for _ in range(repeats):
        for name, run in rivals.items():
            seconds[name].append(run())
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ours = medians["Pavlov"]
    print(f"\n{title}\n{'':34}{'median s':>10}{'steps/s':>10}{'times Pavlov':>14}  all")
    for name, median in medians.items():
        every = " ".join(f"{value:.2f}" for value in seconds[name])
        print(f"{name:34}{median:10.2f}{steps / median:10.0f}{median / ours:14.2f}  {every}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    compare(
        "CartPole-v1 preset: 50,000 steps, 256-256, batch 64, 128 updates every 256 steps",
        50_000,
        {
            "Pavlov": pavlov,
            "Pavlov, update_threads = 1": lambda: pavlov("update_threads=1"),
            "Stable-Baselines3, 1 thread": lambda: sb3(1),
            "Stable-Baselines3, 2 threads": lambda: sb3(2),
        },
        repeats,
    )
    compare(
        "ModuRL's workload: 50,000 steps, 64-64 tanh, batch 64, one update every 4 steps",
        MODURL_STEPS,
        {
            "Pavlov": lambda: pavlov(f"env_steps={MODURL_STEPS + MODURL_WARMUP}", *MODURL_SETTINGS),
            "ModuRL 0.1.0, 1 thread": modurl,
        },
        repeats,
    )


if __name__ == "__main__":
    main()
