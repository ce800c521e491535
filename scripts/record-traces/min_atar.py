"""Records whole episodes of the MinAtar package's games, against which `pavlov-envs` holds its own.

Writes `envs/fixtures/MinAtar-<Game>.json.gz` for each game:

* `spaces`: the shape of the observations and the number of actions of each id;
* `plays`: for each the id, the options it was made with, the random draws and its episodes, one after the other in one
  environment. A draw is a byte `b`: for a number from 0 to 1 it stands for `(b + 0.5) / 256`, for one of n choices it
  means choice `b * n // 256`;
* an episode has its actions (digits), the step and size of each reward, whether it terminated (it is left unfinished
  otherwise), and digests: the CRC-32 of all its observations so far, the first one included, after every 8 steps and
  after the last one. Where it does not start as the game does, it has the hidden state from which it does.

Some plays are random, some look ahead so that they last: long enough for every ramp of the difficulty, for wave after
wave and for divers brought up six at a time. Every run writes the same bytes.

    python scripts/record-traces/min_atar.py    # recorded with MinAtar 1.0.15, gymnasium 1.4.0, numpy 2.4.6

The file is not called minatar.py, because Python would then take it for the package.
"""

import copy
import gzip
import json
import random
import zlib
from pathlib import Path

import gymnasium
import minatar.gym
import numpy as np

FIXTURES = Path(__file__).resolve().parents[2] / "envs" / "fixtures"
STAY, LEFT, UP, RIGHT, DOWN, FIRE = range(6)


class Draws:
    """Stands in for numpy's RandomState: draws bytes, and remembers them."""

    def __init__(self, seed):
        self.source = random.Random(seed)
        self.drawn = bytearray()

    def byte(self):
        self.drawn.append(self.source.getrandbits(8))
        return self.drawn[-1]

    def rand(self, count=None):
        if count is not None:
            return np.array([self.rand() for _ in range(count)])
        return (self.byte() + 0.5) / 256

    def randint(self, low, high=None, size=None):
        if size is not None:
            return np.array([self.randint(low, high) for _ in range(size)])
        if high is None:
            low, high = 0, low
        return low + self.byte() * (high - low) // 256


class Player:
    """Chooses moves: at random; by a plan; or, with care, by a plan where it sees a way to survive."""

    def __init__(self, plan, care, seed):
        self.plan = plan
        self.care = care
        self.source = random.Random(seed)

    def any_of(self, choices):
        return choices[self.source.getrandbits(16) % len(choices)]

    def wishes(self, game, moves):
        """Moves, the best first: as the plan says, now and then with the plan left aside."""
        wishes = sorted(moves, key=lambda _: self.source.getrandbits(16))
        if self.source.getrandbits(4) == 0:
            return wishes
        return [move for move in self.plan(game) if move in moves] + wishes

    def survives(self, game, move, depth=16, tries=8):
        for _ in range(tries):
            trial = imagined(game, self.source.getrandbits(32))
            trial.act(move)
            for _ in range(depth):
                if trial.terminal:
                    break
                first, second = self.wishes(trial, range(6))[:2]
                trial.act(self.any_of([first, first, first, second]))
            if not trial.terminal:
                return True
        return False

    def choose(self, game, moves):
        if self.plan is None:
            return self.any_of(moves)
        wishes = self.wishes(game, moves)
        if not self.care(game):
            return wishes[0]
        return next((move for move in wishes if self.survives(game, move)), wishes[0])


def imagined(game, seed):
    """A copy of the game that goes on by other chances."""
    return copy.deepcopy(game, {id(game.random): Draws(seed)})


def towards(here, there):
    """The moves that lead from one place to another."""
    (x, y), (u, v) = here, there
    return [LEFT] * (u < x) + [RIGHT] * (u > x) + [UP] * (v < y) + [DOWN] * (v > y)


def nearest(here, places):
    return min(places, key=lambda place: abs(place[0] - here[0]) + abs(place[1] - here[1]))


def track_ball(game):
    steps = 8 - game.ball_y if game.ball_dir in (2, 3) else 0
    x = game.ball_x + (steps if game.ball_dir in (1, 2) else -steps)
    x = -x - 1 if x < 0 else 19 - x if x > 9 else x
    return towards((game.pos, 0), (x, 0)) + [STAY]


