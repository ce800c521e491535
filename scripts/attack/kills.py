#!/usr/bin/env python3
"""Kills at random moments, most of them within the writing of a checkpoint, and second signals.

A run that is killed and resumed over and over ends as one that was never interrupted, byte for byte. A second
signal ends a run at once, with the exit code of an interrupted one, whatever is under way.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

from attack import Tally, arguments, scratch

# Checkpoints are so frequent that most of the time one is being written.
OFTEN = ["--set", "env_steps=3000", "--set", "checkpoint.every_env_steps=20", "--set", "checkpoint.keep_last=2",
         "--set", "log.every_env_steps=50", "--set", "evaluation.every_env_steps=500", "--set", "evaluation.episodes=1",
         "--set", "net.hidden_sizes=[16]"]
RUNS = {
    "dqn": ["train", "dqn", "CartPole-v1", *OFTEN, "--set", "warmup_env_steps=100"],
    "ppo": ["train", "ppo", "CartPole-v1", *OFTEN, "--set", "num_envs=2"],
    "fit": ["fit", "classifier", "digits", "--updates", "60", "--set", "checkpoint.every_updates=1", "--set",
            "data.options.count=400", "--set", "data.batch_size=8"],
}
ACTORS = ["train", "dqn", "CartPole-v1", "--actors", "2", "--envs", "4", "--steps", "100000000", "--set",
          "warmup_env_steps=100", "--set", "net.hidden_sizes=[16]", "--set", "checkpoint.every_env_steps=0"]
TURNS = ["train", "ppo", "CartPole-v1", "--steps", "100000000", "--set", "checkpoint.every_env_steps=100"]


def tensors(run):
    """The numbers of the last checkpoint, byte for byte."""
    folder = os.path.join(run, "checkpoints")
    last = sorted(name for name in os.listdir(folder) if name.startswith("step-"))[-1]
    with open(os.path.join(folder, last, "tensors.safetensors"), "rb") as file:
        return file.read()


def killed(given, chance, folder, tally):
    for name, command in RUNS.items():
        subprocess.run([given.pavlov, *command, "--run-dir", f"{name}-whole", "-q"], cwd=folder, check=True)
        run = os.path.join(folder, name)
        kills, signals = 0, 0
        while kills < given.kills // len(RUNS):
            shutil.rmtree(run, ignore_errors=True)
            for _ in range(given.kills):
                begun = os.path.exists(os.path.join(run, "config.toml"))
                if not begun:
                    shutil.rmtree(run, ignore_errors=True)
                words = ["resume", name] if begun else [*command, "--run-dir", name]
                child = subprocess.Popen([given.pavlov, *words, "-q"], cwd=folder, stderr=subprocess.PIPE, text=True)
                try:
                    err = child.communicate(timeout=chance.uniform(0.05, 1.2))[1]
                    if child.returncode != 0:
                        tally.add("signal" if child.returncode < 0 else "differs", f"{name}: {err.strip()[:200]}")
                        return
                    break
                except subprocess.TimeoutExpired:
                    child.send_signal(signal.SIGKILL)
                    child.communicate()
                    kills += 1
                    signals += 1
            subprocess.run([given.pavlov, "resume", name, "-q"], cwd=folder, check=True)
            same = tensors(run) == tensors(os.path.join(folder, f"{name}-whole"))
            parts = [path for place, _, names in os.walk(run) for path in names if ".part" in path]
            tally.add("ok" if same and not parts else "differs", f"{name} after {signals} kills {parts}")
        print(f"  {name}: {kills} kills")


def second_signals(given, chance, folder, tally):
    for case in range(given.signals):
        command = [ACTORS, TURNS][case % 2]
        run = f"signals-{case}"
        child = subprocess.Popen(
            [given.pavlov, *command, "--run-dir", run, "-q"], cwd=folder, stderr=subprocess.PIPE, text=True
        )
        while not os.path.exists(os.path.join(folder, run, "progress.csv")) and child.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.05, 0.6))
        for _ in range(2):
            child.send_signal(chance.choice([signal.SIGINT, signal.SIGTERM]))
            time.sleep(chance.choice([0.0, 0.001, 0.005, 0.02, 0.1]))
        try:
            err = child.communicate(timeout=20)[1]
            verdict = "ok" if child.returncode == 130 else "panic" if "panicked" in err else "signal"
        except subprocess.TimeoutExpired:
            child.kill()
            err, verdict = child.communicate()[1], "hang"
        tally.add(verdict, f"two signals, exit code {child.returncode}: {err.strip()[:200]}")
        shutil.rmtree(os.path.join(folder, run), ignore_errors=True)


def main():
    given = arguments(__doc__.splitlines()[0], kills=60, signals=40)
    chance = random.Random(given.seed)
    tally = Tally("kills and second signals")
    with scratch() as folder:
        killed(given, chance, folder, tally)
        second_signals(given, chance, folder, tally)
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
