"""Fits of models beside PyTorch: the same networks, data and settings, the same machine, one run.

    make setup && cargo build --release
    python -m venv /tmp/side-by-side
    /tmp/side-by-side/bin/pip install "torch==2.11.0" numpy
    /tmp/side-by-side/bin/python benches/side_by_side/fits.py [--repeats 3] [--threads 1 2] [--scale 1]
        [--only cnn autoencoder gan lstm transformer] [--json fits.json]

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
import csv
import json
import os
import platform
import random
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from side import TARGET

SAMPLES, SIDE, CLASSES = 6_400, 28, 10
STEPS = 64
# Windows of the text, and those that Pavlov trains on: `text` sets the last tenth apart.
WINDOWS = 6_400
TRAINED = WINDOWS - WINDOWS // 10
LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = len(LETTERS) * 2 + len(" .,?\n")
LOGGED = 50
FORMS = ("eager", "compile")
# The forms of networks of images.
IMAGE_FORMS = (*FORMS, "eager, channels last", "compile, channels last")
# glibc's words for what pavlov_nn::keep_memory sets.
KEPT_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(16 << 20),
}


@dataclass(frozen=True)
class Workload:
    """A task of Pavlov with its settings. `networks` has PyTorch's network of the same name."""

    title: str
    task: str
    dataset: str
    batch: int
    # Updates that are left out of the time, and all updates.
    updates: tuple[int, int]
    losses: tuple[str, ...]
    settings: str
    forms: tuple[str, ...] = FORMS
    # What the rate counts, and how many of them an example has.
    unit: str = "samples/s"
    per_example: int = 1
    rate: float = 1e-3
    beta1: float = 0.9
    clip: float | None = None


IMAGE = {"dataset": "idx", "batch": 64}
TEXT = {
    "dataset": "text",
    "batch": 32,
    "unit": "characters/s",
    "per_example": STEPS,
    "losses": ("train/loss",),
}
WORKLOADS = {
    "cnn": Workload(
        title="Classifier of 28 x 28: 2 convolutions of 3 x 3 (32, 64) with pools, 128, 10; batch 64",
        task="classifier",
        forms=IMAGE_FORMS,
        updates=(100, 500),
        losses=("train/loss",),
        settings="""
            [hyperparameters.net]
            layers = [
                { conv2d = { filters = 32, kernel = 3, padding = 1 } }, "relu", { max_pool2d = 2 },
                { conv2d = { filters = 64, kernel = 3, padding = 1 } }, "relu", { max_pool2d = 2 },
                "flatten", { linear = 128 }, "relu",
            ]
        """,
        **IMAGE,
    ),
    "autoencoder": Workload(
        title="Dense autoencoder of 28 x 28: 784-128-32-128-784, squared error; batch 64",
        task="autoencoder",
        updates=(500, 6_000),
        losses=("train/loss",),
        settings="""
            [hyperparameters]
            form = "dense"
            hidden_sizes = [128]
            code = 32
            restoration = "squared"
        """,
        **IMAGE,
    ),
    "gan": Workload(
        title="DCGAN of 28 x 28: 2 transposed and 2 plain convolutions of 4 x 4 (128, 64; 64, 128); batch 64",
        task="gan",
        forms=IMAGE_FORMS,
        updates=(50, 150),
        losses=("train/discriminator_loss", "train/generator_loss"),
        settings="""
            [hyperparameters]
            adversary = "standard"
            conditional = false
            noise = 64
            discriminator_steps = 1
            real_label = 0.9
        """,
        rate=2e-4,
        beta1=0.5,
        **IMAGE,
    ),
    "lstm": Workload(
        title="Characters: embedding 64, LSTM 128, gradients clipped at 1; sequences of 64, batch 32",
        task="language",
        updates=(100, 800),
        settings=f"""
            [hyperparameters.net]
            layers = [{{ embedding = {{ vocabulary = {VOCABULARY}, width = 64 }} }}, {{ lstm = 128 }}]
        """,
        clip=1.0,
        **TEXT,
    ),
    "transformer": Workload(
        title="Characters: causal transformer, 4 layers of 128, 4 heads, feedforward 512; 64 steps, batch 32",
        task="language",
        updates=(50, 250),
        settings=f"""
            [hyperparameters.net]
            layers = [
                {{ embedding = {{ vocabulary = {VOCABULARY}, width = 128 }} }},
                "position_embedding",
                {{ transformer = {{
                    layers = 4, heads = 4, feedforward = 512, causal = true, norm_first = true, dropout = 0.0
                }} }},
            ]
        """,
        clip=1.0,
        **TEXT,
    ),
}


