"""The workloads of fits.py, and the data that both rivals fit."""

import os
import random
from dataclasses import dataclass

import numpy as np

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
    # The unit of the rate, and the number of such units that an example has.
    unit: str = "samples/s"
    per_example: int = 1
    rate: float = 1e-3
    beta1: float = 0.9
    clip: float | None = None
    # True if libtorch's threads share single operations. Where Pavlov's own nodes do the work, its team shares
    # the passes, and threads of libtorch that wait beside it take its time.
    operation_threads: bool = False


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
        operation_threads=True,
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
        operation_threads=True,
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


def pin(threads):
    """One core for one thread: whatever helps beside it shares that core."""
    if threads == 1:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
