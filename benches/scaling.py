#!/usr/bin/env python3
"""Weak scaling: N processes with one thread each, which have N times the work, against one.

    cargo build --release
    python3 benches/scaling.py [--processes 2] [--repeats 3] [--json FILE]

PPO with the Nature CNN on frames of PixelPong (8 environments and minibatches of 256 for each process) and SAC with
networks of 256 x 256 on Pendulum (one environment and batches of 256 for each process, an update for each of its
steps). What is measured is env steps per second of the whole training behind its first rows, without evaluations; the
forms take turns, and the median counts. Beside it stands the share of the time that a shard waits for others
(`group/idle_share`, sums included).
"""

import argparse
import csv
import json
import pathlib
import statistics
import subprocess
import tempfile

PAVLOV = pathlib.Path(__file__).resolve().parent.parent / "target/release/pavlov"
COMMON = ["threads=1", "update_threads=1", "evaluation.every_env_steps=0", "checkpoint.every_env_steps=0"]


def ppo(processes):
    steps = 8_192 * processes
    sets = [f"num_envs={8 * processes}", f"minibatch_size={256 * processes}", f"log.every_env_steps={1_024 * processes}"]
    return ["ppo", "PixelPong-v0", "--steps", str(steps)], sets


def sac(processes):
    steps = 3_000 * processes
    sets = [
        f"num_envs={processes}",
        f"batch_size={256 * processes}",
        f"train_every_env_steps={processes}",
        "updates_per_phase=1",
        f"warmup_env_steps={500 * processes}",
        "net.hidden_sizes=[256, 256]",
        f"log.every_env_steps={500 * processes}",
    ]
    return ["sac", "Pendulum-v1", "--steps", str(steps)], sets


def measure(make, processes):
    command, sets = make(processes)
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        sets = [word for one in COMMON + sets for word in ("--set", one)]
        launcher = ["launch", "--processes", str(processes)]
        subprocess.run([PAVLOV, *launcher, "train", *command, *sets, "-q", "--run-dir", run], check=True)
        with open(run / "progress.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    # The first rows have the warm-up in them, or none of the updates.
    first, last = rows[2], rows[-1]
    steps = int(last["time/total_timesteps"]) - int(first["time/total_timesteps"])
    seconds = float(last["time/time_elapsed"]) - float(first["time/time_elapsed"])
    shares = [float(row["group/idle_share"]) for row in rows[3:] if row.get("group/idle_share")]
    return steps / seconds, statistics.mean(shares) if shares else 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    figures = {}
    print("| training | 1 process, steps/s | "f"{args.processes} processes, steps/s | ratio | a shard waits |")
    print("|---|---|---|---|---|")
    for name, make in [("PPO, Nature CNN", ppo), ("SAC, 256 x 256", sac)]:
        rates = {1: [], args.processes: []}
        shares = []
        for _ in range(args.repeats):
            for processes in rates:
                rate, share = measure(make, processes)
                rates[processes].append(rate)
                if processes > 1:
                    shares.append(share)
        one, many = (statistics.median(rates[processes]) for processes in rates)
        figures[name] = {"rates": rates, "idle_shares": shares}
        share = statistics.median(shares) if shares else 0.0
        print(f"| {name} | {one:,.0f} | {many:,.0f} | {many / one:.2f} | {share:.0%} |", flush=True)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
