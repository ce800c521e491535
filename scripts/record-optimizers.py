"""Records what PyTorch's optimisers, gradient clipping and learning-rate schedulers do.

Writes `nn/tests/fixtures/optimizers.safetensors` (inputs and trajectories) and `optimizers.json` (configurations and
schedules), against which the tests of `pavlov-nn` hold ours. What PyTorch does not have (TensorFlow's RMSprop, L1 and
decoupled decay under any optimiser) is written out here in plain tensor operations. The optimisers run in f64, so that
what is recorded is the formula and not PyTorch's own rounding, which over 100 steps in f32 comes near 1e-6.

    python scripts/record-optimizers.py        # needs torch, numpy and safetensors; recorded with torch 2.11.0
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

STEPS = 100
# No multiple of a vector width: 16 + 4 + 1.
LEN = 21
FIXTURES = Path(__file__).resolve().parent.parent / "nn" / "tests" / "fixtures"


torch.set_default_dtype(torch.float64)


def inputs():
    """A start and gradients of every size, exact in f32: usual, tiny, always zero, mostly zero."""
    generator = torch.Generator().manual_seed(7)
    start = torch.randn(LEN, generator=generator)
    start[3] = 0.0
    gradients = torch.randn(STEPS, LEN, generator=generator) + torch.linspace(-1, 1, LEN)
    gradients *= 10.0 ** -(torch.arange(LEN) % 4)
    gradients[:, 5] *= 1e-6
    gradients[:, 8] = 0.0
    gradients[torch.arange(STEPS) % 9 > 0, 13] = 0.0
    return start.float().double(), gradients.float().double()


def learning_rate(start, step):
    return start * (1.0 - step / STEPS)


def trajectory(start, gradients, rate, move, l1=0.0, decoupled=0.0):
    """The values after each step of `move(value, lr)`, which reads `value.grad`."""
    value = start.clone().requires_grad_(True)
    values = []
    for step in range(STEPS):
        lr = learning_rate(rate, step)
        with torch.no_grad():
            value.grad = gradients[step] + l1 * value.sign()
            value.mul_(1.0 - lr * decoupled)
            move(value, lr)
        values.append(value.detach().clone())
    return torch.stack(values)


def torch_optimizer(kind, **options):
    """A `move` that PyTorch's own optimiser makes."""
    made = []

    def move(value, lr):
        if not made:
            made.append(kind([value], lr=lr, **options))
        made[0].param_groups[0]["lr"] = lr
        made[0].step()

    return move


def tensorflow_rmsprop(alpha, eps, start, centered, momentum):
    """A `move` by TensorFlow's formula: eps under the root, the average of squares starts at `start`."""
    square = torch.full((LEN,), start)
    average, buffer = torch.zeros(LEN), torch.zeros(LEN)

    def move(value, lr):
        square.add_((value.grad**2 - square) * (1.0 - alpha))
        average.add_((value.grad - average) * (1.0 - alpha))
        spread = square - average**2 if centered else square
        buffer.copy_(momentum * buffer + value.grad / torch.sqrt(spread + eps))
        value.sub_(lr * buffer)

    return move


