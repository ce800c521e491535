"""Agents on a GPU beside the same machine's CPU: rates, and what they learn.

    make setup && cargo build --release
    python benches/side_by_side/gpu.py [--only ppo-frames dqn sac ...] [--scale 1] [--json gpu.json]

It needs Python alone. Each workload is trained on the GPU and on the CPU, one after the other, from the same seed.
The rate is that between the first row of the run's log behind the warm-up and the last, evaluations left out; the
return is that of the last evaluation, of the last weights. PAVLOV names a program that was built elsewhere.
"""

import argparse
import json
import tempfile
from pathlib import Path

import side

FRAMES = """
    num_envs=32 env_threads=4 rollout_steps=128 minibatch_size=1024 epochs=4 net.cnn=nature net.shared=true
    net.trunk_sizes=[512] net.hidden_sizes=[] net.value_hidden_sizes=[] wrappers=[{kind="frame_stack",frames=4}]
""".split()
# Agent, environment, env steps, settings, env steps of the warm-up.
WORKLOADS = {
    "ppo": ("ppo", "CartPole-v1", 50_000, [], 0),
    "ppo-frames": ("ppo", "PixelPong-v0", 65_536, FRAMES, 8_192),
    "ppo-lstm": ("ppo", "CartPoleNoVel-v1", 20_000, [], 0),
    "dqn": ("dqn", "CartPole-v1", 20_000, [], 2_000),
    "dqn-frames": ("dqn", "PixelPong-v0", 10_000, ["warmup_env_steps=2000"], 3_000),
    "sac": ("sac", "Pendulum-v1", 6_000, [], 1_500),
    "sac-large": ("sac", "Pendulum-v1", 3_000, ["net.hidden_sizes=[1024,1024]", "batch_size=1024"], 1_500),
}


def train(name, device, scale):
    agent, environment, steps, settings, warmup = WORKLOADS[name]
    steps = round(steps * scale)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        settings = [*settings, f"env_steps={steps}", f"log.every_env_steps={steps // 40}", f"device={device}"]
        settings += [f"evaluation.every_env_steps={steps}", "evaluation.episodes=20"]
        seconds = side.train(run, agent, environment, *settings)
        rows = side.log_of(run)
    done, elapsed = "time/total_timesteps", "time/time_elapsed"
    first = next(row for row in rows if row[done] >= warmup)
    # The last row is written behind the evaluation.
    last = max((row for row in rows if row[done] < steps), key=lambda row: row[done])
    rate = (last[done] - first[done]) / (last[elapsed] - first[elapsed])
    evaluated = [row["eval/mean_reward"] for row in rows if row["eval/mean_reward"] == row["eval/mean_reward"]]
    return {"rate": rate, "return": evaluated[-1], "seconds": seconds, "env_steps": steps}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=WORKLOADS, nargs="+", default=list(WORKLOADS))
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the numbers of env steps")
    parser.add_argument("--devices", nargs="+", default=["cuda", "cpu"])
    parser.add_argument("--json", type=Path, help="a file for all that was measured")
    options = parser.parse_args()
    measured = {}
    print(f"{'':14}{'device':8}{'env steps/s':>12}{'return':>10}{'seconds':>10}")
    for name in options.only:
        for device in options.devices:
            result = train(name, device, options.scale)
            measured.setdefault(name, {})[device] = result
            line = f"{result['rate']:12.0f}{result['return']:10.2f}{result['seconds']:10.1f}"
            print(f"{name:14}{device:8}{line}", flush=True)
        if options.json:
            options.json.write_text(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main()
