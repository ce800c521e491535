"""Records whole episodes of Gymnasium's Box2D worlds, against which `pavlov-envs` holds its own.

The worlds draw their random numbers from a copy of `pavlov-envs`' own generator, in place of numpy's, so that a seed
starts the same episode in both and no draw needs to be recorded.

Writes `envs/fixtures/<ID>.json.gz` for each environment:

* `spec`: the spaces, time limit and reward threshold of the id;
* `episodes`: for each the options it was made with, the seed, the policy's name, the actions, some of the observations
  with the number of the step that they follow (-1 for the reset) and with that step's reward, the sum of all rewards
  and how it ended;
* `heuristic`: the returns of Gymnasium's heuristic controller in the episodes of the seeds 0, 1, 2 and so on.

Every run writes the same bytes.

    pip install gymnasium[box2d]==1.3.0    # recorded with box2d 2.3.10, numpy 2.4.6
    python scripts/record-traces/box2d.py
"""

import gzip
import json
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium.envs.box2d.bipedal_walker import BipedalWalkerHeuristics
from gymnasium.envs.box2d.lunar_lander import heuristic as lander_heuristic

FIXTURES = Path(__file__).resolve().parents[2] / "envs" / "fixtures"
# Every so many observations are recorded, and the last of an episode all.
EVERY, LAST = 10, 25
# Episodes of the heuristic controller.
HEURISTIC = 100
WORD = 2**64 - 1


class Xoshiro:
    """The generator of `pavlov-envs`, xoshiro256++ seeded by SplitMix64, with the methods that the worlds call."""

    def __init__(self, seed):
        self.state = []
        for _ in range(4):
            seed = (seed + 0x9E3779B97F4A7C15) & WORD
            z = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & WORD
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
            self.state.append(z ^ (z >> 31))

    def word(self):
        def turned(x, by):
            return ((x << by) | (x >> (64 - by))) & WORD

        a, b, c, d = self.state
        word = (turned((a + d) & WORD, 23) + a) & WORD
        c, d = c ^ a, d ^ b
        self.state = [a ^ d, b ^ c, c ^ ((b << 17) & WORD), turned(d, 45)]
        return word

    def random(self):
        return (self.word() >> 11) * 2.0**-53

    def uniform(self, low, high, size=()):
        draws = [low + (high - low) * self.random() for _ in range(int(np.prod(size)))]
        return np.array(draws).reshape(size) if size else draws[0]

    def integers(self, low, high):
        return int(low) + int(self.random() * (int(high) - int(low)))


def start(env, seed):
    env.unwrapped._np_random = Xoshiro(seed)
    return env.reset()[0]


def number(x):
    """The shortest decimal that is this f32, or this f64."""
    return float(str(x))


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


def short(action):
    """The action with few digits, as it is recorded."""
    return int(action) if np.ndim(action) == 0 else np.round(np.asarray(action), 3).astype(np.float32)


class Idle:
    def __init__(self, env, _rng):
        self.action = 0 if isinstance(env.action_space, gymnasium.spaces.Discrete) else 0.0 * env.action_space.low

    def __call__(self, _observation):
        return self.action


class Uniform:
    def __init__(self, env, rng):
        self.space, self.rng = env.action_space, rng

    def __call__(self, _observation):
        if isinstance(self.space, gymnasium.spaces.Discrete):
            return self.rng.integers(self.space.n)
        # A little beyond the bounds, where actions are clipped.
        return self.rng.uniform(1.2 * self.space.low, 1.2 * self.space.high)


class LanderHeuristic:
    def __init__(self, env, _rng):
        self.env = env

    def __call__(self, observation):
        return lander_heuristic(self.env, observation)


class WalkerHeuristic:
    def __init__(self, _env, _rng):
        self.heuristic, self.action = BipedalWalkerHeuristics(), np.zeros(4, np.float32)

    def __call__(self, observation):
        # The original's first action is nothing.
        action, self.action = self.action, None
        return self.heuristic.step_heuristic(observation) if action is None else action


class Clumsy:
    """The heuristic, every fourth action replaced by a random one."""

    def __init__(self, env, rng):
        self.rng, self.steady, self.random = rng, HEURISTICS[env.spec.id](env, rng), Uniform(env, rng)

    def __call__(self, observation):
        action = self.steady(observation)
        return self.random(observation) if self.rng.integers(4) == 0 else action


HEURISTICS = {
    "LunarLander-v3": LanderHeuristic,
    "LunarLanderContinuous-v3": LanderHeuristic,
    "BipedalWalker-v3": WalkerHeuristic,
    "BipedalWalkerHardcore-v3": WalkerHeuristic,
}


def episode(env_id, seed, policy, **options):
    """One episode until its end."""
    env = gymnasium.make(env_id, disable_env_checker=True, **options)
    observation = start(env, seed)
    act = policy(env, np.random.default_rng(seed))
    actions, seen = [], [(observation, 0.0)]
    terminated = truncated = False
    while not (terminated or truncated):
        action = short(act(observation))
        observation, reward, terminated, truncated, _ = env.step(action)
        actions.append(action if isinstance(action, int) else numbers(action))
        seen.append((observation, float(reward)))
    kept = [i for i in range(len(seen)) if i % EVERY == 0 or i >= len(seen) - LAST]
    return {
        "options": options,
        "seed": seed,
        "policy": policy.__name__.lower(),
        "actions": actions,
        "steps": [[i - 1, round(seen[i][1], 8), numbers(seen[i][0])] for i in kept],
        "return": round(sum(reward for _, reward in seen), 8),
        "terminated": bool(terminated),
        "truncated": bool(truncated),
    }


def heuristic_return(env_id, seed):
    env = gymnasium.make(env_id, disable_env_checker=True)
    observation = start(env, seed)
    act = HEURISTICS[env_id](env, None)
    total, over = 0.0, False
    while not over:
        observation, reward, terminated, truncated, _ = env.step(act(observation))
        total, over = total + float(reward), terminated or truncated
    return round(total, 6)


def write(env_id, episodes):
    fixture = {
        "spec": spec(gymnasium.make(env_id)),
        "episodes": episodes,
        "heuristic": [heuristic_return(env_id, seed) for seed in range(HEURISTIC)],
    }
    text = json.dumps(fixture, separators=(",", ":"), allow_nan=False)
    (FIXTURES / f"{env_id}.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def lunar_lander(env_id):
    wind = {"enable_wind": True, "wind_power": 12.0, "turbulence_power": 1.0}
    return [
        *(episode(env_id, seed, Idle) for seed in range(2)),
        *(episode(env_id, seed, Uniform) for seed in range(2, 5)),
        *(episode(env_id, seed, LanderHeuristic) for seed in range(5, 8)),
        *(episode(env_id, seed, Clumsy) for seed in range(8, 10)),
        episode(env_id, 10, LanderHeuristic, **wind),
        episode(env_id, 11, Clumsy, gravity=-5.0, **wind),
    ]


def bipedal_walker(env_id):
    return [
        episode(env_id, 0, Idle),
        *(episode(env_id, seed, Uniform) for seed in range(2, 5)),
        *(episode(env_id, seed, WalkerHeuristic) for seed in range(5, 7)),
        *(episode(env_id, seed, Clumsy) for seed in range(7, 9)),
    ]


def main():
    FIXTURES.mkdir(exist_ok=True)
    for env_id in ("LunarLander-v3", "LunarLanderContinuous-v3"):
        write(env_id, lunar_lander(env_id))
    for env_id in ("BipedalWalker-v3", "BipedalWalkerHardcore-v3"):
        write(env_id, bipedal_walker(env_id))


if __name__ == "__main__":
    main()
