"""A run's policy in PyTorch: from `pavlov export RUN` to a `torch.nn.Module`, held to the actions that Pavlov chose.

    pip install torch safetensors numpy
    pavlov export runs/CartPole-v1/...                        # writes the folder export/ into the run's
    python3 scripts/to-pytorch.py runs/CartPole-v1/.../export                         # compares
    python3 scripts/to-pytorch.py runs/CartPole-v1/.../export --save policy.pt        # TorchScript
    python3 scripts/to-pytorch.py runs/CartPole-v1/.../export --save policy.pt2       # torch.export
    python3 scripts/to-pytorch.py runs/CartPole-v1/.../export --save policy.onnx      # ONNX (pip install onnx)
    python3 scripts/to-pytorch.py runs/CartPole-v1/.../export --play CartPole-v1          # pip install gymnasium

`--play` plays whole episodes in Gymnasium's own world: what was learned in Pavlov's must be worth the same there.

In a program: `policy, description = load(folder)` (copy this file, it needs nothing of Pavlov). The module takes

* the observation's numbers, f32 `[batch, floats]`, where it has some: a dict's one after the other, as the run's
  wrappers give them; `normalize_observation` alone is within the module;
* its bytes (pictures), u8 `[batch, bytes]`, where it has some;
* the memory's state, f32 `[batch, width]`, where the policy has a memory: zeros where an episode begins.

It gives the best action (i64 `[batch]` or `[batch, n]`, f32 `[batch, n]` for a box, in the world's units), the
distribution's parameters or the action values (f32 `[batch, ...]`: logits, means and logarithms of deviations, values)
and, with a memory, the state after the step. Its `state_dict` has the names of the weights' file.

Every agent and bundled network is served, but for these, which are refused by name: backbones that a program has
registered, and of lists of layers `attention`, `transformer_block`, `transformer`, `position_embedding`, `magnitude`,
`pad1d`, `pad2d`, `upsample`, `lstm` and `gru`, and everything with `spectral_norm`.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

ACTIVATIONS = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
CNNS = {
    "nature": [(32, 8, 4, 0), (64, 4, 2, 0), (64, 3, 1, 0)],
    "minatar": [(16, 3, 1, 0)],
}
# An image with a shorter side has MinAtar's convolutions where `net.cnn` is "auto".
SMALLEST_FOR_NATURE = 36
# A bound beyond it says nothing.
NO_BOUND = 1e15


class Unserved(Exception):
    """What this file cannot build, by name."""


def mlp(inputs, hidden, outputs, net, output_activation="identity", dropout=None):
    dropout = net["dropout"] if dropout is None else dropout
    layers, width = [], inputs
    for size in hidden:
        layers.append(nn.Linear(width, size))
        if net["layer_norm"]:
            layers.append(nn.LayerNorm(size))
        layers.append(ACTIVATIONS[net["activation"]]())
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
        width = size
    return nn.Sequential(*layers, nn.Linear(width, outputs), ACTIVATIONS[output_activation]())


class Unit(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv0 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return x + self.conv1(torch.relu(self.conv0(torch.relu(x))))


class Block(nn.Module):
    """A stage of IMPALA's residual network."""

    def __init__(self, inputs, channels):
        super().__init__()
        self.conv = nn.Conv2d(inputs, channels, 3, padding=1)
        self.residual0, self.residual1 = Unit(channels), Unit(channels)

    def forward(self, x):
        return self.residual1(self.residual0(nn.functional.max_pool2d(self.conv(x), 3, 2, 1)))


class Cnn(nn.Module):
    """Convolutions of a picture, `[batch, channels, height, width]`, to a row."""

    def __init__(self, channels, config):
        super().__init__()
        self.names = []
        self.ends_with_sum = config == "impala"
        if config == "impala":
            stages = {f"block{i}": Block(a, b) for i, (a, b) in enumerate([(channels, 16), (16, 32), (32, 32)])}
        else:
            layers = CNNS[config] if isinstance(config, str) else [
                (each["filters"], each["kernel"], each.get("stride", 1), each.get("padding", 0)) for each in config
            ]
            stages = {}
            for index, (filters, kernel, stride, padding) in enumerate(layers):
                stages[str(index)] = nn.Conv2d(channels, filters, kernel, stride, padding)
                channels = filters
        for name, stage in stages.items():
            self.add_module(name, stage)
            self.names.append(name)

    def forward(self, x):
        for name in self.names:
            x = getattr(self, name)(x)
            if not self.ends_with_sum:
                x = torch.relu(x)
        return torch.relu(x).flatten(1) if self.ends_with_sum else x.flatten(1)


