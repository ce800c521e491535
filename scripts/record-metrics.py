"""Records losses and metrics of PyTorch, torchmetrics, scikit-learn and SciPy for the tests of `tasks`.

    pip install torch==2.11.0 numpy scipy torchmetrics==1.9.0 scikit-learn==1.9.1
    python scripts/record-metrics.py

Writes `tasks/tests/recorded/metrics.toml`. Inputs come from `waves`, which the tests have too, so that the file holds
labels and results alone. Everything is computed in f64, from numbers that are exact in f32. What two of the packages
measure has to agree before it is written.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import wasserstein_distance
from sklearn import metrics as sk
from torch.distributions import Normal, kl_divergence
from torchmetrics import classification as tc
from torchmetrics import regression as tr
from torchmetrics.text import Perplexity

OUTPUT = Path(__file__).resolve().parent.parent / "tasks" / "tests" / "recorded" / "metrics.toml"

torch.set_default_dtype(torch.float64)


def waves(shape, step, scale=1.0, offset=0.0):
    """`offset + scale * sin(step * (i + 1))` of the i-th number, rounded to f32."""
    places = np.arange(1, np.prod(shape) + 1, dtype=np.float64)
    return torch.tensor((offset + scale * np.sin(step * places)).astype(np.float32).astype(np.float64)).reshape(shape)


def same(*values):
    """The last of several packages' numbers, which agree but for the rounding of f32 (torchmetrics counts in it)."""
    for value in values[:-1]:
        np.testing.assert_allclose(np.asarray(value), np.asarray(values[-1]), rtol=1e-6, atol=1e-9)
    return values[-1]


def classification(name, classes, labels):
    """What a classifier measures, `confusion` being counts `[class, taken for]`."""
    logits, y = waves([len(labels), classes], 1.1, 2.0), torch.tensor(labels)
    if name == "never_predicted":
        logits[:, 2] = -3.0
    if name == "absent":
        logits[:, 4] = -3.0
    p = logits.argmax(1)
    never = [set(range(classes)) - set(numbers.tolist()) for numbers in [p, y]]
    assert never == {
        "whole": [set(), set()], "never_predicted": [{2}, set()], "never_occurs": [set(), {4}], "absent": [{4}, {4}]
    }[name], never
    macro = dict(num_classes=classes, average="macro")
    wide = sk.precision_recall_fscore_support(y, p, average="macro", zero_division=0)
    top = [
        same(tc.MulticlassAccuracy(classes, top_k=k, average="micro")(logits, y),
             sk.top_k_accuracy_score(y, logits, k=k, labels=range(classes)))
        for k in [2, 3]
    ]  # fmt: skip
    yield name, {
        "classes": classes,
        "labels": labels,
        "loss": F.cross_entropy(logits, y),
        "accuracy": same(tc.MulticlassAccuracy(classes, average="micro")(logits, y), sk.accuracy_score(y, p)),
        "accuracy_top_2": top[0],
        "accuracy_top_3": top[1],
        "precision": same(tc.MulticlassPrecision(**macro)(logits, y), wide[0]),
        "recall": same(tc.MulticlassRecall(**macro)(logits, y), wide[1]),
        "f1": same(tc.MulticlassF1Score(**macro)(logits, y), wide[2]),
        "confusion": same(
            tc.MulticlassConfusionMatrix(classes)(logits, y), sk.confusion_matrix(y, p, labels=range(classes))
        ).flatten(),
    }


def cross_entropies():
    """Cross entropy with smoothed labels, and of pairs that are mixed (Zhang et al. 2018)."""
    logits = waves([8, 5], 1.7, 2.0)
    own, partners = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2]), torch.tensor([3, 3, 0, 1, 4, 2, 2, 0])
    smoothed = [F.cross_entropy(logits, own, label_smoothing=s) for s in [0.0, 0.1, 0.5]]
    mixed = [
        sum(share * F.cross_entropy(logits, y, label_smoothing=s) for share, y in [(0.3, own), (0.7, partners)])
        for s in [0.0, 0.1]
    ]
    yield "cross_entropy", {"own": own, "partners": partners, "smoothed": smoothed, "mixed": mixed}


