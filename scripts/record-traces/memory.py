"""Records whole episodes of POPGym's RepeatPrevious, against which `pavlov-envs` holds its own.

Writes `envs/fixtures/RepeatPrevious-v0.json.gz`: for each episode the options, the suits in the order of dealing, and
for each step the action, the observation, the reward and the two flags. Every run writes the same bytes.

    python scripts/record-traces/memory.py     # recorded with popgym 1.0.7, gymnasium 1.3.0, numpy 2.4.6
"""

import gzip
import json
from pathlib import Path

import numpy as np
from popgym.envs.repeat_previous import RepeatPrevious

FIXTURES = Path(__file__).resolve().parents[2] / "envs" / "fixtures"


def episode(seed, num_decks, k):
    env = RepeatPrevious(num_decks, k)
    first, _ = env.reset(seed=seed)
    # The deck is dealt from its end.
    suits = env.deck.suits_idx[env.deck.idx][::-1].tolist()
    assert first == suits[0]
    rng = np.random.default_rng(seed)
    steps = {key: [] for key in ("actions", "observations", "rewards", "terminated", "truncated")}
    while not steps["actions"] or not (terminated or truncated):
        dealt = len(steps["actions"]) + 1
        # Right in half of the cases, else any suit.
        right = dealt >= k and rng.random() < 0.5
        action = suits[dealt - k] if right else int(rng.integers(4))
        observation, reward, terminated, truncated, _ = env.step(action)
        for key, value in zip(steps, (action, int(observation), float(reward), terminated, truncated)):
            steps[key].append(value)
    return {"options": {"num_decks": num_decks, "k": k}, "suits": suits, **steps}


def main():
    sizes = [(1, 4), (1, 1), (1, 51), (2, 32), (3, 64)]
    fixture = {"episodes": [episode(seed, *size) for seed, size in enumerate(sizes)]}
    text = json.dumps(fixture, separators=(",", ":"), allow_nan=False)
    FIXTURES.mkdir(exist_ok=True)
    (FIXTURES / "RepeatPrevious-v0.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