class Take(nn.Module):
    """One operation without parameters."""

    def __init__(self, operation):
        super().__init__()
        self.operation = operation

    def forward(self, x):
        return self.operation(x)


class Residual(nn.Module):
    def __init__(self, layers, projection):
        super().__init__()
        for name, layer in layers.named_children():
            self.add_module(name, layer)
        self.names = [name for name, _ in layers.named_children()]
        self.projection = projection

    def forward(self, x):
        inner = x
        for name in self.names:
            inner = getattr(self, name)(inner)
        return self.projection(x) + inner


class Branches(nn.Module):
    def __init__(self, branches, adds):
        super().__init__()
        for index, branch in enumerate(branches):
            self.add_module(str(index), branch)
        self.count, self.adds = len(branches), adds

    def forward(self, x):
        outputs = [getattr(self, str(index))(x) for index in range(self.count)]
        return sum(outputs[1:], outputs[0]) if self.adds else torch.cat(outputs, 1)


def listed(layers, shape):
    """A list of layers for samples of this shape, and the shape that comes out."""
    modules = []
    for index, layer in enumerate(layers):
        kind, given = (layer, {}) if isinstance(layer, str) else next(iter(layer.items()))
        try:
            module = one(kind, given, shape)
        except Unserved as error:
            raise Unserved(f"layer {index}, {error}") from None
        with torch.no_grad():
            shape = list(module.eval()(torch.zeros(2, *shape)).shape[1:])
        modules.append(module)
    return nn.Sequential(*modules), shape


# The setting that a layer's number stands for.
SHORT = {
    "linear": "units",
    "leaky_relu": "slope",
    "dropout": "share",
    "mean": "dimension",
    "max": "dimension",
    "max_pool1d": "kernel",
    "max_pool2d": "kernel",
    "avg_pool1d": "kernel",
    "avg_pool2d": "kernel",
    "group_norm": "groups",
}


def pair(value):
    return tuple(value) if isinstance(value, list) else value


def with_batch(dimension):
    """A sample's dimension, among those of a batch."""
    return dimension + 1 if dimension >= 0 else dimension


