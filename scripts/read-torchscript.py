"""Writes the weights in a TorchScript archive (`torch.jit.save`) as a file of safetensors. PyTorch is not needed.

    python3 scripts/read-torchscript.py MODEL.jit WEIGHTS.safetensors

The names are those of the module's `state_dict`. What is no contiguous tensor of 32-bit floats is left out.
"""

import json
import pickle
import struct
import sys
import zipfile


class Module(dict):
    """An object of the archive: its attributes by name."""

    def __setstate__(self, state):
        self.update(state)


class Reader(pickle.Unpickler):
    """Nothing of a pickle is called but what is named here: classes become `Module`, functions a tensor's description."""

    def find_class(self, module, name):
        if name == "_rebuild_tensor_v2":
            return lambda storage, offset, shape, strides, *_: (storage, offset, tuple(shape), tuple(strides))
        if name == "OrderedDict":
            return dict
        if module.startswith("__torch__"):
            return Module
        return type(name, (), {"__new__": lambda cls, *_: name})

    def persistent_load(self, pid):
        _, kind, key, *_ = pid
        return str(getattr(kind, "__name__", kind)), key


def is_tensor(value):
    return isinstance(value, tuple) and len(value) == 4 and isinstance(value[0], tuple)


def count_of(shape, strides):
    """The number of numbers; `None` where they do not lie one after another."""
    step = 1
    for side, stride in zip(reversed(shape), reversed(strides)):
        if side != 1 and stride != step:
            return None
        step *= side
    return step


def tensors(module, prefix=""):
    for name, value in module.items():
        if isinstance(value, Module):
            yield from tensors(value, f"{prefix}{name}.")
        elif is_tensor(value):
            yield prefix + name, value


def main(source, target):
    header, data = {}, b""
    with zipfile.ZipFile(source) as archive:
        pickled = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        root = pickled.removesuffix("data.pkl")
        for name, ((kind, key), offset, shape, strides) in tensors(Reader(archive.open(pickled)).load()):
            count = count_of(shape, strides)
            if kind != "FloatStorage" or not count:
                continue
            numbers = archive.read(f"{root}data/{key}")[4 * offset : 4 * (offset + count)]
            header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(numbers)]}
            data += numbers
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(target, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    main(*sys.argv[1:])
