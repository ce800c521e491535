"""Fits of models beside PyTorch: the same networks, data and settings, the same machine, one run.

    make setup && cargo build --release
    python -m venv /tmp/side-by-side
    /tmp/side-by-side/bin/pip install "torch==2.11.0" numpy
    /tmp/side-by-side/bin/python benches/side_by_side/fits.py [--repeats 3] [--threads 1 2] [--scale 1]
        [--only cnn autoencoder gan lstm transformer] [--device cuda] [--json fits.json]

On a GPU (`--device cuda`) both have it, PyTorch's compiled forms capture CUDA graphs (`reduce-overhead`), its data
lies on the GPU, and one count of threads is enough (`--threads 2`). PAVLOV names a program that was built elsewhere.

The data is made here from a seed and given to both: pictures of 28 x 28 of ten classes as IDX files, a text
of made-up words as a text file. A repeat fits each rival once, one after the other, from new weights, for the
same number of updates. The rate is that of the later updates alone: Pavlov fits twice, a shorter and a longer
time, and the difference of the median wall times of the two processes counts; PyTorch has compiled before,
and its clock starts behind the updates that the shorter fit has. Figures are medians over the repeats; the
losses are means over the last 50 updates of the whole fit. Networks of different numbers of parameters end
the comparison.

With one thread a rival has one core, which Pavlov's reader of batches shares; with more it has them all.
Pavlov pays for its batches, its checks and its log of every 50 updates, with validation and augmentation off.
PyTorch has whatever makes it faster: tensors that are ready in memory, picked by a permutation, without a
loader; a fused Adam (`fused=True`); no number read back before the end; for convolutions the memory format
`channels_last` as forms of their own. `--keep-memory` lets PyTorch's C library keep freed memory by glibc's
environment, as Pavlov has it by itself.

Of Pavlov's two ways to the same figure, the wall times and its own log, the table has the first, and says so
where the second differs by more than a tenth: the machine was not quiet then, or the fit too short
(`--scale`).
"""

import argparse
import json
import os
import platform
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from fits_torch import serve
from fits_work import KEPT_MEMORY, LOGGED, WORKLOADS, pictures, pin, text
from side import PAVLOV, log_of


# ---- The data as Pavlov reads it


def write_data(folder):
    """The data as files that Pavlov reads."""
    images, classes = pictures()
    (folder / "idx").mkdir()
    header = struct.pack(">4i", 0x0803, *images.shape)
    (folder / "idx" / "train-images-idx3-ubyte").write_bytes(header + images.tobytes())
    header = struct.pack(">2i", 0x0801, len(classes))
    (folder / "idx" / "train-labels-idx1-ubyte").write_bytes(header + classes.tobytes())
    (folder / "text").write_text(text())


# ---- Pavlov


def pavlov_config(work, threads, device):
    return f"""
        threads = {threads if work.operation_threads else 1}
        update_threads = {threads}
        device = "{device}"
        [log]
        every_updates = {LOGGED}
        [validation]
        every_epochs = 0
        every_updates = 0
        pictures = false
        [checkpoint]
        every_updates = 0
        [data]
        batch_size = {work.batch}
        loader_threads = 1
        transforms = []
        [data.split]
        validation = 0.0
        test = 0.0
        [learning]
        rate = {work.rate}
        ema_decay = "off"
        gradient_clip_norm = {work.clip or '"off"'}
        [learning.optimizer]
        kind = "adam"
        beta1 = {work.beta1}
        {work.settings}
    """


def pavlov_fit(work, folder, where, seed, updates):
    """Seconds of a whole fit, the last row of its log, and the numbers of parameters that learned."""
    threads, device = where
    with tempfile.TemporaryDirectory() as scratch:
        config, run = Path(scratch) / "config.toml", Path(scratch) / "run"
        config.write_text(pavlov_config(work, threads, device))
        command = [PAVLOV, "fit", work.task, work.dataset, "--quiet", "--run-dir", run]
        command += ["--data", folder / work.dataset, "--config", config, "--seed", str(seed)]
        command += ["--updates", str(updates)]
        start = time.perf_counter()
        subprocess.run(command, check=True, preexec_fn=lambda: pin(threads))
        seconds = time.perf_counter() - start
        rows = log_of(run)
        tensors = next((run / "checkpoints").glob("*/tensors.safetensors"))
        return seconds, rows, parameters_in(tensors)