def one(kind, given, shape):
    """One layer of a list: its name, and its settings or the number that stands for them."""
    table = given if isinstance(given, dict) else {SHORT.get(kind): given}
    if table.get("spectral_norm"):
        raise Unserved("`spectral_norm`")
    names = ("stride", "padding", "dilation", "groups", "output_padding")
    more = {name: pair(table[name]) for name in names if name in table}
    bias, eps = table.get("bias", True), table.get("eps", 1e-5)
    if kind == "leaky_relu":
        return nn.LeakyReLU(table.get("slope", 0.01))
    if kind in ACTIVATIONS:
        return ACTIVATIONS[kind]()
    if kind == "linear":
        return nn.Linear(shape[-1], table["units"], bias)
    if kind in ("conv1d", "conv2d", "conv_transpose2d"):
        made = {"conv1d": nn.Conv1d, "conv2d": nn.Conv2d, "conv_transpose2d": nn.ConvTranspose2d}[kind]
        return made(shape[0], table["filters"], pair(table["kernel"]), bias=bias, **more)
    if kind in ("max_pool1d", "max_pool2d"):
        made = nn.MaxPool1d if kind == "max_pool1d" else nn.MaxPool2d
        return made(pair(table["kernel"]), **more)
    if kind in ("avg_pool1d", "avg_pool2d"):
        made = nn.AvgPool1d if kind == "avg_pool1d" else nn.AvgPool2d
        return made(pair(table["kernel"]), count_include_pad=table.get("count_padding", True), **more)
    if kind.startswith("adaptive_"):
        _, how, where = kind.split("_")
        return getattr(nn, f"Adaptive{how.title()}P{where[1:]}")(pair(given))
    if kind in ("mean", "max"):
        dimension, keep = with_batch(table["dimension"]), table.get("keep", False)
        return Take(lambda x: x.mean(dimension, keep) if kind == "mean" else x.amax(dimension, keep))
    if kind == "embedding":
        return Embedding(table["vocabulary"], table["width"])
    if kind == "batch_norm":
        made = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
        return made(shape[0], eps=eps, affine=table.get("affine", True))
    if kind == "layer_norm":
        count = table.get("dimensions") or (3 if len(shape) == 3 else 1)
        return nn.LayerNorm(shape[len(shape) - count :], eps, table.get("affine", True), bias)
    if kind == "rms_norm":
        count = table.get("dimensions") or (3 if len(shape) == 3 else 1)
        return nn.RMSNorm(shape[len(shape) - count :], table.get("eps"), table.get("affine", True))
    if kind == "group_norm":
        return nn.GroupNorm(table["groups"], shape[0], eps, table.get("affine", True))
    if kind == "dropout":
        return nn.Dropout(table.get("share", 0.5))
    if kind == "flatten":
        return nn.Flatten(with_batch(table.get("first", 0)), with_batch(table.get("last", -1)))
    if kind == "reshape":
        return Take(lambda x: x.reshape(x.shape[0], *given))
    if kind == "unsqueeze":
        return Take(lambda x: x.unsqueeze(with_batch(given)))
    if kind == "transpose":
        return Take(lambda x: x.transpose(with_batch(given[0]), with_batch(given[1])))
    if kind == "residual":
        layers, projection = (given, []) if isinstance(given, list) else (given["layers"], given["projection"])
        return Residual(listed(layers, shape)[0], listed(projection, shape)[0])
    if kind in ("concat", "add"):
        return Branches([listed(branch, shape)[0] for branch in given], kind == "add")
    raise Unserved(f"`{kind}`")


class Embedding(nn.Embedding):
    """Tokens that come as numbers."""

    def forward(self, x):
        return super().forward(x.long())


class Front(nn.Module):
    """From encoded observations to the features on which heads stand. Its parts have no names of their own: the
    modules are given to the policy by `named`."""

    def __init__(self, description):
        super().__init__()
        net, self.parts = description["net"], description["observation"]["parts"]
        backbone = net["backbone"]
        self.features, self.backbone, self.trunk, self.memory = nn.Module(), None, None, None
        if backbone == "auto":
            width = self.standard(net)
        elif isinstance(backbone, list):
            shapes = [self.shape(part) for part in self.parts]
            shape = shapes[0] if len(shapes) == 1 else [sum(math.prod(each) for each in shapes)]
            self.backbone, shape = listed(backbone, shape)
            (width,) = shape
        else:
            raise Unserved(f"`net.backbone = \"{backbone}\"`, which a program has registered")
        if net["trunk_sizes"]:
            *before, last = net["trunk_sizes"]
            self.trunk, width = mlp(width, before, last, net, net["activation"]), last
        if net["recurrent"] != "off":
            made = {"lstm": nn.LSTM, "gru": nn.GRU}[net["recurrent"]]
            self.memory, width = made(width, net["recurrent_size"]), net["recurrent_size"]
        self.width = width
        size = net["recurrent_size"]
        self.state_width = {"off": 0, "lstm": 2 * size, "gru": size}[net["recurrent"]]

    @staticmethod
    def shape(part):
        return part.get("image") or part.get("numbers") or [part["tokens"]]

    def standard(self, net):
        chosen = [convolutions(net["cnn"], part) for part in self.parts]
        images = sum(config is not None for config in chosen)
        self.branches, image, table, width = [], 0, 0, 0
        for part, config in zip(self.parts, chosen):
            if config is not None:
                channels, height, wide = part["image"]
                cnn = Cnn(channels, config)
                if images == 1:
                    self.features = cnn
                else:
                    self.features.add_module(f"image{image}", cnn)
                self.branches.append(("image", part, f"image{image}"))
                image += 1
                width += cnn(torch.zeros(1, channels, height, wide)).shape[1]
            elif "tokens" in part:
                size = net["discrete"]["embedding"]
                self.features.add_module(f"tokens{table}", nn.Embedding(part["vocabulary"], size))
                self.branches.append(("tokens", part, f"tokens{table}"))
                table += 1
                width += part["tokens"] * size
            else:
                self.branches.append(("pass", part, ""))
                width += math.prod(self.shape(part))
        return width

    @staticmethod
    def picture(rows, part):
        channels, height, width = part["image"]
        if part["channels_first"]:
            return rows.reshape(-1, channels, height, width)
        return rows.reshape(-1, height, width, channels).permute(0, 3, 1, 2)

    def forward(self, rows, state):
        if self.backbone is not None:
            x = rows
            if len(self.parts) == 1:
                part = self.parts[0]
                x = self.picture(rows, part) if "image" in part else rows.reshape(-1, *self.shape(part))
            x = self.backbone(x)
        else:
            outputs = []
            for kind, part, name in self.branches:
                own = rows[:, part["begin"] : part["begin"] + math.prod(self.shape(part))]
                if kind == "image":
                    cnn = self.features if isinstance(self.features, Cnn) else getattr(self.features, name)
                    own = cnn(self.picture(own, part))
                elif kind == "tokens":
                    own = getattr(self.features, name)(own.long()).flatten(1)
                outputs.append(own)
            x = torch.cat(outputs, 1)
        if self.trunk is not None:
            x = self.trunk(x)
        if self.memory is None:
            return x, None
        if isinstance(self.memory, nn.LSTM):
            hidden, cell = state.chunk(2, dim=1)
            x, (hidden, cell) = self.memory(x[None], (hidden[None].contiguous(), cell[None].contiguous()))
            return x[0], torch.cat([hidden[0], cell[0]], 1)
        x, hidden = self.memory(x[None], state[None])
        return x[0], hidden[0]

    def named(self):
        names = ["features", "backbone", "trunk", "memory"]
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