def cases():
    """Name, learning rate at the start, configuration as a Pavlov file has it, `move`, decay outside of `move`."""
    adam, adamw, rmsprop, sgd = torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.SGD
    t = torch_optimizer
    tf = {"eps_inside_root": True}
    yield "adam", 0.01, {"kind": "adam"}, t(adam), {}
    yield "adam_options", 0.01, {"kind": "adam", "beta1": 0.5, "beta2": 0.99, "eps": 1e-5}, t(
        adam, betas=(0.5, 0.99), eps=1e-5
    ), {}
    yield "adam_l2", 0.01, {"kind": "adam", "weight_decay_l2": 0.1}, t(adam, weight_decay=0.1), {}
    yield "adam_l1", 0.01, {"kind": "adam", "weight_decay_l1": 0.1}, t(adam), {"l1": 0.1}
    yield "adamw", 0.01, {"kind": "adamw"}, t(adamw), {}
    yield "adamw_strong", 0.01, {"kind": "adamw", "weight_decay_decoupled": 0.5}, t(adamw, weight_decay=0.5), {}
    yield "rmsprop", 0.003, {"kind": "rmsprop"}, t(rmsprop), {}
    yield "rmsprop_centered", 0.003, {"kind": "rmsprop", "centered": True}, t(rmsprop, centered=True), {}
    yield "rmsprop_momentum", 0.001, {"kind": "rmsprop", "momentum": 0.9}, t(rmsprop, momentum=0.9), {}
    yield "rmsprop_all", 0.001, {
        "kind": "rmsprop",
        "alpha": 0.95,
        "eps": 1e-5,
        "centered": True,
        "momentum": 0.5,
        "weight_decay_l2": 0.1,
    }, t(rmsprop, alpha=0.95, eps=1e-5, centered=True, momentum=0.5, weight_decay=0.1), {}
    yield "rmsprop_tensorflow", 0.01, {"kind": "rmsprop", "eps": 1e-5, "square_average_start": 1.0, **tf}, (
        tensorflow_rmsprop(0.99, 1e-5, 1.0, False, 0.0)
    ), {}
    yield "rmsprop_nature_dqn", 0.001, {
        "kind": "rmsprop",
        "alpha": 0.95,
        "eps": 0.01,
        "centered": True,
        "momentum": 0.95,
        **tf,
    }, tensorflow_rmsprop(0.95, 0.01, 0.0, True, 0.95), {}
    yield "sgd", 0.03, {"kind": "sgd"}, t(sgd), {}
    yield "sgd_momentum", 0.01, {"kind": "sgd", "momentum": 0.9}, t(sgd, momentum=0.9), {}
    yield "sgd_dampening", 0.03, {"kind": "sgd", "momentum": 0.9, "dampening": 0.5}, t(
        sgd, momentum=0.9, dampening=0.5
    ), {}
    yield "sgd_nesterov", 0.01, {"kind": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay_l2": 0.1}, t(
        sgd, momentum=0.9, nesterov=True, weight_decay=0.1
    ), {}
    yield "sgd_decay", 0.03, {"kind": "sgd", "weight_decay_decoupled": 0.3, "weight_decay_l1": 0.05}, t(sgd), {
        "l1": 0.05,
        "decoupled": 0.3,
    }


# A network of two layers whose parameters stand side by side, LEN numbers in all.
PARTS = {"a.weight": 9, "a.bias": 4, "b.weight": 6, "b.bias": 2}
# From this step on the first layer of `adamw_unfrozen` is trained.
UNFROZEN_AT = 37


def grouped_cases():
    """Name, learning rate at the start, configuration, groups as PyTorch has them, steps for which `a.*` is frozen.

    A group is the names' ends that it is for, the factor of its learning rate and PyTorch's options."""
    no_decay = {"names": ["*.bias"], "weight_decay": False}
    slow = {"names": ["a.*", "a.bias"], "learning_rate_factor": 0.25}
    adamw = {"kind": "adamw", "weight_decay_decoupled": 0.5}
    decayed, plain = {"weight_decay": 0.5}, {"weight_decay": 0.0}
    two = [((".weight",), 1.0, decayed), ((".bias",), 1.0, plain)]
    four = [(("a.weight",), 0.25, decayed), (("a.bias",), 0.25, plain), (("b.weight",), 1.0, decayed)]
    four.append((("b.bias",), 1.0, plain))
    t = torch.optim
    yield "adamw_no_decay", 0.01, {**adamw, "groups": [no_decay]}, t.AdamW, two, 0
    yield "adamw_groups", 0.01, {**adamw, "groups": [slow, no_decay]}, t.AdamW, four, 0
    yield "adamw_unfrozen", 0.01, {**adamw, "groups": [no_decay]}, t.AdamW, two, UNFROZEN_AT
    momentum = {"weight_decay": 0.1, "momentum": 0.9}
    yield "sgd_unfrozen", 0.01, {"kind": "sgd", "momentum": 0.9, "weight_decay_l2": 0.1}, t.SGD, [
        ((".weight", ".bias"), 1.0, momentum)
    ], UNFROZEN_AT


def grouped_trajectory(start, gradients, rate, kind, groups, frozen_for):
    """The values of all parameters after each step."""
    values = {name: part.clone().requires_grad_(True) for name, part in zip(PARTS, start.split([*PARTS.values()]))}
    members = [
        {"params": [value for name, value in values.items() if name.endswith(ends)], "lr": rate * factor, **options}
        for ends, factor, options in groups
    ]
    optimizer = kind(members)
    trajectory = []
    for step in range(STEPS):
        for group, (_, factor, _) in zip(optimizer.param_groups, groups):
            group["lr"] = learning_rate(rate, step) * factor
        for name, gradient in zip(PARTS, gradients[step].split([*PARTS.values()])):
            frozen = name.startswith("a.") and step < frozen_for
            values[name].grad = None if frozen else gradient.clone()
        optimizer.step()
        trajectory.append(torch.cat([value.detach() for value in values.values()]))
    return torch.stack(trajectory)