def language():
    """A model whose logits for the next token depend on the last one alone."""
    table, tokens = waves([6, 6], 1.1, 2.0), (torch.arange(8 * 5) ** 2 // 3 % 6).reshape(8, 5)
    logits, following = table[tokens[:, :-1]], tokens[:, 1:]
    loss = F.cross_entropy(logits.flatten(0, 1), following.flatten())
    perplexity = same(Perplexity()(logits, following), loss.exp())
    accuracy = tc.MulticlassAccuracy(6, average="micro")(logits.flatten(0, 1), following.flatten())
    yield "language", {
        "tokens": tokens.flatten(),
        "loss": loss,
        "perplexity": perplexity,
        "bits_per_character": perplexity.log2(),
        "accuracy": accuracy,
    }


def regression():
    for columns in [1, 2]:
        # The columns have means of their own, and errors lie on both sides of Huber's threshold.
        apart = 3.0 * torch.arange(columns)
        outputs = (waves([8, columns], 0.9, 2.0) + apart).float().double()
        targets = (waves([8, columns], 1.1, 1.5) + apart).float().double()
        yield f"regression_{columns}", {
            "mean_squared_error": same(
                tr.MeanSquaredError()(outputs, targets),
                sk.mean_squared_error(targets, outputs),
                F.mse_loss(outputs, targets),
            ),
            "mean_absolute_error": same(
                tr.MeanAbsoluteError()(outputs, targets),
                sk.mean_absolute_error(targets, outputs),
                F.l1_loss(outputs, targets),
            ),
            "huber": same(F.huber_loss(outputs, targets, delta=1.0), F.smooth_l1_loss(outputs, targets, beta=1.0)),
            "r2": same(tr.R2Score()(outputs.squeeze(1), targets.squeeze(1)), sk.r2_score(targets, outputs)),
        }


def autoencoder():
    """Linear encoder and decoder: the errors of restored rows from the code's mean, and the divergence of the code."""
    inputs = waves([8, 6], 0.7, 0.5, 0.5)
    code = inputs @ waves([6, 6], 1.9, 0.8).T + waves([6], 2.3, 0.5)
    mean, log_variance = code.chunk(2, dim=1)
    weight, bias = waves([6, 3], 0.6), waves([6], 2.9)
    plain, variational = code[:, :3] @ weight.T + bias, mean @ weight.T + bias
    divergence = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1).mean()
    squared = F.mse_loss(plain, inputs)
    nats = F.binary_cross_entropy_with_logits(variational, inputs, reduction="sum") / 8
    constant = bias.expand(8, 6)
    yield "autoencoder", {
        "squared": squared,
        "squared_per_sample": F.mse_loss(variational, inputs, reduction="sum") / 8,
        "bernoulli": F.binary_cross_entropy_with_logits(plain, inputs),
        "bernoulli_squared": F.mse_loss(plain.sigmoid(), inputs),
        "restoration_nats": nats,
        "divergence": divergence,
        "elbo": -(nats + divergence),
        "loss_beta_3": nats + 3.0 * divergence,
        # The loss of training where the decoder does not look at the code, so that what is drawn does not count.
        "training_bernoulli": F.binary_cross_entropy_with_logits(constant, inputs),
        "training_beta_3": F.binary_cross_entropy_with_logits(constant, inputs, reduction="sum") / 8 + 3.0 * divergence,
        "training_sparse": squared + 0.2 * code[:, :3].abs().mean(),
    }


def gan():
    """A linear critic of pictures of 4 x 4, and a generator that makes one picture from any noise."""
    real = 2.0 * waves([8, 16], 0.7, 0.5, 0.5) - 1.0
    weight, bias, made = waves([16], 1.9, 0.5), 0.25, waves([16], 2.9).tanh()
    score = lambda pictures: pictures @ weight + bias
    entropy = lambda scores, label: F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, label))
    yield "gan", {
        "discriminator": entropy(score(real), 0.9) + entropy(score(made), 0.0),
        "generator": entropy(score(made), 1.0),
        "score_real": score(real).mean(),
        "score_made": score(made),
        "critic": score(made) - score(real).mean() + 10.0 * (weight.norm() - 1.0) ** 2,
        "penalty": (weight.norm() - 1.0) ** 2,
    }
    # A critic that is not linear, at points between real and made samples.
    first, second = waves([7, 4], 1.9, 0.6).requires_grad_(), waves([1, 7], 0.8, 0.9).requires_grad_()
    one, other, mix = waves([8, 4], 0.7), waves([8, 4], 1.1), waves([8, 1], 2.3, 0.5, 0.5)
    between = (mix * one + (1.0 - mix) * other).requires_grad_()
    (slope,) = torch.autograd.grad(((between @ first.T).tanh() @ second.T).sum(), between, create_graph=True)
    penalty = (slope.norm(dim=1) - 1.0).square().mean()
    penalty.backward()
    yield "gradient_penalty", {"penalty": penalty, "first": first.grad.flatten(), "second": second.grad.flatten()}


def sliced_wasserstein():
    line, other_line = waves([50], 0.7), waves([50], 1.1, 1.4, 0.2)
    one, other, directions = waves([50, 3], 0.7), waves([50, 3], 1.1, 1.4, 0.2), waves([3, 20], 2.3)
    along = [wasserstein_distance(one @ d, other @ d) for d in (directions / directions.norm(dim=0)).T]
    yield "sliced_wasserstein", {"line": wasserstein_distance(line, other_line), "directions": np.mean(along)}


def decays():
    """A linear layer after three updates with each kind of decay."""
    x = waves([4, 3], 0.7)
    for name, optimizer, l1 in [
        ("decoupled", lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.3), 0.0),
        ("l2", lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.3), 0.0),
        ("l1", lambda p: torch.optim.SGD(p, lr=0.1), 0.3),
    ]:
        weight, bias = waves([2, 3], 1.9).requires_grad_(), waves([2], 2.9).requires_grad_()
        steps = optimizer([weight, bias])
        for _ in range(3):
            steps.zero_grad()
            (F.linear(x, weight, bias).square().mean() + l1 * weight.abs().sum()).backward()
            steps.step()
        yield f"decay_{name}", {"weight": weight.detach().flatten(), "bias": bias.detach()}


def written(value):
    values = np.asarray(value)
    if values.ndim:
        return "[" + ", ".join(written(number) for number in values) + "]"
    return str(int(values)) if values.dtype.kind in "iu" else repr(float(values))


def main():
    cases = [
        *classification("whole", 5, [0, 1, 2, 2, 3, 4, 0, 1]),
        *classification("never_predicted", 5, [0, 1, 2, 2, 3, 4, 0, 1]),
        *classification("never_occurs", 5, [0, 1, 2, 2, 3, 1, 0, 3]),
        *classification("absent", 5, [0, 1, 2, 2, 3, 1, 0, 3]),
        *cross_entropies(), *language(), *regression(), *autoencoder(), *gan(), *sliced_wasserstein(), *decays(),
    ]  # fmt: skip
    lines = ["# Made by scripts/record-metrics.py."]
    for name, case in cases:
        lines += ["", f"[{name}]"]
        for key, value in case.items():
            value = value.detach() if isinstance(value, torch.Tensor) else value
            lines.append(f"{key} = {written(value)}")
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text("\n".join(lines) + "\n")
    print(f"{OUTPUT.name}: {OUTPUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