def convolutions(config, part):
    """The convolutions of this part; `None` where it goes on as plain numbers."""
    if "image" not in part or config == "off":
        return None
    if isinstance(config, dict):
        return convolutions(config.get(part["key"], "auto"), part)
    if config == "auto":
        return "minatar" if min(part["image"][1:]) < SMALLEST_FOR_NATURE else "nature"
    return config


class Policy(nn.Module):
    """From an observation to the best action and the numbers that it is chosen by."""

    def __init__(self, description):
        super().__init__()
        self.description = description
        self.observation, self.action, self.agent = (
            description["observation"], description["action"], description["agent"]
        )
        net = description["net"]
        normalizer = self.observation["normalizer"]
        if normalizer is not None:
            places = torch.tensor(normalizer["places"], dtype=torch.long)
            self.register_buffer("places", places, persistent=False)
            for name in ("mean", "variance"):
                numbers = torch.zeros(len(places), dtype=torch.float64)
                self.register_buffer(f"observed_{name}", numbers, persistent=False)
        front = Front(description)
        # The front is part of no module's name.
        self.__dict__["front"] = front
        actions = self.action
        if "low" in actions:
            pairs = [stretch(low, high) for low, high in zip(actions["low"], actions["high"])]
            centre, scale = torch.tensor(pairs).unbind(1)
            bounds = {"low": torch.tensor(actions["low"]), "high": torch.tensor(actions["high"])}
            for name, numbers in (bounds | {"centre": centre, "scale": scale}).items():
                self.register_buffer(name, numbers, persistent=False)
        choices = actions.get("discrete") or sum(actions.get("multi_discrete", [])) or actions.get("multi_binary")
        width = choices or len(actions["low"])
        hidden, self.log_deviation, self.mean = net["hidden_sizes"], None, None
        if self.agent in ("dqn", "apex"):
            prefix, self.kind = "", "values"
            if description["dueling"]:
                self.value, self.advantage = mlp(front.width, hidden, 1, net), mlp(front.width, hidden, width, net)
            else:
                for name, layer in mlp(front.width, hidden, width, net).named_children():
                    self.add_module(name, layer)
                self.names = [name for name, _ in self.named_children()]
        elif self.agent in ("td3", "ddpg", "sac"):
            prefix, self.kind = "policy.", "unit" if "low" in actions else "logits"
            outputs = width if self.agent != "sac" or choices else 2 * width
            self.policy = mlp(front.width, hidden, outputs, net, "identity" if self.agent == "sac" else "tanh")
            for name, module in front.named().items():
                self.policy.add_module(name, module)
            self.layers = [name for name, _ in self.policy.named_children() if name.isdigit()]
        else:
            prefix, self.kind = ("" if net["shared"] else "policy_"), "gaussian" if "low" in actions else "logits"
            if self.kind == "gaussian" and description["state_dependent"]:
                *before, last = hidden
                self.policy = mlp(front.width, before, last, net, net["activation"], 0.0)
                self.mean = mlp(last, [], width, net)
                self.log_deviation = nn.Parameter(torch.zeros(last, width))
            else:
                self.policy = mlp(front.width, hidden, width, net)
                if self.kind == "gaussian":
                    self.log_deviation = nn.Parameter(torch.zeros(width))
        if prefix != "policy.":
            for name, module in front.named().items():
                self.add_module(prefix + name, module)
        self.state_width = front.state_width

    def initial_state(self, batch=1):
        """The memory's state where an episode begins."""
        return torch.zeros(batch, self.state_width, device=next(self.parameters()).device)

    def encode(self, floats, bytes_):
        if self.observation["normalizer"] is not None:
            normalizer = self.observation["normalizer"]
            own = floats[:, self.places].double()
            own = ((own - self.observed_mean) / (self.observed_variance + normalizer["epsilon"]).sqrt()).float()
            floats = floats.index_copy(1, self.places, own.clamp(-normalizer["clip"], normalizer["clip"]))
        parts, number, byte = [], 0, 0
        for code in self.observation["codes"]:
            (kind, of), = code.items()
            if kind == "bytes":
                parts.append(bytes_[:, byte : byte + of["count"]].float() / of["largest"])
                byte += of["count"]
            elif kind == "scaled":
                parts.append(floats[:, number : number + of["count"]] / of["largest"])
                number += of["count"]
            elif kind == "one_hot":
                parts.append(nn.functional.one_hot(floats[:, number].long().clamp(0, of - 1), of).float())
                number += 1
            else:
                if kind != "skipped":
                    parts.append(floats[:, number : number + of])
                number += of
        return torch.cat(parts, 1)

    def masked(self, logits, floats):
        if self.observation["mask"] is None:
            return logits
        begin, end = self.observation["mask"]
        mask = floats[:, begin:end] == 1
        # A mask without a choice means nothing.
        mask = mask | ~mask.any(1, keepdim=True)
        return logits.masked_fill(~mask, -torch.inf)

    def best(self, logits, floats):
        if "multi_binary" in self.action:
            return (logits > 0).long()
        logits = self.masked(logits, floats)
        if "discrete" in self.action:
            return logits.argmax(1)
        return torch.stack([each.argmax(1) for each in logits.split(self.action["multi_discrete"], 1)], 1)

    def stretched(self, draw):
        return (self.centre + self.scale * draw).maximum(self.low).minimum(self.high)

    def forward(self, *inputs):
        given = list(inputs)
        floats = given.pop(0).flatten(1) if self.observation["floats"] else None
        bytes_ = given.pop(0).flatten(1) if self.observation["bytes"] else None
        state = given.pop(0) if self.state_width else None
        features, state = self.front(self.encode(floats, bytes_), state)
        if self.agent in ("dqn", "apex"):
            if self.description["dueling"]:
                advantage = self.advantage(features)
                outputs = self.value(features) + advantage - advantage.mean(1, keepdim=True)
            else:
                outputs = features
                for name in self.names:
                    outputs = getattr(self, name)(outputs)
            action = self.best(outputs, floats)
        elif self.kind == "unit":
            outputs = features
            for name in self.layers:
                outputs = getattr(self.policy, name)(outputs)
            unit = outputs
            if self.agent == "sac":
                mean, log_deviation = outputs.chunk(2, dim=1)
                unit, outputs = mean.tanh(), torch.cat([mean, log_deviation.clamp(-20, 2)], 1)
            action = self.low + (unit + 1) * 0.5 * (self.high - self.low)
            action = action.maximum(self.low).minimum(self.high)
        elif self.agent == "sac":
            outputs = features
            for name in self.layers:
                outputs = getattr(self.policy, name)(outputs)
            action = self.best(outputs, floats)
        elif self.kind == "gaussian":
            mean = self.policy(features)
            if self.mean is not None:
                variance = mean.square() @ (2 * self.log_deviation).exp()
                log_deviation, mean = 0.5 * (variance + 1e-6).log(), self.mean(mean)
            else:
                log_deviation = self.log_deviation.expand_as(mean)
            outputs, action = torch.cat([mean, log_deviation], 1), self.stretched(mean)
        else:
            outputs = self.policy(features)
            action = self.best(outputs, floats)
        return (action, outputs) if state is None else (action, outputs, state)


