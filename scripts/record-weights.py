"""Records networks of PyTorch with their weights, an input and the output, as a fixture for the tests of `nn`.

    pip install torch==2.11.0 safetensors
    python scripts/record-weights.py

Writes `nn/tests/fixtures/sequential.safetensors`: the state_dict of a plain network (prefix `plain.`) and of one with
layer norm and dropout (prefix `norm.`), and for each `input` and `output`.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

FIXTURE = Path(__file__).resolve().parent.parent / "nn" / "tests" / "fixtures" / "sequential.safetensors"


def main():
    torch.manual_seed(5)
    networks = {
        "plain": nn.Sequential(nn.Linear(5, 17), nn.Tanh(), nn.Linear(17, 8), nn.Tanh(), nn.Linear(8, 3)),
        "norm": nn.Sequential(
            nn.Linear(5, 17), nn.LayerNorm(17), nn.SiLU(), nn.Dropout(0.1),
            nn.Linear(17, 8), nn.LayerNorm(8), nn.SiLU(), nn.Dropout(0.1),
            nn.Linear(8, 3),
        ),
    }  # fmt: skip
    tensors = {}
    for name, network in networks.items():
        network.eval()
        given = torch.randn(7, 5)
        tensors |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
        tensors |= {f"{name}.input": given, f"{name}.output": network(given).detach()}
    save_file(tensors, FIXTURE)
    print(f"{FIXTURE.name}: {FIXTURE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
