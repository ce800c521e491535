#!/usr/bin/env python3
"""Records what PyTorch and SciPy say of distributions, for the tests of nn/src/distributions.

Needs torch and scipy. Run from the repository's root:

    python scripts/record-distributions.py > nn/tests/fixtures/distributions.json
"""

import json
import sys

import numpy as np
import scipy
import scipy.stats
import torch
import torch.distributions as td


def numbers(tensor):
    return np.asarray(tensor, dtype=np.float64).tolist()


def case(name, parameters, draws, log_prob, entropy, other=None, kl=None, mode=None, masks=None, scipy_log_prob=None,
         scipy_entropy=None):
    record = {"name": name, "parameters": numbers(parameters), "draws": numbers(draws), "log_prob": numbers(log_prob),
              "entropy": None if entropy is None else numbers(entropy)}
    for key, value in [("other", other), ("kl", kl), ("mode", mode), ("masks", masks)]:
        record[key] = None if value is None else numbers(value)
    # The two references must agree, or one of them was asked wrongly.
    if scipy_log_prob is not None:
        np.testing.assert_allclose(np.asarray(log_prob), scipy_log_prob, atol=1e-8)
    if scipy_entropy is not None:
        np.testing.assert_allclose(np.asarray(entropy), scipy_entropy, atol=1e-8)
    return record


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def main():
    rng = np.random.default_rng(7)
    torch.set_default_dtype(torch.float64)
    t = torch.tensor
    cases = []

    logits, other = rng.normal(size=(6, 4)) * 2, rng.normal(size=(6, 4)) * 2
    choices = rng.integers(0, 4, size=6)
    d, o = td.Categorical(logits=t(logits)), td.Categorical(logits=t(other))
    p = softmax(logits)
    cases.append(case("categorical 4", logits, choices[:, None], d.log_prob(t(choices)), d.entropy(), other,
                      td.kl_divergence(d, o), d.probs.argmax(-1)[:, None],
                      scipy_log_prob=scipy.stats.multinomial.logpmf(np.eye(4)[choices], 1, p),
                      scipy_entropy=scipy.stats.entropy(p, axis=1)))

    # Masked: the distribution over the choices that are left; one row has a single one.
    masks = np.array([[1, 1, 0, 1], [0, 1, 1, 0], [0, 0, 1, 0], [1, 1, 1, 1], [1, 0, 0, 1], [0, 1, 0, 1]], dtype=float)
    rows = []
    for row in range(6):
        left = np.flatnonzero(masks[row])
        choice = left[rng.integers(len(left))]
        own = td.Categorical(logits=t(logits[row, left]))
        there = td.Categorical(logits=t(other[row, left]))
        at = int(np.flatnonzero(left == choice)[0])
        rows.append((choice, own.log_prob(t(at)), own.entropy(), td.kl_divergence(own, there),
                     left[int(own.probs.argmax())]))
    choice, log_prob, entropy, kl, mode = (np.array([float(x) for x in column]) for column in zip(*rows))
    cases.append(case("categorical 4", logits, choice[:, None], log_prob, entropy, other, kl, mode[:, None], masks))

    counts = [2, 3, 4]
    logits, other = rng.normal(size=(5, 9)), rng.normal(size=(5, 9))
    draws = np.stack([rng.integers(0, n, size=5) for n in counts], 1)
    parts = [td.Categorical(logits=part) for part in torch.split(t(logits), counts, 1)]
    others = [td.Categorical(logits=part) for part in torch.split(t(other), counts, 1)]
    cases.append(case("multi_categorical 2 3 4", logits, draws,
                      sum(part.log_prob(t(draws[:, i])) for i, part in enumerate(parts)),
                      sum(part.entropy() for part in parts), other,
                      sum(td.kl_divergence(a, b) for a, b in zip(parts, others)),
                      torch.stack([part.probs.argmax(-1) for part in parts], 1)))

    logits, other, bits = rng.normal(size=(5, 3)) * 3, rng.normal(size=(5, 3)), rng.integers(0, 2, size=(5, 3))
    d, o = td.Bernoulli(logits=t(logits)), td.Bernoulli(logits=t(other))
    p = 1 / (1 + np.exp(-logits))
    cases.append(case("bernoulli 3", logits, bits, d.log_prob(t(bits * 1.0)).sum(-1), d.entropy().sum(-1), other,
                      td.kl_divergence(d, o).sum(-1), logits > 0,
                      scipy_log_prob=scipy.stats.bernoulli.logpmf(bits, p).sum(-1),
                      scipy_entropy=scipy.stats.bernoulli.entropy(p).sum(-1)))

    mean, log = rng.normal(size=(5, 3)) * 2, rng.normal(size=(5, 3)) * 0.7
    mean2, log2 = rng.normal(size=(5, 3)) * 2, rng.normal(size=(5, 3)) * 0.7
    points = rng.normal(size=(5, 3)) * 2
    d, o = td.Normal(t(mean), t(np.exp(log))), td.Normal(t(mean2), t(np.exp(log2)))
    cases.append(case("gaussian 3", np.hstack([mean, log]), points, d.log_prob(t(points)).sum(-1), d.entropy().sum(-1),
                      np.hstack([mean2, log2]), td.kl_divergence(d, o).sum(-1), mean,
                      scipy_log_prob=scipy.stats.norm.logpdf(points, mean, np.exp(log)).sum(-1),
                      scipy_entropy=scipy.stats.norm.entropy(mean, np.exp(log)).sum(-1)))

    u = rng.normal(size=(5, 3)) * 1.5
    squashed = td.TransformedDistribution(d, [td.transforms.TanhTransform(cache_size=1)])
    by_hand = scipy.stats.norm.logpdf(u, mean, np.exp(log)) - np.log1p(-np.tanh(u) ** 2)
    cases.append(case("squashed 3", np.hstack([mean, log]), u, squashed.log_prob(torch.tanh(t(u))).sum(-1), None,
                      scipy_log_prob=by_hand.sum(-1)))

    origin = f"PyTorch {torch.__version__}, SciPy {scipy.__version__}"
    json.dump({"origin": origin, "cases": cases}, sys.stdout, indent=None, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