def stretch(low, high):
    """Centre and scale by which a Gaussian around 0 with deviation 1 meets these bounds."""
    has_low, has_high = abs(low) < NO_BOUND, abs(high) < NO_BOUND
    if has_low and has_high:
        suits = 0.25 <= -low <= 10 and 0.25 <= high <= 10
        return (0.0, 1.0) if suits else (low / 2 + high / 2, high / 2 - low / 2)
    if has_low and low > -0.25:
        return low + 1, 1.0
    if has_high and high < 0.25:
        return high - 1, 1.0
    return 0.0, 1.0


def load(folder):
    """The policy of a folder that `pavlov export` has written, in use (`eval`), and its description."""
    folder = Path(folder)
    description = json.loads((folder / "policy.json").read_text())
    if description["format"] != 1:
        raise Unserved(f"format {description['format']}: take the script of the Pavlov that has written the export")
    policy, weights = Policy(description), load_file(folder / "weights.safetensors")
    if description["observation"]["normalizer"] is not None:
        for name in ("mean", "variance"):
            getattr(policy, f"observed_{name}").copy_(weights[f"observation_normalizer.{name}"])
    own = policy.state_dict()
    missing = [name for name in own if name not in weights and not name.endswith("num_batches_tracked")]
    if missing:
        raise Unserved(f"the weights `{missing[0]}` are not among those of the export")
    # The rest are those of the value.
    policy.load_state_dict({name: weights[name] for name in own if name in weights}, strict=False)
    return policy.eval(), description


