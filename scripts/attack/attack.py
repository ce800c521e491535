"""The common part of the attacks: a command under watch, and the verdict on how it ended.

A command may succeed or be refused with a message. It must not panic, die of a signal, hang, or take more memory
than the limit; a refused setting must be named in the message.
"""

import argparse
import collections
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# Seconds after which a command that was not asked to work hangs.
PATIENCE = 20.0
# Bytes of memory that no attacked process may have at any moment.
MEMORY = 2 << 30
FAULTS = ("panic", "signal", "hang", "memory", "unnamed", "touched", "differs")


class Ended:
    """The end of a command: what it said, and how much it took."""

    def __init__(self, code, err, seconds, peak, stopped):
        self.code, self.err, self.seconds, self.peak, self.stopped = code, err, seconds, peak, stopped

    def verdict(self):
        """One of ok, refused and the faults."""
        if "panicked at" in self.err or self.code == 101:
            return "panic"
        if self.stopped == "memory":
            return "memory"
        if self.stopped == "hang":
            return "hang"
        # A program that has not begun its work ends by the interrupt itself.
        if self.code is not None and self.code < 0 and self.code != -signal.SIGINT:
            return "signal"
        return "ok" if self.code in (0, 130, -signal.SIGINT) else "refused"


def peak_of(pid):
    """The largest resident memory of a process so far, in bytes."""
    try:
        with open(f"/proc/{pid}/status") as status:
            found = re.search(r"VmHWM:\s+(\d+) kB", status.read())
    except OSError:
        return 0
    return int(found.group(1)) * 1024 if found else 0


def watch(command, cwd, works_for=None, patience=PATIENCE, memory=MEMORY):
    """Runs a command. With `works_for` it is asked to stop (SIGINT) after so many seconds, and then has its
    patience to end; without, it must end by itself within its patience."""
    with tempfile.TemporaryFile() as said:
        began = time.monotonic()
        child = subprocess.Popen(
            command, cwd=cwd, env=dict(os.environ, RUST_BACKTRACE="0"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
        )
        peak, asked, stopped = 0, None, None
        limit = patience
        while child.poll() is None:
            time.sleep(0.01)
            peak = max(peak, peak_of(child.pid))
            elapsed = time.monotonic() - began
            if works_for is not None and asked is None and elapsed > works_for:
                child.send_signal(signal.SIGINT)
                asked, limit = elapsed, elapsed + patience
            if peak > memory:
                stopped = "memory"
            elif elapsed > limit:
                stopped = "hang"
            if stopped:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        said.seek(0)
        err = said.read().decode(errors="replace")
        return Ended(child.returncode, err, time.monotonic() - began, peak, stopped)


def names(err, sets):
    """True if a message names one of the settings, or a part of one's value."""
    words = re.findall(r"[A-Za-z_]\w*", " ".join(sets))
    return any(re.search(rf"\b{re.escape(word)}\b", err) for word in words if word not in ("net", "kind", "data"))


class Tally:
    """Counts verdicts and prints those that are faults."""

    def __init__(self, what):
        self.what, self.counts, self.began = what, collections.Counter(), time.monotonic()
        self.peak, self.longest = 0, 0.0

    def add(self, verdict, name, ended=None):
        self.counts[verdict] += 1
        if ended is not None:
            self.peak, self.longest = max(self.peak, ended.peak), max(self.longest, ended.seconds)
        if verdict in FAULTS:
            print(f"FAULT {verdict}: {name}")
            if ended is not None:
                print("    " + "\n    ".join(line[:300] for line in ended.err.strip().splitlines()[:4]))
            sys.stdout.flush()

    def close(self):
        """Prints the summary and gives the exit code."""
        faults = sum(self.counts[fault] for fault in FAULTS)
        counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(self.counts.items()))
        most = f"; most memory {self.peak / 1e6:.0f} MB, longest {self.longest:.1f} s" if self.peak else ""
        seconds = time.monotonic() - self.began
        print(f"{self.what}: {sum(self.counts.values())} cases, {faults} faults ({counts}){most}; {seconds:.0f} s in all")
        return 1 if faults else 0


def arguments(description, **counts):
    """The arguments of an attack: the program, a seed, and how often."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--pavlov", default=os.environ.get("PAVLOV", "target/release/pavlov"), help="the program")
    parser.add_argument("--seed", type=int, default=0)
    for name, count in counts.items():
        parser.add_argument(f"--{name}", type=int, default=count)
    given = parser.parse_args()
    given.pavlov = os.path.abspath(given.pavlov)
    if not os.access(given.pavlov, os.X_OK):
        parser.error(f"{given.pavlov} is no program: build it with `cargo build --release`, or name it with --pavlov")
    return given


def scratch():
    """A folder of its own for an attack, removed at the end."""
    return tempfile.TemporaryDirectory(prefix="pavlov-attack-")


def attempt(given, tally, folder, run, start, sets, works_for):
    """Starts a run with these settings and adds its end to the tally. A setting that is refused must be named."""
    command = [given.pavlov, *start, "--run-dir", run]
    for one in sets:
        command += ["--set", one]
    ended = watch(command, folder, works_for=works_for)
    verdict = ended.verdict()
    if verdict == "refused" and not names(ended.err, sets):
        verdict = "unnamed"
    tally.add(verdict, " ".join([*start, *sets])[:160], ended)


def copied(source, target):
    """A copy of a run's folder in place of what stood there."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)