# ---- The data


def pictures():
    """Bytes [samples, 28, 28] and classes: ten smooth patterns, moved, of uneven strength, noisy.

    A fifth of the classes are drawn by chance, so that the loss has a floor that all must come to.
    """
    rng = np.random.default_rng(0)
    patterns = np.kron(rng.random((CLASSES, 8, 8)) ** 3, np.ones((4, 4)))
    for _ in range(2):
        patterns = (patterns + sum(np.roll(patterns, by, axis) for axis in (1, 2) for by in (1, -1))) / 5
    patterns /= patterns.max(axis=(1, 2), keepdims=True)
    kinds, moves = rng.integers(0, CLASSES, SAMPLES), rng.integers(0, 5, (SAMPLES, 2))
    cut = [patterns[kind, y : y + SIDE, x : x + SIDE] for kind, (y, x) in zip(kinds, moves, strict=True)]
    images = np.stack(cut) * rng.uniform(0.5, 1.0, (SAMPLES, 1, 1))
    images += rng.normal(0.0, 0.1, images.shape)
    classes = np.where(rng.random(SAMPLES) < 0.2, rng.integers(0, CLASSES, SAMPLES), kinds)
    return (images.clip(0, 1) * 255).round().astype(np.uint8), classes.astype(np.uint8)


def text():
    """A text of WINDOWS windows and one character: sentences of 600 made-up words, some far more frequent."""
    rng = random.Random(0)
    syllables = [first + second for first in LETTERS for second in "aeiou"]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 3))) for _ in range(600)]
    shares = [1 / (rank + 3) for rank in range(len(words))]
    # Every letter and its capital, whatever the words are.
    parts, written, length = [LETTERS, LETTERS.upper()], 0, WINDOWS * STEPS + 1
    while written < length:
        said = [" ".join(rng.choices(words, shares, k=rng.randint(2, 5))) for _ in range(rng.randint(1, 3))]
        parts.append(", ".join(said).capitalize() + rng.choice("...?") + rng.choice("    \n"))
        written += len(parts[-1])
    return "".join(parts)[:length]


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


def pavlov_config(work, threads):
    return f"""
        threads = {threads}
        update_threads = {threads}
        device = "cpu"
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


def pavlov_fit(work, folder, threads, seed, updates):
    """Seconds of a whole fit, the last row of its log, and the numbers of parameters that learned."""
    with tempfile.TemporaryDirectory() as scratch:
        config, run = Path(scratch) / "config.toml", Path(scratch) / "run"
        config.write_text(pavlov_config(work, threads))
        command = [TARGET / "release" / "pavlov", "fit", work.task, work.dataset, "--quiet", "--run-dir", run]
        command += ["--data", folder / work.dataset, "--config", config, "--seed", str(seed)]
        command += ["--updates", str(updates)]
        start = time.perf_counter()
        subprocess.run(command, check=True, preexec_fn=lambda: pin(threads))
        seconds = time.perf_counter() - start
        with (run / "progress.csv").open() as file:
            rows = [
                {tag: float(value or "nan") for tag, value in row.items()} for row in csv.DictReader(file)
            ]
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


def pavlov(work, folder, threads, seed, updates):
    before, after = updates
    short, _, _ = pavlov_fit(work, folder, threads, seed, before)
    whole, rows, parameters = pavlov_fit(work, folder, threads, seed, after)
    # The log has the time too: the same difference within one process.
    times = {int(row["time/total_updates"]): row["time/time_elapsed"] for row in rows}
    return {
        "seconds": whole - short,
        "walls": [short, whole],
        "seconds_by_log": times[after] - times[before],
        "losses": [rows[-1][tag] for tag in work.losses],
        "parameters": parameters,
    }


# ---- PyTorch, in a process of its own for each form


def networks(name):
    """PyTorch's modules, each with an optimiser of its own."""
    from torch import nn

    if name == "cnn":
        layers = [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, CLASSES)]
        return [nn.Sequential(*layers)]
    if name == "autoencoder":
        encoder = [nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 32)]
        return [nn.Sequential(*encoder, nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, 784))]
    if name == "gan":
        generator = [nn.Linear(64, 6272), nn.Unflatten(1, (128, 7, 7)), nn.BatchNorm2d(128), nn.ReLU()]
        generator += [nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.BatchNorm2d(64), nn.ReLU()]
        generator += [nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Tanh()]
        discriminator = [nn.Conv2d(1, 64, 4, 2, 1), nn.LeakyReLU(), nn.Conv2d(64, 128, 4, 2, 1)]
        discriminator += [nn.BatchNorm2d(128), nn.LeakyReLU(), nn.Flatten(), nn.Linear(6272, 1)]
        return [nn.Sequential(*discriminator), nn.Sequential(*generator)]
    return [reader(name)]


