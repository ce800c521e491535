"""Records what Gymnasium's toy-text environments do.

Writes `envs/fixtures/<ID>.json.gz`, against which the tests of `pavlov-envs` hold ours, exactly. A file has one case
for each set of options: the whole transition table (and Taxi's action masks), and episodes with every number that the
original drew, so that a test can feed the same numbers to our transitions.

    python scripts/record-traces/toy_text.py     # needs gymnasium and numpy; recorded with gymnasium 1.3.0, numpy 2.4.6

A state of the table is written as its distance from the state before it, which repeats itself and so compresses well.
"""

import gzip
import json
from pathlib import Path

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding

FIXTURES = Path(__file__).resolve().parent.parent.parent / "envs" / "fixtures"
# With this seed, a hand of blackjack is dealt that is worth more by Sutton and Barto's rules than without them.
SEED = 1960
# The share of steps in which the recorded player acts at random instead of well.
WHIM = 0.25
MAP = ["SFFFF", "FHFHF", "FFFSF", "HFGFF"]

# For each id: how many episodes of a case, how many steps of one at most, and the options of each case.
RECORDS = {
    "FrozenLake-v1": (12, 1000, [
        {},
        {"is_slippery": False},
        {"success_rate": 0.75, "max_episode_steps": 10},
        {"desc": MAP, "success_rate": 0.6, "reward_schedule": [10.0, -5.0, -0.125]},
    ]),
    "FrozenLake8x8-v1": (8, 1000, [{}]),
    "CliffWalking-v1": (6, 150, [{}]),
    "CliffWalkingSlippery-v1": (6, 150, [{}]),
    "Taxi-v4": (10, 1000, [
        {},
        {"is_rainy": True},
        {"fickle_passenger": True, "fickle_probability": 0.8},
        {"is_rainy": True, "rainy_probability": 0.6, "fickle_passenger": True},
    ]),
    "Blackjack-v1": (150, 1000, [{}, {"sab": False}, {"sab": False, "natural": True}]),
}  # fmt: skip


class Recorder:
    """Stands in for an environment's generator and keeps what it draws: uniform numbers, and indices of choices."""

    def __init__(self, seed):
        self.generator, _ = seeding.np_random(seed)
        self.draws = []

    def random(self):
        self.draws.append(self.generator.random())
        return self.draws[-1]

    def choice(self, options):
        chosen = self.generator.choice(options)
        # The suit and the face of a card are for the picture alone.
        if not isinstance(chosen, str):
            self.draws.append(list(options).index(chosen))
        return chosen

    def take(self):
        draws, self.draws = self.draws, []
        return draws


def best_actions(table, discount=0.99, sweeps=400):
    """For each state the action of most value, by value iteration."""
    values = np.zeros(len(table))
    for _ in range(sweeps):
        worth = np.array([
            [sum(p * (r + discount * values[s] * (not t)) for p, s, r, t in outcomes) for outcomes in actions.values()]
            for actions in table.values()
        ])  # fmt: skip
        values = worth.max(axis=1)
    return worth.argmax(axis=1)


def player(env):
    """What plays: well for the most part, at random now and then."""
    rng = np.random.default_rng(SEED)
    best = best_actions(env.unwrapped.P) if hasattr(env.unwrapped, "P") else None

    def act(observation):
        if rng.random() < WHIM:
            return int(rng.integers(env.action_space.n))
        # In blackjack, well is as the dealer plays.
        return int(observation[0] < 17) if best is None else int(best[observation])

    return act


def numbers(observation):
    return [int(number) for number in np.atleast_1d(observation)]


def picture(env):
    return env.unwrapped._render_text() if hasattr(env.unwrapped, "_render_text") else None


def episode(env, act, recorder, most_steps):
    """What is seen of one episode, which is cut off after `most_steps` where the original has no limit."""
    observation, _ = env.reset()
    start = {"draws": recorder.take(), "observation": numbers(observation), "text": picture(env)}
    steps = []
    while len(steps) < most_steps:
        action = act(observation)
        observation, reward, terminated, truncated, _ = env.step(action)
        steps.append({
            "action": action,
            "draws": recorder.take(),
            "observation": numbers(observation),
            "reward": float(reward),
            "terminated": bool(terminated),
            "truncated": bool(truncated),
            "text": picture(env),
        })  # fmt: skip
        if terminated or truncated:
            break
    return {"start": start, "steps": steps}


def case(name, options, episodes, most_steps):
    """What is seen of `name` with these options."""
    env = gym.make(name, disable_env_checker=True, **options)
    world = env.unwrapped
    act, recorder = player(env), Recorder(SEED)
    world.np_random = recorder
    recorded = {
        "options": options,
        "observation_space": str(env.observation_space),
        "max_episode_steps": env.spec.max_episode_steps,
        "reward_threshold": env.spec.reward_threshold,
        "episodes": [episode(env, act, recorder, most_steps) for _ in range(episodes)],
    }
    if hasattr(world, "P"):
        recorded["table"] = [
            [[[p, int(s) - state, float(r), bool(t)] for p, s, r, t in outcomes] for outcomes in actions.values()]
            for state, actions in world.P.items()
        ]
    if hasattr(world, "action_mask"):
        recorded["masks"] = [world.action_mask(state).tolist() for state in world.P]
    return recorded


def main():
    FIXTURES.mkdir(exist_ok=True)
    for name, (episodes, most_steps, cases) in RECORDS.items():
        record = {
            "gymnasium": gym.__version__,
            "cases": [case(name, options, episodes, most_steps) for options in cases],
        }
        text = json.dumps(record, separators=(",", ":"))
        packed = gzip.compress(text.encode(), compresslevel=9, mtime=0)
        (FIXTURES / f"{name}.json.gz").write_bytes(packed)
        lengths = [len(e["steps"]) for c in record["cases"] for e in c["episodes"]]
        print(f"{name}: {len(packed)} bytes, {len(lengths)} episodes, {sum(lengths)} steps")


if __name__ == "__main__":
    main()
