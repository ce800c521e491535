"""Records the gradient penalty of WGAN-GP (Gulrajani et al. 2017) through PyTorch's networks.

    pip install torch==2.11.0 numpy safetensors
    python scripts/record-gradient-penalty.py

Writes `nn/tests/fixtures/gradient-penalty.safetensors` for the tests of `nn`. Of each critic: its parameters under our
names, `real` and `fake` inputs and where between the two the penalty is taken (`mix`), the `penalty`, the `loss`, and
the loss's gradients with respect to the parameters (`gradient.` and the name) and to the fake inputs
(`gradient.fake`). All of it is computed in f64, from numbers that are exact in f32.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

FIXTURE = Path(__file__).resolve().parent.parent / "nn" / "tests" / "fixtures" / "gradient-penalty.safetensors"
WEIGHT = 10.0

ACTIVATIONS = {
    "identity": nn.Identity, "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU, "gelu": nn.GELU,
    "silu": nn.SiLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid,
}  # fmt: skip


def mlp(activation, norm=False):
    layers = []
    for width, units in [(5, 17), (17, 8)]:
        layers += [nn.Linear(width, units), *([nn.LayerNorm(units)] if norm else []), activation()]
    return nn.Sequential(*layers, nn.Linear(8, 1))


class Images(nn.Module):
    """Two convolutions and a linear critic of their features, from rows of 2 channels of 6 x 5 pixels."""

    def __init__(self):
        super().__init__()
        self.cnn = nn.ModuleList([nn.Conv2d(2, 4, 3, 1, 1), nn.Conv2d(4, 3, 2, 2, 0)])
        self.head = nn.Sequential(nn.Linear(3 * 3 * 2, 1))

    def forward(self, x):
        x = x.reshape(-1, 2, 6, 5)
        for layer in self.cnn:
            x = layer(x).relu()
        return self.head(x.flatten(1))


class Sequences(nn.Module):
    """A recurrent layer and a linear critic of each of its outputs, from [steps, batch, 4]."""

    def __init__(self, kind):
        super().__init__()
        self.memory = kind(4, 6)
        self.head = nn.Sequential(nn.Linear(6, 1))

    def forward(self, x):
        return self.head(self.memory(x)[0])


def rounded(tensor):
    return tensor.float().double()


def case(critic, shape):
    """What is recorded of one critic. Rows are all dimensions but the last."""
    critic.double()
    with torch.no_grad():
        for parameter in critic.parameters():
            # Norms start at ones and zeros, which would hide a gradient that takes the wrong one.
            parameter.copy_(rounded(parameter + 0.1 * torch.randn_like(parameter)))
    real, fake = (rounded(torch.randn(shape, dtype=torch.float64)) for _ in range(2))
    mix = rounded(torch.rand([*shape[:-1], 1], dtype=torch.float64))
    fake.requires_grad_(True)
    between = mix * real + (1.0 - mix) * fake
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    penalty = (slope.norm(dim=-1) - 1.0).square().mean()
    loss = critic(fake).mean() - critic(real).mean() + WEIGHT * penalty
    loss.backward()
    record = {"real": real, "fake": fake, "mix": mix, "penalty": penalty, "loss": loss, "gradient.fake": fake.grad}
    for name, parameter in critic.named_parameters():
        record |= {name: parameter, f"gradient.{name}": parameter.grad}
    return record


def main():
    torch.manual_seed(3)
    critics = {name: (mlp(kind), [7, 5]) for name, kind in ACTIVATIONS.items()}
    critics |= {f"norm_{name}": (mlp(kind, norm=True), [7, 5]) for name, kind in ACTIVATIONS.items()}
    critics |= {"cnn": (Images(), [7, 60])}
    critics |= {name: (Sequences(kind), [5, 3, 4]) for name, kind in [("lstm", nn.LSTM), ("gru", nn.GRU)]}
    tensors = {}
    for name, (critic, shape) in critics.items():
        record = case(critic, shape)
        tensors |= {f"{name}.{key}": value.detach().float().contiguous() for key, value in record.items()}
    save_file(tensors, FIXTURE)
    print(f"{FIXTURE.name}: {FIXTURE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
