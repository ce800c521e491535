"""PPO beside Stable-Baselines3, sb3-contrib, CleanRL, rejax and ModuRL: the same settings, the same machine, one run.

    make setup && cargo build --release
    python -m venv /tmp/side-by-side
    /tmp/side-by-side/bin/pip install "stable-baselines3==2.9.*" "sb3-contrib==2.9.*" rejax tensorboard tyro
    (cd benches/side_by_side/modurl && cargo build --release)
    CLEANRL=CHECKOUT /tmp/side-by-side/bin/python benches/side_by_side/ppo.py [--repeats 3]

CHECKOUT is one of github's vwxyzjn/cleanrl; without it CleanRL is left out. The rivals are timed from their second training
on, or without their compilation; Pavlov from the start of its process to its end, checkpoints and logs included.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from side import compare, modurl, pavlov, repeats, script

NO_EVALUATION = ["evaluation.every_env_steps=0"]
WORKLOAD = """
    env_steps=512000 num_envs=8 rollout_steps=128 minibatch_size=256 epochs=10 learning_rate=3e-4 clip_range=0.2
    discount=0.99 gae_lambda=0.95
""".split()
MODURL_STEPS = 102_400
MODURL_WORKLOAD = f"""
    env_steps={MODURL_STEPS} num_envs=8 rollout_steps=256 minibatch_size=64 epochs=10 learning_rate=3e-4 clip_range=0.2
    discount=0.99 gae_lambda=0.95
""".split()
RECURRENT = """
    env_steps=51200 num_envs=8 rollout_steps=32 minibatch_size=256 epochs=20 net.recurrent=lstm net.hidden_sizes=[64]
    net.value_hidden_sizes=[64] net.activation=tanh
""".split()
CNN = """
    env_steps=16384 num_envs=8 rollout_steps=128 minibatch_size=256 epochs=4 net.cnn=nature net.shared=true
    net.trunk_sizes=[512] net.hidden_sizes=[] net.value_hidden_sizes=[] net.activation=relu wrappers=[{kind="frame_stack",frames=4}]
""".split()


def rate(steps, environment, *settings):
    return steps / pavlov("ppo", environment, *NO_EVALUATION, *settings)


def cleanrl(steps=20_480):
    """CleanRL's file as it is: the seconds of a longer run less those of a shorter one, to leave its start out."""

    def seconds(count):
        command = [sys.executable, Path(os.environ["CLEANRL"]) / "cleanrl" / "ppo.py", "--no-cuda", "--num-envs", "8"]
        command += ["--num-steps", "128", "--update-epochs", "10", "--total-timesteps", str(count)]
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run(command, check=True, capture_output=True, cwd=folder, env=environment)
            return time.perf_counter() - start

    return steps / (seconds(steps + 1_024) - seconds(1_024))


def main():
    times = repeats(__doc__)
    rivals = {
        "Pavlov": lambda: rate(512_000, "CartPole-v1", *WORKLOAD),
        "Pavlov, update_threads = 1": lambda: rate(512_000, "CartPole-v1", "update_threads=1", *WORKLOAD),
        "Stable-Baselines3, 1 thread": lambda: script("sb3.py", "ppo"),
        "rejax, compiled whole": lambda: script("rejax_ppo.py"),
    }
    if "CLEANRL" in os.environ:
        rivals["CleanRL, 1 thread"] = cleanrl
    compare("CartPole-v1: 8 x 128 steps, 64-64 tanh twice, 10 epochs of 4 minibatches of 256", rivals, times)
    compare(
        "ModuRL's workload: 8 x 256 steps, 64-64 tanh twice, 10 epochs of minibatches of 64",
        {
            "Pavlov": lambda: rate(MODURL_STEPS, "CartPole-v1", *MODURL_WORKLOAD),
            "ModuRL 0.1.0, 1 thread": lambda: MODURL_STEPS / modurl("ppo", MODURL_STEPS),
        },
        times,
    )
    for size in (64, 256):
        compare(
            f"Recurrent: 8 x 32 steps, an LSTM of {size} twice, 20 epochs of minibatches of 256",
            {
                "Pavlov": lambda: rate(51_200, "CartPole-v1", f"net.recurrent_size={size}", *RECURRENT),
                "sb3-contrib, 1 thread": lambda: script("sb3.py", f"recurrent{size}", 1),
                "sb3-contrib, 2 threads": lambda: script("sb3.py", f"recurrent{size}", 2),
            },
            times,
        )
    compare(
        "Frames of 84x84x4: the Nature network, 8 x 128 steps, 4 epochs of minibatches of 256",
        {
            "Pavlov": lambda: rate(16_384, "PixelPong-v0", *CNN),
            "Pavlov, net.precision = bf16": lambda: rate(16_384, "PixelPong-v0", "net.precision=bf16", *CNN),
            "Stable-Baselines3, 1 thread": lambda: script("sb3.py", "cnn", 1),
            "Stable-Baselines3, 2 threads": lambda: script("sb3.py", "cnn", 2),
        },
        times,
    )


if __name__ == "__main__":
    main()