def clipped(gradient, clip):
    """What `clip` makes of the gradients of two parameters that share `gradient`, and what it returns."""
    parts = [torch.nn.Parameter(torch.zeros_like(part)) for part in gradient.split(14)]
    for part, its in zip(parts, gradient.split(14)):
        part.grad = its.clone()
    returned = clip(parts)
    return torch.cat([part.grad for part in parts]), returned


def clip_tensors(gradient):
    norm = torch.nn.utils.clip_grad_norm_
    tensors = {}
    for name, largest in [("clip_norm_small", 0.5), ("clip_norm_large", 100.0)]:
        tensors[name], tensors["clip_norm"] = clipped(gradient, lambda parts: norm(parts, largest))
    tensors["clip_value"], _ = clipped(gradient, lambda parts: torch.nn.utils.clip_grad_value_(parts, 0.25))
    return tensors


def schedules():
    """Schedules as a Pavlov file has them, with the learning rates of PyTorch's scheduler over `STEPS` epochs."""
    from torch.optim import lr_scheduler as s

    def rates(start, scheduler):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=start)
        schedule = scheduler(optimizer)
        values = []
        for _ in range(STEPS + 1):
            values.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
        return values

    yield {"kind": "cosine", "start": 0.003, "end": 1e-5}, rates(
        0.003, lambda o: s.CosineAnnealingLR(o, T_max=STEPS, eta_min=1e-5)
    )
    yield {"kind": "linear", "start": 0.004, "end": 0.001}, rates(
        0.004, lambda o: s.LinearLR(o, start_factor=1.0, end_factor=0.25, total_iters=STEPS)
    )
    yield {"kind": "step", "start": 0.01, "factor": 0.3, "every_fraction": 0.1}, rates(
        0.01, lambda o: s.StepLR(o, step_size=STEPS // 10, gamma=0.3)
    )
    yield {"kind": "exponential", "start": 0.01, "end": 0.01 * 0.95**STEPS}, rates(
        0.01, lambda o: s.ExponentialLR(o, gamma=0.95)
    )
    yield 0.02, rates(0.02, lambda o: s.ConstantLR(o, factor=1.0))


def cycles():
    """One cycle as a Pavlov file has it, with the rates of PyTorch's `OneCycleLR` at each of its steps and the share of the
    curve that each stands for: its rise ends at step `rise_fraction * steps - 1`, its fall at the last step."""
    for steps, options, names in [
        (50, {}, {}),
        (40, {"pct_start": 0.5, "div_factor": 10.0, "final_div_factor": 100.0},
         {"rise_fraction": 0.5, "start_divisor": 10.0, "end_divisor": 100.0}),
    ]:  # fmt: skip
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=steps, cycle_momentum=False, **options)
        rise = options.get("pct_start", 0.3)
        top, points = rise * steps - 1, []
        for step in range(steps):
            share = rise * step / top if step <= top else rise + (1 - rise) * (step - top) / (steps - 1 - top)
            points.append([share, schedule.get_last_lr()[0]])
            optimizer.step()
            if step + 1 < steps:
                schedule.step()
        yield {"schedule": {"kind": "one_cycle", "max": 0.02, **names}, "points": points}


def main():
    start, gradients = inputs()
    tensors = {"start": start, "gradients": gradients, **clip_tensors(gradients[0])}
    recorded = []
    for name, rate, config, move, decay in cases():
        tensors[name] = trajectory(start, gradients, rate, move, **decay)
        assert tensors[name].isfinite().all(), name
        recorded.append({"name": name, "learning_rate": rate, "config": config})
    grouped = []
    for name, rate, config, kind, groups, frozen_for in grouped_cases():
        tensors[name] = grouped_trajectory(start, gradients, rate, kind, groups, frozen_for)
        case = {"name": name, "learning_rate": rate, "config": config}
        grouped.append({**case, "parameters": [*PARTS.items()], "first_layer_frozen_for": frozen_for})
    FIXTURES.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.float() for name, tensor in tensors.items()}, FIXTURES / "optimizers.safetensors")
    curves = [{"schedule": schedule, "values": values} for schedule, values in schedules()]
    text = json.dumps({"cases": recorded, "grouped": grouped, "schedules": curves, "cycles": list(cycles())}, indent=1)
    (FIXTURES / "optimizers.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