def parameters_in(path):
    """How many numbers of a checkpoint learn, by its header: all but the statistics of batch norms."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    names = [name for name in header if ".trainable.parameters." in name]
    learned = [name for name in names if not any(word in name for word in ("running_", "num_batches"))]
    return sum(int(np.prod(header[name]["shape"])) for name in learned)


def pavlov(work, folder, where, seed, updates):
    before, after = updates
    short, _, _ = pavlov_fit(work, folder, where, seed, before)
    whole, rows, parameters = pavlov_fit(work, folder, where, seed, after)
    # The log has the time too: the same difference within one process.
    times = {int(row["time/total_updates"]): row["time/time_elapsed"] for row in rows}
    return {
        "seconds": whole - short,
        "walls": [short, whole],
        "seconds_by_log": times[after] - times[before],
        "losses": [rows[-1][tag] for tag in work.losses],
        "parameters": parameters,
    }


class Server:
    """The process of one of PyTorch's forms. Its first answer is that of the fit that compiles."""

    def __init__(self, name, form, where, keep_memory):
        threads, device = where
        command = [sys.executable, __file__, "--serve", name, form, str(threads), device]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), **(KEPT_MEMORY if keep_memory else {})}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        self.ask(0, (1, 10))

    def ask(self, seed, updates):
        self.process.stdin.write(json.dumps([seed, *updates]) + "\n")
        self.process.stdin.flush()

    def fit(self, seed, updates):
        self.ask(seed, updates)
        return self.answer()

    def answer(self):
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit("PyTorch's process ended early: its message stands above")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# ---- The comparison


def compare(name, threads, options, folder):
    """Runs the rivals in turn and prints their table; gives all that was measured."""
    work = WORKLOADS[name]
    before, after = (round(count * options.scale / LOGGED) * LOGGED for count in work.updates)
    # Whole rows of Pavlov's log.
    updates = (max(before, LOGGED), max(after, 2 * LOGGED))
    where = (threads, options.device)
    servers = {form: Server(name, form, where, options.keep_memory) for form in work.forms}
    for server in servers.values():
        server.answer()
    results = {rival: [] for rival in ("Pavlov", *work.forms)}
    # The first start of a program reads it from the disk.
    pavlov_fit(work, folder, where, 0, LOGGED)
    for seed in range(options.repeats):
        for rival, measured in results.items():
            load = os.getloadavg()[0]
            if rival == "Pavlov":
                result = pavlov(work, folder, where, seed, updates)
            else:
                result = servers[rival].fit(seed, updates)
            measured.append({"seed": seed, "load_before": load, **result})
    for server in servers.values():
        server.close()
    counts = {rival: measured[0]["parameters"] for rival, measured in results.items()}
    assert len(set(counts.values())) == 1, f"networks of different sizes: {counts}"
    amount = (updates[1] - updates[0]) * work.batch * work.per_example
    rates = {rival: amount / seconds_of(measured) for rival, measured in results.items()}
    show(f"{work.title}; {threads} thread{'s' * (threads > 1)}", work, amount, rates, results)
    logged = amount / median(result["seconds_by_log"] for result in results["Pavlov"])
    if not 0.9 < rates["Pavlov"] / logged < 1.1:
        print(f"  by its own log Pavlov has {logged:.0f}: measure again on a quiet machine, or longer")
    comparison = {"workload": name, "threads": threads, "updates": updates, "unit": work.unit}
    return {**comparison, "rates": rates, "pavlov_by_log": logged, "results": results}


def seconds_of(measured):
    """The median time of the updates that count; of two processes the difference of the medians."""
    if "walls" not in measured[0]:
        return median(result["seconds"] for result in measured)
    short, whole = (median(result["walls"][place] for result in measured) for place in (0, 1))
    return whole - short


def show(title, work, amount, rates, results):
    fastest = max(rates[form] for form in work.forms)
    print(f"\n{title}\n{'':32}{work.unit:>14}{'x fastest PyTorch':>19}  {'last loss':<17}all")
    for rival, rate in rates.items():
        columns = zip(*(result["losses"] for result in results[rival]), strict=True)
        losses = " / ".join(f"{median(column):.4f}" for column in columns)
        every = " ".join(f"{amount / result['seconds']:.0f}" for result in results[rival])
        label = rival if rival == "Pavlov" else f"PyTorch, {rival}"
        print(f"{label:32}{rate:14.0f}{rate / fastest:19.2f}  {losses:<17}{every}", flush=True)


def machine(device):
    """What the figures depend on, without names and paths."""
    from importlib.metadata import version

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    command = [PAVLOV, "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    gpu = {}
    if device == "cuda":
        command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        gpu = {"gpu": subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()}
    return {
        **gpu,
        "processor": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "torch": version("torch"),
        "pavlov": said.strip(),
    }


def main():
    if sys.argv[1:2] == ["--serve"]:
        name, form, threads, device = sys.argv[2:]
        return serve(name, form, int(threads), device)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", choices=WORKLOADS, nargs="+", default=list(WORKLOADS))
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the numbers of updates")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--keep-memory", action="store_true", help="PyTorch's C library keeps freed memory")
    parser.add_argument("--json", type=Path, help="a file for all that was measured")
    options = parser.parse_args()
    measured = {"machine": machine(options.device), "keep_memory": options.keep_memory, "comparisons": []}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_data(folder)
        for name in options.only:
            for threads in options.threads:
                measured["comparisons"].append(compare(name, threads, options, folder))
                if options.json:
                    options.json.write_text(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main()
