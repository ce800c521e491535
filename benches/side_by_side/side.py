"""What the comparisons share: running Pavlov as a process, running rivals in turn, a table of medians."""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent.parent / "target"
# Another program than the checkout's may be named, on a machine without a compiler say.
PAVLOV = Path(os.environ.get("PAVLOV", TARGET / "release" / "pavlov"))


def repeats(description):
    """The one argument that every comparison takes."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args().repeats


def train(run, agent, environment, *settings):
    """Trains into the folder `run`; gives the seconds from the process's start to its end."""
    command = [PAVLOV, "train", agent, environment, "--quiet", "--run-dir", run]
    command += [word for setting in settings for word in ("--set", setting)]
    start = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - start


def pavlov(agent, environment, *settings):
    """Seconds of a whole training whose folder nobody needs."""
    with tempfile.TemporaryDirectory() as folder:
        return train(Path(folder) / "run", agent, environment, *settings)


def log_of(run):
    """The rows of a run's log: numbers by tag."""
    with (run / "progress.csv").open() as file:
        return [{tag: float(value or "nan") for tag, value in row.items()} for row in csv.DictReader(file)]


def script(name, *arguments):
    """The number that a script beside this one prints last."""
    command = [sys.executable, HERE / name, *map(str, arguments)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(said.split()[-1])


def modurl(binary, *arguments):
    """The seconds that a binary of modurl/ prints. More threads make it slower on networks of this size."""
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
    folder = Path(os.environ.get("MODURL_TARGET", HERE / "modurl" / "target"))
    command = [folder / "release" / binary, *map(str, arguments)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def compare(title, rivals, repeats, unit="steps/s"):
    """Runs each rival, a function that gives its rate, in turn, so that a machine that slows down slows all of them."""
    rates = {name: [] for name in rivals}
    for _ in range(repeats):
        for name, run in rivals.items():
            rates[name].append(run())
    medians = {name: statistics.median(rates) for name, rates in rates.items()}
    ours = medians["Pavlov"]
    print(f"\n{title}\n{'':44}{'median ' + unit:>16}{'Pavlov is':>12}  all")
    for name, median in medians.items():
        every = " ".join(f"{value:.0f}" for value in rates[name])
        print(f"{name:44}{median:16.0f}{ours / median:10.2f} x  {every}", flush=True)