def compare(policy, folder):
    """Holds the policy to the actions that Pavlov chose; gives the steps and the largest difference."""
    check = load_file(Path(folder) / "check.safetensors")
    state, largest = None, 0.0
    steps = check["actions"].shape[0]
    for step in range(steps):
        if state is None or check["starts"][step, 0] == 1:
            state = policy.initial_state()
        inputs = [check[name][step : step + 1] for name in ("floats", "bytes") if name in check]
        with torch.no_grad():
            action, outputs, *state_after = policy(*inputs, *([state] if policy.state_width else []))
        state = state_after[0] if state_after else state
        expected = check["actions"][step]
        if "low" in policy.action:
            scale = expected.abs().clamp(min=1)
            largest = max(largest, float(((action[0] - expected).abs() / scale).max()))
        else:
            largest = max(largest, regret(policy, outputs, inputs, action[0].reshape(-1), expected.long()))
    return steps, largest


def regret(policy, outputs, inputs, action, expected):
    """By how much the expected choices are worse here than the best ones."""
    if "multi_binary" in policy.action:
        return float((outputs[0].abs() * (action != expected)).max())
    outputs = policy.masked(outputs, inputs[0])[0]
    parts = outputs.split(policy.action.get("multi_discrete", [len(outputs)]))
    return max(float(part.max() - part[choice]) for part, choice in zip(parts, expected))