def collect_gold(game):
    here = (game.player_x, game.player_y)
    gold = [runner[:2] for runner in game.entities if runner is not None and runner[3]]
    return towards(here, nearest(here, gold)) if gold else [STAY]


def stand_still(_game):
    return [STAY]


def board(game):
    """Lets the aliens come down, and walks into them."""
    return towards((game.pos, 0), (int(game.alien_map[9].argmax()), 0)) if landed(game) else [STAY]


def wait(game):
    """Lets the aliens come down on the other side, and waits for them."""
    return [STAY] if landed(game) else towards((game.pos, 0), (9 if game.alien_dir < 0 else 0, 0))


def cross(_game):
    return [UP]


def dive(game):
    here = (game.sub_x, game.sub_y)
    if game.diver_count < 0 and game.ramp_index < 24:
        return [UP] if game.sub_y > 0 else [DOWN]
    if game.diver_count == 6 or (game.oxygen < 50 and game.diver_count != 0):
        return [UP]
    ahead = [e for e in game.e_subs + game.e_fish if e[1] == game.sub_y and (e[0] > game.sub_x) == game.sub_or]
    shoot = [FIRE] if ahead and game.shot_timer == 0 else []
    divers = [diver[:2] for diver in game.divers]
    goal = nearest(here, divers) if divers else (5, 5)
    return shoot + towards(here, goal) + [STAY]


def hunt(game):
    if game.shot_timer == 0:
        trial = imagined(game, 0)
        if sum(trial.act(move)[0] for move in [FIRE] + [STAY] * 9) > 0:
            return [FIRE]
    columns = [x for x in range(10) if game.alien_map[:, x].any()]
    return towards((game.pos, 0), (min(columns, key=lambda x: abs(x - game.pos)), 0))


def landed(game):
    return game.alien_map[9].any()


def always(_game):
    return True


def never(_game):
    return False


def until_landed(game):
    return not landed(game)


SURE = {"sticky_action_prob": 0.0}
STICKY = {"sticky_action_prob": 0.25}
FLAT = {"difficulty_ramping": False}

PLAYS = {
    # Game: version, options, plan, care, episodes and steps at most. The one with a number more is of short episodes of
    # so many steps that start amid a crowd, for what depends on the order of enemies and bullets.
    "Asterix": [
        (0, {}, None, never, 8, 1500),
        (1, {}, collect_gold, always, 4, 1500),
        (1, SURE, collect_gold, always, 3, 2000),
        (1, SURE, stand_still, always, 3, 2200),
        (0, FLAT | STICKY, collect_gold, always, 3, 900),
    ],
    "Breakout": [
        (0, {}, None, never, 20, 500),
        (1, SURE, track_ball, always, 30, 3000),
        (1, SURE, track_ball, never, 30, 2000),
        (0, FLAT | STICKY, track_ball, always, 20, 1500),
    ],
    "Freeway": [
        (0, {}, None, never, 1, 2501),
        (1, {}, cross, always, 1, 2501),
        (1, FLAT | STICKY, cross, never, 1, 1500),
    ],
    "Seaquest": [
        (0, {}, None, never, 20, 1000),
        (1, {}, dive, always, 4, 1500),
        (0, SURE, dive, always, 4, 2500),
        (0, {}, dive, never, 20, 2500),
        (1, FLAT | STICKY, dive, always, 2, 1000),
        (0, {}, None, never, 120, 1440, 12),
    ],
    "SpaceInvaders": [
        (0, {}, None, never, 15, 1000),
        (1, {}, hunt, always, 4, 1500),
        (1, SURE, hunt, always, 2, 2500),
        (1, SURE, stand_still, always, 3, 1300),
        (1, SURE, wait, until_landed, 3, 1300),
        (1, SURE, board, until_landed, 3, 1300),
        (0, FLAT | STICKY, hunt, always, 2, 1000),
    ],
}


