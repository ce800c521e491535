"""Records whole episodes of Gymnasium's classic control, against which `pavlov-envs` holds its own.

Writes `envs/fixtures/<ID>.json.gz` for each environment:

* `spec`: the spaces, time limit and reward threshold of the id (infinite bounds are null);
* `episodes`: for each the options it was made with, the hidden state it starts from, and for each step the action, the
  observation, the reward and the two flags.

Every run writes the same bytes.

    python scripts/record-traces/classic.py    # recorded with gymnasium 1.3.0, numpy 2.4.6
"""

import gzip
import json
import math
from pathlib import Path

import gymnasium
import numpy as np

FIXTURES = Path(__file__).resolve().parents[2] / "envs" / "fixtures"


def number(x):
    """The shortest decimal that is this f32, or this f64."""
    return float(str(x)) if math.isfinite(x) else None


def numbers(array):
    return [number(x) for x in np.asarray(array).ravel()]


def space(of):
    if isinstance(of, gymnasium.spaces.Discrete):
        return {"n": int(of.n)}
    return {"low": numbers(of.low), "high": numbers(of.high)}


def spec(env):
    return {
        "observations": space(env.observation_space),
        "actions": space(env.action_space),
        "max_episode_steps": env.spec.max_episode_steps,
        "reward_threshold": env.spec.reward_threshold,
    }


def uniform(rng, env, _state):
    """An action drawn uniformly from its space."""
    actions = env.action_space
    if isinstance(actions, gymnasium.spaces.Discrete):
        return int(rng.integers(actions.n))
    return rng.uniform(actions.low, actions.high).astype(np.float32)


def balance(_rng, _env, state):
    """Keeps CartPole's pole up to the time limit."""
    x, x_dot, theta, theta_dot = state
    return int(theta + 0.5 * theta_dot + 0.02 * x + 0.05 * x_dot > 0)


def episode(env_id, seed, policy=uniform, start=None, attributes=None, **options):
    """One episode until its end. `start` replaces the hidden state; `attributes` are what no option can set."""
    env = gymnasium.make(env_id, disable_env_checker=True, **options)
    env.reset(seed=seed)
    for name, value in (attributes or {}).items():
        setattr(env.unwrapped, name, value)
    if start is not None:
        env.unwrapped.state = np.array(start)
    rng = np.random.default_rng(seed)
    trace = {"options": options | (attributes or {}), "start": [float(x) for x in env.unwrapped.state]}
    steps = {key: [] for key in ("actions", "observations", "rewards", "terminated", "truncated")}
    while not steps["actions"] or not (terminated or truncated):
        action = policy(rng, env, env.unwrapped.state)
        observation, reward, terminated, truncated, _ = env.step(action)
        steps["actions"].append(action if isinstance(action, int) else numbers(action))
        steps["observations"].append(numbers(observation))
        steps["rewards"].append(round(float(reward), 9))
        steps["terminated"].append(terminated)
        steps["truncated"].append(truncated)
    return trace | steps


def write(env_id, episodes):
    fixture = {"spec": spec(gymnasium.make(env_id)), "episodes": episodes}
    text = json.dumps(fixture, separators=(",", ":"), allow_nan=False)
    (FIXTURES / f"{env_id}.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def cartpole():
    return [
        *(episode("CartPole-v1", seed) for seed in range(10)),
        *(episode("CartPole-v1", seed, sutton_barto_reward=True) for seed in range(10, 13)),
        # Within a step of the track's and the angle's limits, on either side.
        episode("CartPole-v1", 13, start=[2.37, 1.4, 0.0, 0.0]),
        episode("CartPole-v1", 14, start=[-2.37, -1.4, 0.0, 0.0], sutton_barto_reward=True),
        episode("CartPole-v1", 15, start=[0.0, 0.0, 0.2, 0.3]),
        episode("CartPole-v1", 16, start=[0.0, 0.0, -0.2, -0.3], sutton_barto_reward=True),
        # Up to the time limit.
        episode("CartPole-v1", 17, policy=balance),
    ]


def main():
    FIXTURES.mkdir(exist_ok=True)
    write("CartPole-v1", cartpole())


if __name__ == "__main__":
    main()
