"""Records whole episodes of Gymnasium's classic control, against which `pavlov-envs` holds its own.

Writes `envs/fixtures/<ID>.json.gz` for each environment:

* `spec`: the spaces, time limit and reward threshold of the id (infinite bounds are null);
* `episodes`: for each the options it was made with, the hidden state it starts from, and for each step the action, the
  observation, the reward and the two flags. Late in a long episode most observations are left out (null): what goes
  wrong there still shows in the next one.

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
# The first steps of an episode, of which every observation is recorded.
DENSE = 50


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


def pump(_rng, env, state):
    """Pushes where the car already rolls, or the pendulum already swings: reaches the goal."""
    gears = getattr(env.action_space, "n", None)
    speed = state[1] if len(state) == 2 else state[3]
    if gears is None:
        return np.sign(np.float32([speed])) * env.action_space.high
    return int(gears) - 1 if speed > 0 else 0


def beyond(rng, env, _state):
    """Numbers of which every other lies outside of the box, where the environment clips."""
    return rng.uniform(2 * env.action_space.low, 2 * env.action_space.high).astype(np.float32)


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
        index = len(steps["observations"])
        recorded = index < DENSE or index % 10 == 9 or terminated or truncated
        steps["observations"].append(numbers(observation) if recorded else None)
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


def mountain_car():
    return [
        *(episode("MountainCar-v0", seed) for seed in range(4)),
        *(episode("MountainCar-v0", seed, policy=pump) for seed in range(4, 8)),
        # The wall, and a goal passed too slowly.
        episode("MountainCar-v0", 8, start=[-1.19, -0.05]),
        episode("MountainCar-v0", 9, start=[0.49, 0.02], goal_velocity=0.03),
        episode("MountainCar-v0", 10, policy=pump, goal_velocity=0.03),
    ]


def mountain_car_continuous():
    env_id = "MountainCarContinuous-v0"
    return [
        *(episode(env_id, seed) for seed in range(2)),
        *(episode(env_id, seed, policy=pump) for seed in range(2, 6)),
        episode(env_id, 6, policy=beyond),
        episode(env_id, 7, start=[-1.19, -0.05], policy=pump),
        episode(env_id, 8, start=[0.44, 0.02], policy=pump, goal_velocity=0.03),
    ]


def pendulum():
    return [
        *(episode("Pendulum-v1", seed) for seed in range(4)),
        episode("Pendulum-v1", 4, policy=pump),
        episode("Pendulum-v1", 5, policy=beyond),
        episode("Pendulum-v1", 6, g=9.81),
    ]


def acrobot():
    return [
        *(episode("Acrobot-v1", seed) for seed in range(2)),
        *(episode("Acrobot-v1", seed, policy=pump) for seed in range(2, 6)),
        *(episode("Acrobot-v1", seed, policy=pump, attributes={"book_or_nips": "nips"}) for seed in range(6, 10)),
        # Fast enough to be held to the greatest speeds.
        episode("Acrobot-v1", 10, start=[1.6, 2.8, 8.6, 17.7]),
        episode("Acrobot-v1", 11, start=[1.8, 3.0, -4.0, -26.0], attributes={"book_or_nips": "nips"}),
    ]


def main():
    FIXTURES.mkdir(exist_ok=True)
    write("CartPole-v1", cartpole())
    write("MountainCar-v0", mountain_car())
    write("MountainCarContinuous-v0", mountain_car_continuous())
    write("Pendulum-v1", pendulum())
    write("Acrobot-v1", acrobot())


if __name__ == "__main__":
    main()