def reader(name):
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Lstm(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(VOCABULARY, 64)
            self.lstm = nn.LSTM(64, 128, batch_first=True)
            self.head = nn.Linear(128, VOCABULARY)

        def forward(self, tokens):
            return self.head(self.lstm(self.embedding(tokens))[0])

    class Block(nn.Module):
        """`nn.TransformerEncoderLayer` with `norm_first`, without its checks and transposes."""

        def __init__(self, width, heads, feedforward):
            super().__init__()
            self.heads = heads
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.inner, self.outer = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.linear1, self.linear2 = nn.Linear(width, feedforward), nn.Linear(feedforward, width)
            nn.init.xavier_uniform_(self.inner.weight)
            nn.init.zeros_(self.inner.bias)
            nn.init.zeros_(self.outer.bias)

        def forward(self, x):
            batch, steps, width = x.shape
            query, key, value = (
                part.view(batch, steps, self.heads, -1).transpose(1, 2)
                for part in self.inner(self.norm1(x)).split(width, dim=2)
            )
            mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
            x = x + self.outer(mixed.transpose(1, 2).reshape(batch, steps, width))
            return x + self.linear2(F.relu(self.linear1(self.norm2(x))))

    class Transformer(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(VOCABULARY, 128)
            self.positions = nn.Parameter(torch.randn(STEPS, 128) * 0.02)
            self.blocks = nn.Sequential(*(Block(128, 4, 512) for _ in range(4)))
            self.head = nn.Linear(128, VOCABULARY)

        def forward(self, tokens):
            return self.head(self.blocks(self.embedding(tokens) + self.positions))

    return Lstm() if name == "lstm" else Transformer()


def tensors(name):
    """The data as PyTorch picks batches from it: all of it in memory, as the network takes it."""
    import torch

    if WORKLOADS[name].dataset == "text":
        read = text()
        places = {letter: place for place, letter in enumerate(sorted(set(read)))}
        assert len(places) == VOCABULARY, f"{len(places)} characters"
        tokens = torch.tensor([places[letter] for letter in read])
        inputs, targets = (tokens[shift : shift + WINDOWS * STEPS].view(WINDOWS, STEPS) for shift in (0, 1))
        return inputs[:TRAINED].contiguous(), targets[:TRAINED].contiguous()
    images, classes = pictures()
    images = torch.tensor(images, dtype=torch.float32).unsqueeze(1) / 255
    if name == "cnn":
        images = (images - images.mean()) / images.std()
    if name == "gan":
        images = images * 2 - 1
    return images, torch.tensor(classes, dtype=torch.int64)


class Rival:
    """A workload in PyTorch: `update` makes one update and gives the losses, not yet read."""

    def __init__(self, name, form):
        import torch
        from torch.nn import functional as F

        self.torch, self.name, self.work = torch, name, WORKLOADS[name]
        self.data = tensors(name)
        self.nets = networks(name)
        if "channels last" in form:
            self.data = self.data[0].contiguous(memory_format=torch.channels_last), self.data[1]
            self.nets = [net.to(memory_format=torch.channels_last) for net in self.nets]
        build = torch.compile if form.startswith("compile") else lambda function: function
        bce = F.binary_cross_entropy_with_logits

        def alike(scores, label):
            return bce(scores, torch.full_like(scores, label))

        def supervised(inputs, targets):
            outputs = self.nets[0](inputs)
            if name == "autoencoder":
                return F.mse_loss(outputs, inputs.flatten(1))
            return F.cross_entropy(outputs.flatten(0, -2), targets.flatten())

        def discriminate(real, made):
            return alike(self.nets[0](real), 0.9) + alike(self.nets[0](made), 0.0)

        def judge(noise):
            return alike(self.nets[0](self.nets[1](noise)), 1.0)

        self.supervised, self.discriminate, self.judge = map(build, (supervised, discriminate, judge))
        self.made = build(lambda noise: self.nets[1](noise))

    def restart(self, seed):
        """New weights in the same tensors, so that what was compiled goes on fitting, and new optimisers."""
        torch, work = self.torch, self.work
        torch.manual_seed(seed)
        for net, new in zip(self.nets, networks(self.name), strict=True):
            net.load_state_dict(new.state_dict())
        self.optimizers = [
            torch.optim.Adam(net.parameters(), work.rate, betas=(work.beta1, 0.999), fused=True)
            for net in self.nets
        ]

    def step(self, number, loss):
        optimizer, net = self.optimizers[number], self.nets[number]
        loss.backward()
        if self.work.clip:
            self.torch.nn.utils.clip_grad_norm_(net.parameters(), self.work.clip)
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    def update(self, rows):
        torch = self.torch
        inputs, targets = (part.index_select(0, rows) for part in self.data)
        if self.name != "gan":
            return [self.step(0, self.supervised(inputs, targets))]
        with torch.no_grad():
            made = self.made(torch.randn(len(rows), 64))
        judged = self.step(0, self.discriminate(inputs, made))
        # The discriminator judges and does not learn: no gradients of its weights.
        self.nets[0].requires_grad_(False)
        fooled = self.step(1, self.judge(torch.randn(len(rows), 64)))
        self.nets[0].requires_grad_(True)
        return [judged, fooled]

    def fit(self, seed, before, after):
        torch, batch = self.torch, self.work.batch
        self.restart(seed)
        losses, done, rows = [], 0, []
        start = time.perf_counter()
        while done < after:
            rows = rows or list(torch.randperm(len(self.data[0])).split(batch))
            losses.append(self.update(rows.pop()))
            done += 1
            if done == before:
                start = time.perf_counter()
        seconds = time.perf_counter() - start
        means = [float(sum(column) / len(column)) for column in zip(*losses[-LOGGED:], strict=True)]
        parameters = sum(value.numel() for net in self.nets for value in net.parameters())
        return {"seconds": seconds, "losses": means, "parameters": parameters}


def serve(name, form, threads):
    """Fits as often as the parent process asks, so that a network is compiled once."""
    import torch

    pin(threads)
    torch.set_num_threads(threads)
    rival = Rival(name, form)
    for line in sys.stdin:
        # What libraries print goes elsewhere than the answers.
        print(json.dumps(rival.fit(*json.loads(line))), flush=True)


class Server:
    """The process of one of PyTorch's forms, which has compiled what it compiles when this is made."""

    def __init__(self, name, form, threads, keep_memory):
        command = [sys.executable, __file__, "--serve", name, form, str(threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), **(KEPT_MEMORY if keep_memory else {})}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        self.fit(0, (1, 10))

    def fit(self, seed, updates):
        self.process.stdin.write(json.dumps([seed, *updates]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit("PyTorch's process ended early: its message stands above")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# ---- The comparison


def pin(threads):
    """One core for one thread: whatever helps beside it shares that core."""
    if threads == 1:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def compare(name, threads, options, folder):
    """Runs the rivals in turn and prints their table; gives all that was measured."""
    work = WORKLOADS[name]
    before, after = (round(count * options.scale / LOGGED) * LOGGED for count in work.updates)
    # Whole rows of Pavlov's log.
    updates = (max(before, LOGGED), max(after, 2 * LOGGED))
    servers = {form: Server(name, form, threads, options.keep_memory) for form in work.forms}
    results = {rival: [] for rival in ("Pavlov", *work.forms)}
    # The first start of a program reads it from the disk.
    pavlov_fit(work, folder, threads, 0, LOGGED)
    for seed in range(options.repeats):
        for rival, measured in results.items():
            load = os.getloadavg()[0]
            if rival == "Pavlov":
                result = pavlov(work, folder, threads, seed, updates)
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


def machine():
    """What the figures depend on, without names and paths."""
    from importlib.metadata import version

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    command = [TARGET / "release" / "pavlov", "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "torch": version("torch"),
        "pavlov": said.strip(),
    }


def main():
    if sys.argv[1:2] == ["--serve"]:
        name, form, threads = sys.argv[2:]
        return serve(name, form, int(threads))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", choices=WORKLOADS, nargs="+", default=list(WORKLOADS))
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the numbers of updates")
    parser.add_argument("--keep-memory", action="store_true", help="PyTorch's C library keeps freed memory")
    parser.add_argument("--json", type=Path, help="a file for all that was measured")
    options = parser.parse_args()
    measured = {"machine": machine(), "keep_memory": options.keep_memory, "comparisons": []}
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