def save(policy, path, folder):
    check = load_file(Path(folder) / "check.safetensors")
    inputs = [check[name][:2].clone() for name in ("floats", "bytes") if name in check]
    if policy.state_width:
        inputs.append(policy.initial_state(2))
    if path.suffix == ".onnx":
        names = [name for name in ("floats", "bytes") if name in check] + ["state"] * bool(policy.state_width)
        outputs = ["action", "outputs"] + ["next_state"] * bool(policy.state_width)
        dynamic = {name: {0: "batch"} for name in names + outputs}
        named = {"input_names": names, "output_names": outputs, "dynamic_axes": dynamic}
        torch.onnx.export(policy, tuple(inputs), str(path), dynamo=False, **named)
    elif path.suffix == ".pt2":
        batch = torch.export.Dim("batch", min=1)
        shapes = (tuple({0: batch} for _ in inputs),)
        torch.export.save(torch.export.export(policy, tuple(inputs), dynamic_shapes=shapes), str(path))
    elif path.suffix == ".pt":
        torch.jit.trace(policy, tuple(inputs), check_trace=False).save(str(path))
    else:
        sys.exit(f"--save {path}: give a name that ends in .pt (TorchScript), .pt2 (torch.export) or .onnx")


# The wrappers without which Gymnasium's world shows what the policy has learned from.
WITHOUT_EFFECT = {
    "time_limit", "clip_reward", "sign_reward", "scale_reward", "normalize_reward", "normalize_observation"
}


def play(policy, description, environment, episodes):
    import gymnasium

    others = [wrapper["kind"] for wrapper in description["wrappers"] if wrapper["kind"] not in WITHOUT_EFFECT]
    if others:
        sys.exit(f"--play shows the bare world, and the policy has learned within the wrappers {', '.join(others)}")
    env, returns = gymnasium.make(environment), []
    kind = torch.uint8 if policy.observation["bytes"] else torch.float32
    for seed in range(episodes):
        observation, _ = env.reset(seed=seed)
        state, total, over = policy.initial_state(), 0.0, False
        while not over:
            inputs = [torch.as_tensor(observation).to(kind).reshape(1, -1)]
            with torch.no_grad():
                action, _, *after = policy(*inputs, *([state] if policy.state_width else []))
            state = after[0] if after else state
            observation, reward, terminated, truncated, _ = env.step(action[0].numpy())
            total, over = total + float(reward), terminated or truncated
        returns.append(total)
    returns = torch.tensor(returns)
    mean, deviation = float(returns.mean()), float(returns.std(correction=0))
    print(f"{episodes} episodes in Gymnasium's {environment}: return {mean:.2f} +- {deviation:.2f}")
    print(f"standard error of the mean {deviation / math.sqrt(episodes):.2f}")


def main():
    parser = argparse.ArgumentParser(description="A run's policy in PyTorch")
    parser.add_argument("folder", help="a folder that `pavlov export` has written")
    parser.add_argument("--save", type=Path, help="FILE.pt (TorchScript), FILE.pt2 (torch.export) or FILE.onnx")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="the largest difference that is let pass")
    parser.add_argument("--play", metavar="ID", help="play whole episodes of this environment of Gymnasium's")
    parser.add_argument("--episodes", type=int, default=100, help="the number of these episodes")
    arguments = parser.parse_args()
    try:
        policy, description = load(arguments.folder)
    except Unserved as error:
        sys.exit(f"this policy cannot be built in PyTorch by this script: {error}")
    steps, largest = compare(policy, arguments.folder)
    count = sum(parameter.numel() for parameter in policy.parameters())
    print(f"{description['agent']} on {description['environment']}: {count} parameters")
    print(f"{steps} actions compared with Pavlov's, the largest difference is {largest:.1e}")
    if description["wrappers"]:
        kinds = ", ".join(wrapper["kind"] for wrapper in description["wrappers"])
        print(f"observations are those within the wrappers {kinds}")
    if description["observation"]["normalizer"] is not None:
        print("the module applies normalize_observation itself")
    if description["net"].get("precision") == "bf16":
        print("Pavlov multiplies in bf16, this module in f32")
    if largest > arguments.tolerance:
        sys.exit(f"that is above the tolerance of {arguments.tolerance:g}")
    if arguments.save:
        save(policy, arguments.save, arguments.folder)
        print(f"saved as {arguments.save}")
    if arguments.play:
        play(policy, description, arguments.play, arguments.episodes)


if __name__ == "__main__":
    main()
