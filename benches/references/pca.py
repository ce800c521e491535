"""The squared error of principal components on held-out pictures: what an autoencoder's error stands beside.

    python benches/references/pca.py "$(scripts/fetch-digits.sh)" --pixels 64 --scale 16
    python benches/references/pca.py pictures.npz [--components 2 8 16 32]
    python benches/references/pca.py --npy train.npy [--test test.npy]

Needs numpy. The mean and the components of the largest variance are computed from the pictures to train on;
each held-out picture is replaced by its projection on the mean and the first k components, and the error is
the mean of (restored - original)^2 over all pixels of all held-out pictures. That is the least error of any
linear autoencoder with a code of k numbers on the pictures to train on. k = 0 restores the mean picture
alone.

Files: a table of numbers without a header (`.csv`), a picture a row, the pixels first (`--pixels` of them,
otherwise all columns but the last, the class); an `.npz` with the arrays `train` and `test`, or with one
array; an `.npy` array [pictures, pixels], of more dimensions too. Without a test part a share of the
pictures, drawn by `--seed`, is held out. Pixels are divided by `--scale`, so that errors are those of numbers
from 0 to 1.
"""

import argparse
from pathlib import Path

import numpy as np


def read(path, pixels):
    """Pictures [count, pixels] to train on, and to test with, or None."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            if {"train", "test"} <= set(arrays.files):
                return rows(arrays["train"]), rows(arrays["test"])
            if len(arrays.files) != 1:
                given = ", ".join(arrays.files)
                raise SystemExit(f"{path.name} has the arrays {given}: give one, or `train` and `test`")
            return rows(arrays[arrays.files[0]]), None
    if path.suffix == ".npy":
        return rows(np.load(path)), None
    table = np.loadtxt(path, delimiter=",", ndmin=2)
    return table[:, : pixels or table.shape[1] - 1], None


def rows(pictures):
    return pictures.reshape(len(pictures), -1).astype(np.float64)


def held_out(pictures, share, seed):
    """The pictures to train on and those to test with."""
    order = np.random.default_rng(seed).permutation(len(pictures))
    count = max(1, round(share * len(pictures)))
    return pictures[order[count:]], pictures[order[:count]]


def errors(train, test):
    """The error on the test pictures with 0, 1, 2, ... components."""
    mean = train.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(train - mean, rowvar=False, bias=True))
    shifted = test - mean
    # The eigenvectors come with the least variance first. Each takes its own part off the error.
    taken = ((shifted @ vectors[:, ::-1]) ** 2).sum(axis=0)
    left = (shifted**2).sum() - np.r_[0.0, np.cumsum(taken)]
    return left.clip(min=0.0) / test.size


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", help="pictures: .csv, .npz or .npy")
    parser.add_argument("--npy", type=Path, help="an array of floats [pictures, pixels]")
    parser.add_argument("--test", type=Path, help="the held-out pictures, as the first file has the others")
    parser.add_argument("--pixels", type=int, help="the columns of a table that are pixels")
    parser.add_argument("--scale", type=float, default=1.0, help="what pixels are divided by")
    parser.add_argument("--components", type=int, nargs="+", default=[0, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--held-out", type=float, default=0.1, help="the share to test, without a test part")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    path = options.npy or options.file
    if path is None or (options.npy and options.file):
        parser.error("give one file of pictures")
    train, test = read(path, options.pixels)
    if options.test:
        test, _ = read(options.test, options.pixels)
    if test is None:
        train, test = held_out(train, options.held_out, options.seed)
    if train.shape[1] != test.shape[1]:
        parser.error(f"pictures of {train.shape[1]} and of {test.shape[1]} pixels")
    by_count = errors(train / options.scale, test / options.scale)
    print(f"{len(train):,} pictures of {train.shape[1]} pixels to train on, {len(test):,} held out")
    print(f"{'k':>4}  mean squared error")
    for count in options.components:
        if 0 <= count < len(by_count):
            print(f"{count:4}  {by_count[count]:.6f}")


if __name__ == "__main__":
    main()
