"""Records episodes of Gymnasium's classic control as fixtures for the parity tests of `envs`.

    pip install gymnasium==1.4.0 numpy==2.4.6
    python scripts/record-traces/classic.py

Writes `envs/fixtures/<id>.json.gz`: for each episode the state after the reset, and for each step the action, the
observation, the reward and whether the episode ended. The same versions write the same bytes.
"""

import gzip
import json
from pathlib import Path

import gymnasium
import numpy

FIXTURES = Path(__file__).resolve().parent.parent.parent / "envs" / "fixtures"
SEED = 20_24


def numbers(array):
    return [float(number) for number in numpy.asarray(array).ravel()]


def episode(env, seed, state=None):
    env.reset(seed=seed)
    env.action_space.seed(seed)
    if state is not None:
        env.unwrapped.state = numpy.array(state, dtype=numpy.float64)
    record = {"state": numbers(env.unwrapped.state), "steps": []}
    while True:
        action = env.action_space.sample()
        observation, reward, terminated, truncated, _ = env.step(action)
        record["steps"].append(
            {
                "action": numbers(action) if hasattr(action, "shape") and action.shape else int(action),
                "observation": numbers(observation),
                "reward": float(reward),
                "terminated": bool(terminated),
                "truncated": bool(truncated),
            }
        )
        if terminated or truncated:
            return record


def record(name, variants):
    """`variants`: options of the environment, and the states from which further episodes start."""
    recorded = []
    for options, states, episodes in variants:
        env = gymnasium.make(name, **options)
        runs = [episode(env, SEED + i) for i in range(episodes)]
        runs += [episode(env, SEED - 1 - i, state) for i, state in enumerate(states)]
        recorded.append({"options": options, "episodes": runs})
    document = {"source": f"gymnasium {gymnasium.__version__}", "id": name, "variants": recorded}
    text = json.dumps(document, separators=(",", ":")).encode()
    path = FIXTURES / f"{name}.json.gz"
    path.write_bytes(gzip.compress(text, mtime=0))
    print(f"{path.name}: {len(text)} bytes of JSON, {path.stat().st_size} compressed")


def main():
    FIXTURES.mkdir(exist_ok=True)
    # Near the ends of the track and of the angle's range, and spinning fast.
    edges = [[2.39, 0.5, 0.0, 0.0], [-2.39, -0.5, 0.0, 0.0], [0.0, 0.0, 0.2, 0.1], [0.0, 3.0, -0.15, -4.0]]
    record("CartPole-v1", [({}, edges, 10), ({"sutton_barto_reward": True}, edges, 2)])
    record("CartPole-v0", [({}, [], 4)])


if __name__ == "__main__":
    main()
