"""Records policies of PyTorch with their weights, observations and actions, as a fixture for `tests/pytorch.rs`.

    pip install torch==2.11.0 safetensors
    python scripts/record-policies.py

A trained run goes to PyTorch by `scripts/to-pytorch.py`. Writes `tests/fixtures/policies.safetensors`: for each policy its weights
(`NAME.weights.*`, called as Pavlov calls them), `NAME.observations` and `NAME.actions`.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

FIXTURE = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "policies.safetensors"
ROWS = 40


def mlp(*sizes, activation=nn.Tanh):
    layers = []
    for before, after in zip(sizes, sizes[1:]):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers[:-1])


def weights(**modules):
    """The weights of modules under their prefixes; those of one called `_` have none."""
    return {
        key if prefix == "_" else f"{prefix}.{key}": value
        for prefix, module in modules.items()
        for key, value in module.state_dict().items()
    }


def dqn():
    net, observations = mlp(4, 16, 2, activation=nn.ReLU), torch.randn(ROWS, 4)
    return weights(_=net), observations, net(observations).argmax(1)


def td3():
    policy, observations = mlp(3, 16, 1, activation=nn.ReLU), torch.randn(ROWS, 3)
    return weights(policy=policy), observations, 2 * policy(observations).tanh()


def sac():
    policy, observations = mlp(3, 16, 2, activation=nn.ReLU), torch.randn(ROWS, 3)
    mean, _log_deviation = policy(observations).split(1, dim=1)
    return weights(policy=policy), observations, 2 * mean.tanh()


def ppo_gaussian():
    policy, value, observations = mlp(3, 16, 1), mlp(3, 16, 1), torch.randn(ROWS, 3)
    named = weights(policy=policy, value=value) | {"log_deviation": torch.randn(1)}
    return named, observations, policy(observations).clamp(-2, 2)


def ppo_images():
    """A convolution that policy and value share; Pavlov's images are `[height, width, channels]` here."""
    features = nn.Sequential(nn.Conv2d(4, 16, 3), nn.ReLU(), nn.Flatten())
    policy, value = mlp(1024, 16, 3), mlp(1024, 16, 1)
    images = torch.randint(0, 2, (ROWS, 10, 10, 4)).float()
    logits = policy(features(images.permute(0, 3, 1, 2)))
    return weights(features=features, policy=policy, value=value), images.flatten(1), logits.argmax(1)


def ppo_recurrent():
    """One episode, step by step: what the LSTM remembers goes on from row to row."""
    memories = nn.LSTM(2, 8), nn.LSTM(2, 8)
    policy, value, observations = mlp(8, 16, 2), mlp(8, 16, 1), torch.randn(ROWS, 2)
    remembered, _ = memories[0](observations)
    named = weights(policy_memory=memories[0], value_memory=memories[1], policy=policy, value=value)
    return named, observations, policy(remembered).argmax(1)


def main():
    torch.manual_seed(5)
    tensors = {}
    for case in (dqn, td3, sac, ppo_gaussian, ppo_images, ppo_recurrent):
        with torch.no_grad():
            named, observations, actions = case()
        tensors |= {f"{case.__name__}.weights.{key}": value for key, value in named.items()}
        actions = actions.float().reshape(ROWS, -1)
        tensors |= {f"{case.__name__}.observations": observations, f"{case.__name__}.actions": actions}
    FIXTURE.parent.mkdir(exist_ok=True)
    save_file({key: value.contiguous() for key, value in tensors.items()}, FIXTURE)
    print(f"{FIXTURE.name}: {FIXTURE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
