"""Records spectral normalisation (Miyato et al. 2018) by PyTorch's `parametrizations.spectral_norm`.

    pip install torch==2.11.0 numpy safetensors
    python scripts/record-spectral-norm.py

Writes to `nn/tests/fixtures`:

* `spectral-norm.json`: for each case the list of layers as Pavlov reads it, and the shape of one sample;
* `spectral-norm.safetensors`: for each case `NAME.state.*` (the state_dict at the start), `NAME.input`, and for the passes
  `0`, `1` and `2` in training and the pass `use` after them `NAME.PASS.output`, `NAME.PASS.input_gradient`,
  `NAME.PASS.gradient.*` and, after the pass, `NAME.PASS.buffer.*`; the gradients are those of
  `(output * cos(arange)).sum()`. `critic.penalty.*` are the gradients of a gradient penalty (Gulrajani et al. 2017) in
  training, from the state at the start.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

FIXTURES = Path(__file__).resolve().parent.parent / "nn" / "tests" / "fixtures"

CASES = {
    "linear": ("[{ linear = { units = 5, spectral_norm = true } }]", [4], lambda: [spectral_norm(nn.Linear(4, 5))]),
    "conv1d": (
        "[{ conv1d = { filters = 4, kernel = 3, spectral_norm = true } }]", [2, 7],
        lambda: [spectral_norm(nn.Conv1d(2, 4, 3))],
    ),
    "conv2d": (
        "[{ conv2d = { filters = 4, kernel = 3, padding = 1, bias = false, spectral_norm = true } }]", [2, 5, 4],
        lambda: [spectral_norm(nn.Conv2d(2, 4, 3, padding=1, bias=False))],
    ),
    "conv_transpose2d": (
        "[{ conv_transpose2d = { filters = 3, kernel = 4, stride = 2, padding = 1, spectral_norm = true } }]", [2, 3, 4],
        lambda: [spectral_norm(nn.ConvTranspose2d(2, 3, 4, 2, 1))],
    ),
    "critic": (
        "[{ conv2d = { filters = 4, kernel = 4, stride = 2, padding = 1, spectral_norm = true } }, { leaky_relu = 0.2 }, "
        "'flatten', { linear = { units = 3, spectral_norm = true } }, 'tanh', { linear = 1 }]", [2, 6, 6],
        lambda: [spectral_norm(nn.Conv2d(2, 4, 4, 2, 1)), nn.LeakyReLU(0.2), nn.Flatten(), spectral_norm(nn.Linear(36, 3)),
                 nn.Tanh(), nn.Linear(3, 1)],
    ),
}  # fmt: skip


def gradients(module):
    named = {name: parameter.grad for name, parameter in module.named_parameters()}
    return {f"gradient.{name}": gradient.clone() for name, gradient in named.items() if gradient is not None}


def passed(module, given):
    """One pass and its way back."""
    module.zero_grad()
    x = given.clone().requires_grad_()
    output = module(x)
    (output * torch.arange(output.numel(), dtype=torch.float32).cos().reshape(output.shape)).sum().backward()
    buffers = {f"buffer.{name}": buffer.clone() for name, buffer in module.named_buffers()}
    return {"output": output.detach(), "input_gradient": x.grad, **gradients(module), **buffers}


def penalised(module, given):
    """The gradients of a penalty on the gradient of the outputs' sum with respect to the input."""
    module.zero_grad()
    x = given.clone().requires_grad_()
    (slope,) = torch.autograd.grad(module(x).sum(), x, create_graph=True)
    (slope.flatten(1).norm(dim=1) - 1.0).square().mean().backward()
    return gradients(module)


def main():
    torch.manual_seed(11)
    texts, record = {}, {}
    for name, (text, shape, make) in CASES.items():
        module, given = nn.Sequential(*make()), torch.randn(3, *shape)
        state = {key: value.clone() for key, value in module.state_dict().items()}
        parts = {"input": given} | {f"state.{key}": value for key, value in state.items()}
        for index in range(3):
            parts |= {f"{index}.{key}": value for key, value in passed(module.train(), given).items()}
        parts |= {f"use.{key}": value for key, value in passed(module.eval(), given).items()}
        module.load_state_dict(state)
        if name == "critic":
            parts |= {f"penalty.{key}": value for key, value in penalised(module.train(), given).items()}
        texts[name] = {"layers": text.replace("'", '"'), "shape": shape}
        record |= {f"{name}.{key}": value.detach().contiguous() for key, value in parts.items()}
    save_file(record, FIXTURES / "spectral-norm.safetensors")
    (FIXTURES / "spectral-norm.json").write_text(json.dumps(texts, indent=1) + "\n")
    print(f"spectral-norm.safetensors: {(FIXTURES / 'spectral-norm.safetensors').stat().st_size} bytes")


if __name__ == "__main__":
    main()