def crowd(game, source):
    """Fills three rows of Seaquest, the player amid them; gives that state in the words of `pavlov-envs`."""

    def one_of(n):
        return source.getrandbits(16) % n

    game.sub_x, game.sub_y, game.sub_or = 1 + one_of(8), 3 + one_of(3), one_of(2) == 1
    game.surface, game.diver_count, game.oxygen = False, one_of(7), 1 + one_of(200)
    game.move_speed, game.e_spawn_speed = 2 + one_of(4), 1 + one_of(20)
    game.e_spawn_timer = one_of(game.e_spawn_speed)
    ways = [one_of(2) == 1 for _ in range(10)]
    rows = [3 + one_of(3) for _ in range(16)]
    way = one_of(2) == 1
    game.f_bullets = [[one_of(10), rows[0], way], [one_of(10), rows[0], not way]][: one_of(3)]
    game.e_fish = [[one_of(10), y, ways[y], one_of(game.move_speed + 1)] for y in rows[: one_of(9)]]
    game.e_subs = [[one_of(10), y, ways[y], one_of(game.move_speed + 1), one_of(11)] for y in rows[one_of(9) + 8 :]]

    def swimmer(body):
        x, y, rightward, rest = body
        return {"at": [x, y], "rightward": rightward, "rest": rest}

    return {
        "sub": [game.sub_x, game.sub_y],
        "rightward": game.sub_or,
        "reload": game.shot_timer,
        "bullets": [{"at": [x, y], "rightward": rightward} for x, y, rightward in game.f_bullets],
        "enemy_bullets": [0, 0],
        "fish": [swimmer(fish) for fish in game.e_fish],
        "enemy_subs": [{"body": swimmer(sub[:4]), "reload": sub[4]} for sub in game.e_subs],
        "divers": [],
        "on_board": game.diver_count,
        "oxygen": game.oxygen,
        "surfaced": game.surface,
        "spawn_interval": game.e_spawn_speed,
        "spawn_timer": game.e_spawn_timer,
        "diver_timer": game.d_spawn_timer,
        "rest": game.move_speed,
        "ramp_moves": game.ramp_index % 2 == 1,
    }


def record_episode(env, player, limit, crowded):
    observation, _ = env.reset()
    game, digests, actions, rewards = env.game.env, [], "", []
    start = crowd(game, player.source) if crowded else None
    digest = zlib.crc32(env.game.state().tobytes())
    terminated = False
    while not terminated and len(actions) < limit:
        action = env.action_set.index(player.choose(game, env.action_set))
        observation, reward, terminated, truncated, _ = env.step(action)
        assert not truncated
        if reward != 0:
            rewards.append([len(actions), int(reward)])
        actions += str(action)
        digest = zlib.crc32(observation.tobytes(), digest)
        if len(actions) % 8 == 0 or terminated or len(actions) == limit:
            digests.append(digest)
    episode = {"actions": actions, "rewards": rewards, "terminated": bool(terminated), "digests": digests}
    return episode | ({"start": start} if crowded else {})


def record_play(game, seed, version, options, plan, care, episodes, limit, crowd_steps=None):
    name = f"MinAtar/{game}-v{version}"
    env = gymnasium.make(name, disable_env_checker=True, **options).unwrapped
    draws = Draws(seed)
    env.game.random = env.game.env.random = draws
    player = Player(plan, care, seed)
    recorded = []
    while len(recorded) < episodes and limit > 0:
        recorded.append(record_episode(env, player, crowd_steps or limit, crowd_steps is not None))
        limit -= len(recorded[-1]["actions"])
    return {"id": name, "options": options, "draws": draws.drawn.hex(), "episodes": recorded}


def spaces(game):
    ids = [f"MinAtar/{game}-v{version}" for version in (0, 1)]
    envs = [gymnasium.make(name, disable_env_checker=True) for name in ids]
    return {
        "shape": [int(side) for side in envs[0].observation_space.shape],
        "actions": {name: int(env.action_space.n) for name, env in zip(ids, envs)},
    }


def main():
    if "MinAtar/Breakout-v0" not in gymnasium.registry:
        minatar.gym.register_envs()
    FIXTURES.mkdir(exist_ok=True)
    for game, plays in PLAYS.items():
        recorded = [record_play(game, seed, *play) for seed, play in enumerate(plays, 1)]
        fixture = {"spaces": spaces(game), "plays": recorded}
        text = json.dumps(fixture, separators=(",", ":"))
        path = FIXTURES / f"MinAtar-{game}.json.gz"
        path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
        steps = sum(len(e["actions"]) for play in fixture["plays"] for e in play["episodes"])
        count = sum(len(play["episodes"]) for play in fixture["plays"])
        print(f"{path.name}: {count} episodes, {steps} steps, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
