"""Records log-mel spectrograms of librosa, as numbers for the test of `LogMel` in `data`.

    pip install librosa==0.11.0
    python scripts/record-mel.py

Writes `data/tests/recorded/mel.toml`. librosa is asked for what torchaudio's `MelSpectrogram` does by default: the mel scale
of HTK, bands of height 1, windows centred, the sound mirrored at its ends, power 2.
"""

from pathlib import Path

import librosa
import numpy as np

OUTPUT = Path(__file__).resolve().parent.parent / "data" / "tests" / "recorded" / "mel.toml"

# Rate, number of numbers, settings.
CASES = [
    (8_000, 800, dict(window=0.025, hop=0.010, mels=40, low=20.0, high=4_000.0, floor=1e-6)),
    (16_000, 1_603, dict(window=0.025, hop=0.010, mels=20, low=20.0, high=8_000.0, floor=1e-6)),
    (8_000, 500, dict(window=0.032, hop=0.016, mels=13, low=100.0, high=3_000.0, floor=1e-3)),
]


def numbers(values):
    return "[" + ", ".join(f"{value:.6g}" for value in np.asarray(values).ravel()) + "]"


def case(rate, count, config, rng):
    time = np.arange(count) / rate
    sound = 0.4 * np.sin(2 * np.pi * (300 + 9_000 * time) * time) + 0.05 * rng.standard_normal(count)
    # What is written is what is computed with.
    sound = np.array([float(f"{value:.6g}") for value in sound], dtype=np.float32)
    window = round(config["window"] * rate)
    mel = librosa.feature.melspectrogram(
        y=sound, sr=rate, n_fft=1 << (window - 1).bit_length(), win_length=window, hop_length=round(config["hop"] * rate),
        window="hann", center=True, pad_mode="reflect", power=2.0, n_mels=config["mels"], fmin=config["low"],
        fmax=config["high"], htk=True, norm=None,
    )
    values = np.log(mel + config["floor"])
    lines = ["[[case]]", f"rate = {rate}", f"sound = {numbers(sound)}", f"frames = {values.shape[1]}"]
    lines += [f"values = {numbers(values)}", "[case.config]", *(f"{key} = {value}" for key, value in config.items())]
    return "\n".join(lines)


rng = np.random.default_rng(7)
OUTPUT.parent.mkdir(parents=True, exist_ok=True)
OUTPUT.write_text("# Made by scripts/record-mel.py.\n" + "\n\n".join(case(*entry, rng) for entry in CASES) + "\n")
