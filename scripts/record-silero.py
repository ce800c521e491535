"""Records the probabilities of speech that the package silero-vad gives, by its own TorchScript, as a fixture for `tests`.

    pip install silero-vad==6.2.3 torch==2.11.0 onnxruntime==1.32.0 safetensors numpy
    python scripts/record-silero.py
    python scripts/record-silero.py compare FILE.wav FILE.csv

The first form writes to `tests/fixtures`:

* `silero.wav`: five seconds that a formula makes, 16,000 numbers per second of 16 bits: noise, spoken-like vowels and
  consonants at two levels, silence, a rising tone, clicks;
* `silero.json`: the probabilities of speech in each chunk of 512 numbers and the segments of speech, in numbers and without
  padding: `torchscript` of the package's TorchScript as it is, `safetensors` of the same TorchScript with the weights of the
  package's safetensors, which are of another training; `onnx_differs_by`, the largest difference of the package's ONNX from
  the first.

The second form compares the probabilities that the example `silero_vad` has written to FILE.csv with those that the package
gives for FILE.wav, which has to have 16,000 numbers per second.
"""

import json
import sys
import wave
from pathlib import Path

import numpy as np
import torch
import silero_vad
from safetensors.torch import load_file
from silero_vad import get_speech_timestamps, load_silero_vad

FIXTURES = Path(__file__).resolve().parent.parent / "tests" / "fixtures"
RATE, CHUNK = 16_000, 512

# The first three formants of vowels, in hertz (Peterson and Barney 1952).
FORMANTS = {"a": (730, 1090, 2440), "i": (270, 2290, 3010), "u": (300, 870, 2240), "e": (530, 1840, 2480), "o": (570, 840, 2410)}


def resonate(sound, frequencies, bandwidth):
    """A two-pole resonator whose frequency moves."""
    out = np.zeros(len(sound))
    r = np.exp(-np.pi * bandwidth / RATE)
    b = 2 * r * np.cos(2 * np.pi * np.asarray(frequencies) / RATE)
    one = two = 0.0
    for at, x in enumerate(sound):
        one, two = (1 - b[at] + r * r) * x + b[at] * one - r * r * two, one
        out[at] = one
    return out


def voice(vowels, seconds, pitch, rng):
    """Vowels that glide into one another, each with a hiss before it."""
    count = int(seconds * RATE)
    time = np.arange(count) / seconds / RATE
    hertz = pitch * (1.15 - 0.3 * time + 0.03 * np.sin(2 * np.pi * 5 * time * seconds))
    phase = np.cumsum(hertz) / RATE
    pulses = np.diff(np.floor(phase), prepend=0.0) - hertz / RATE + 0.01 * rng.standard_normal(count)
    places = (np.arange(len(vowels)) + 0.5) / len(vowels)
    out = np.zeros(count)
    for formant, (bandwidth, level) in enumerate([(80, 1.0), (100, 0.6), (140, 0.3)]):
        targets = [FORMANTS[vowel][formant] for vowel in vowels]
        out += level * resonate(pulses, np.interp(time, places, targets), bandwidth)
    beat = np.abs(np.sin(np.pi * len(vowels) * time)) ** 0.6
    hiss = np.diff(rng.standard_normal(count), prepend=0.0) * np.clip(0.25 - beat, 0, None)
    out = out / np.abs(out).max() * beat + 0.15 * hiss
    return out / np.abs(out).max()


def sound():
    rng = np.random.default_rng(11)
    noise = lambda seconds, level: level * rng.standard_normal(int(seconds * RATE))  # noqa: E731
    time = np.arange(int(0.6 * RATE)) / RATE
    parts = [
        noise(0.5, 0.003),
        0.5 * voice("aiueoa", 1.1, 120, rng),
        np.zeros(int(0.45 * RATE)),
        0.3 * np.sin(2 * np.pi * (200 + 1_500 * time) * time),
        noise(0.3, 0.02),
        0.1 * voice("oeia", 0.8, 190, rng) + noise(0.8, 0.004),
        noise(0.4, 0.003),
        np.where(np.arange(int(0.3 * RATE)) % 1_600 == 0, 0.9, 0.0),
        0.6 * voice("eaou", 0.55, 95, rng),
    ]
    whole = np.concatenate(parts)[: 5 * RATE]
    return np.round(np.clip(whole, -1, 1) * 32_767).astype("<i2")


def read(path):
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2), "16 kHz, one channel, 16 bits"
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def tensor(numbers):
    return torch.from_numpy(numbers.astype(np.float32) / 32_768)


def probabilities(model, numbers):
    model.reset_states()
    x = torch.nn.functional.pad(tensor(numbers), (0, -len(numbers) % CHUNK))
    with torch.no_grad():
        return [model(chunk, RATE).item() for chunk in x.split(CHUNK)]


def largest(one, other):
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


NAMES = {
    "stft_conv.weight": "stft.forward_basis_buffer",
    "conv1": "encoder.0.reparam_conv",
    "conv2": "encoder.1.reparam_conv",
    "conv3": "encoder.2.reparam_conv",
    "conv4": "encoder.3.reparam_conv",
    "lstm_cell": "decoder.rnn",
    "final_conv": "decoder.decoder.2",
}


def with_safetensors():
    """The package's TorchScript with the weights of its safetensors."""
    script = load_silero_vad()
    own = script.state_dict()
    for name, value in load_file(Path(silero_vad.__file__).parent / "data" / "silero_vad_16k.safetensors").items():
        start = next(start for start in NAMES if name.startswith(start))
        own["_model." + NAMES[start] + name.removeprefix(start)].copy_(value)
    return script


def record():
    numbers = sound()
    with wave.open(str(FIXTURES / "silero.wav"), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(numbers.tobytes())
    parts = []
    for name, script in [("torchscript", load_silero_vad()), ("safetensors", with_safetensors())]:
        chances = probabilities(script, numbers)
        segments = get_speech_timestamps(tensor(numbers), script, speech_pad_ms=0)
        segments = [[segment["start"], segment["end"]] for segment in segments]
        # Nine digits bring a number of 32 bits back.
        rows = (", ".join(f"{chance:.9g}" for chance in chances[at : at + 10]) for at in range(0, len(chances), 10))
        text = ",\n   ".join(rows)
        parts.append(f' "{name}": {{\n  "probabilities": [\n   {text}\n  ],\n  "segments": {segments}\n }}')
        print(f"{name}: {len(chances)} chunks, segments {segments}")
    onnx = largest(probabilities(load_silero_vad(), numbers), probabilities(load_silero_vad(onnx=True), numbers))
    parts.append(f' "onnx_differs_by": {onnx:.3g}')
    (FIXTURES / "silero.json").write_text("{\n" + ",\n".join(parts) + "\n}\n")
    json.loads((FIXTURES / "silero.json").read_text())
    print(f"ONNX differs by {onnx:.3g}")


def compare(sound_path, ours_path):
    numbers = read(sound_path)
    ours = [float(line.split(",")[1]) for line in Path(ours_path).read_text().splitlines()[1:]]
    for name, model in [
        ("TorchScript", load_silero_vad()),
        ("ONNX", load_silero_vad(onnx=True)),
        ("TorchScript with the safetensors", with_safetensors()),
    ]:
        theirs = probabilities(model, numbers)
        print(f"{name}: {len(theirs)} chunks, the largest difference is {largest(ours, theirs):.3g}")


if __name__ == "__main__":
    compare(*sys.argv[2:]) if sys.argv[1:2] == ["compare"] else record()
