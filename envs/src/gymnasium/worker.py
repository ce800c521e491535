"""Holds Gymnasium environments for another process and steps them on its command.

Started with a socket as standard input and a nameless file of shared memory as standard output:

* Over the socket come commands of two bytes: what to do, and in which of its two places an observation is to be written
  (so that the last one stays whole if this process dies over the next). Each is answered by one byte, with a length and
  a body where there is more to say.
* Everything else stands in the shared memory: actions and seeds one way, observations, rewards and ends the other.

Whatever the environments print goes to standard error, which the other process keeps for its messages.
"""

import importlib
import json
import mmap
import os
import re
import select
import signal
import socket
import struct
import sys
import threading
import time
import traceback

# Bits of what came of a step.
TERMINATED, TRUNCATED, RESET, LIFE_LOST = 1, 2, 4, 8
# Seconds that the environments have to close once the other process is gone.
GRACE = 3.0
MAX_INFOS = 64
OUTCOME = struct.Struct("=ddd")


class Refused(Exception):
    """Why the environments cannot be made, for people."""

    def __init__(self, kind, message, **more):
        super().__init__(message)
        self.told = {"kind": kind, "message": message, **more}


# --- Making the environments -----------------------------------------------------------------------------------------


def missing(error):
    """The refusal for a package that cannot be imported, with what pip should be given."""
    advice = re.search(r"pip install (?:-U |--upgrade )?(\"[^\"]+\"|'[^']+'|[\w.\[\],=<>-]+)", str(error))
    package = advice[1].strip("\"'") if advice else (getattr(error, "name", None) or "").partition(".")[0]
    return Refused("missing", f"{type(error).__name__}: {error}", package=package)


def import_libraries():
    global np, gym
    try:
        np = importlib.import_module("numpy")
        gym = importlib.import_module("gymnasium")
    except ImportError as error:
        # What gymnasium itself imports comes with it.
        raise Refused("missing", f"{type(error).__name__}: {error}", package="gymnasium") from None


def import_atari():
    try:
        gym.register_envs(importlib.import_module("ale_py"))
    except ImportError as error:
        raise Refused("missing", f"{type(error).__name__}: {error}", package="gymnasium[atari]") from None


def find_spec(name):
    if name.startswith("ALE/"):
        import_atari()
    module, _, plain = name.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        return gym.spec(plain)
    except ModuleNotFoundError as error:
        raise missing(error) from None
    except gym.error.Error as error:
        ids = [f"{module}:{known}" if module else known for known in gym.registry]
        raise Refused("unknown_id", str(error), ids=ids) from None


def wrapper_class(name):
    module, _, attribute = name.rpartition(".")
    try:
        found = importlib.import_module(module or "gymnasium.wrappers")
        return getattr(found, attribute)
    except ModuleNotFoundError as error:
        raise missing(error) from None
    except (AttributeError, gym.error.Error) as error:
        known = [] if module else [known for known in dir(found) if known[0].isupper()]
        raise Refused("unknown_wrapper", str(error), name=name, ids=known) from None


def picture_mode(spec):
    """How an environment shows itself, if it does: pixels rather than text."""
    try:
        maker = spec.entry_point
        maker = gym.envs.registration.load_env_creator(maker) if isinstance(maker, str) else maker
        modes = maker.metadata["render_modes"]
    except (AttributeError, KeyError, TypeError):
        return None
    return next((mode for mode in ("rgb_array", "ansi") if mode in modes), None)


def make_single(request, spec):
    arguments = dict(request["kwargs"])
    if request["max_episode_steps"] is not None:
        arguments["max_episode_steps"] = request["max_episode_steps"]
    if request["autoreset"] == "none" and "render_mode" not in arguments and (mode := picture_mode(spec)):
        arguments["render_mode"] = mode
    # The other process checks actions, and people do not see what the checker warns of.
    env = gym.make(spec, disable_env_checker=True, **arguments)
    for wrapper in request["wrappers"]:
        env = wrapper_class(wrapper["name"])(env, **wrapper["arguments"])
    return env


def make_worlds(request):
    import_libraries()
    try:
        spec = find_spec(request["id"])
        return (AtariWorlds if request["atari_vector"] else Worlds)(request, spec)
    except (ModuleNotFoundError, gym.error.DependencyNotInstalled) as error:
        raise missing(error) from None


# --- Spaces and what is written of them ------------------------------------------------------------------------------


def children(space):
    """The named parts of a dict or a tuple, or None."""
    if isinstance(space, gym.spaces.Dict):
        return list(space.spaces.items())
    if isinstance(space, gym.spaces.Tuple):
        return list(enumerate(space.spaces))
    return None


def bounds(numbers):
    """Bounds as f32, one for all where they are the same; None stands for an infinite one."""
    numbers = np.asarray(numbers).astype(np.float32).ravel()
    if numbers.size and (numbers == numbers[0]).all():
        numbers = numbers[:1]
    return [float(number) if np.isfinite(number) else None for number in numbers]


def describe(space):
    parts = children(space)
    if parts is not None:
        return {"kind": "dict", "entries": [[str(key), describe(part)] for key, part in parts]}
    if isinstance(space, gym.spaces.Discrete):
        return {"kind": "discrete", "n": int(space.n)}
    if isinstance(space, gym.spaces.MultiDiscrete):
        return {"kind": "multi_discrete", "counts": [int(n) for n in space.nvec.ravel()]}
    if isinstance(space, gym.spaces.MultiBinary):
        return {"kind": "multi_binary", "n": int(np.prod(space.shape))}
    if isinstance(space, gym.spaces.Box):
        low, high = bounds(space.low), bounds(space.high)
        return {"kind": "box", "bytes": is_bytes(space), "shape": list(space.shape), "low": low, "high": high}
    return {"kind": "other", "text": str(space)}


def is_bytes(space):
    return isinstance(space, gym.spaces.Box) and space.dtype == np.uint8


def start_of(space):
    """What is counted from in a discrete space, or None for 0."""
    start = getattr(space, "start", None)
    return start if start is not None and np.any(start) else None


def leaves(space, path=()):
    parts = children(space)
    if parts is None:
        yield path, space
        return
    for key, part in parts:
        yield from leaves(part, (*path, key))


def writer(space, floats, octets):
    """A function that writes an observation into these two rows, leaf after leaf."""
    writers, ends = [], {True: 0, False: 0}
    for path, leaf in leaves(space):
        row = octets if is_bytes(leaf) else floats
        start = ends[is_bytes(leaf)]
        ends[is_bytes(leaf)] = end = start + int(np.prod(leaf.shape, dtype=int))
        writers.append((path, leaf_writer(leaf, row[start:end].reshape(leaf.shape))))
    if len(writers) == 1 and not writers[0][0]:
        return writers[0][1]

    def write(observation):
        for path, write_leaf in writers:
            value = observation
            for key in path:
                value = value[key]
            write_leaf(value)

    return write


def leaf_writer(leaf, target):
    start, shape = start_of(leaf), target.shape

    def write(value):
        value = np.asarray(value)
        if value.shape != shape:
            raise ValueError(f"an observation of the shape {value.shape} came where {shape} was announced")
        target[...] = value if start is None else value - start

    return write


def action_reader(space, actions):
    """A function that gives the actions of all environments as the environments take them."""
    start = start_of(space)
    if isinstance(space, gym.spaces.Discrete):
        numbers = actions[:, 0]
        return numbers.tolist if start is None else lambda: (numbers + start).tolist()
    shape = (len(actions), *space.shape)
    whole = np.issubdtype(space.dtype, np.integer) and actions.dtype.kind == "f"

    def read():
        numbers = np.rint(actions) if whole else actions
        # A copy, whatever the type: environments may keep their action.
        numbers = numbers.astype(space.dtype).reshape(shape)
        return numbers if start is None else numbers + start

    return read


# --- Shared memory ---------------------------------------------------------------------------------------------------


class Memory:
    """The parts of the shared memory, as arrays."""

    def __init__(self, descriptor, layout):
        self.whole = mmap.mmap(descriptor, layout["size"])
        self.count = layout["count"]
        self.seeds = self.part(layout["seeds"], np.int64, 1)[:, 0]
        self.actions = self.part(
            layout["actions"], np.float32 if layout["float_actions"] else np.int64, layout["action_width"]
        )
        self.outcomes = self.part(layout["outcomes"], np.float64, 3)
        self.outcomes_at = layout["outcomes"]
        self.infos = np.frombuffer(self.whole, np.float64, MAX_INFOS, layout["infos"])
        # Places 0 and 1 in turn, and 2 for the last observation of an episode.
        self.floats = [self.part(offset, np.float32, layout["floats_width"]) for offset in layout["floats"]]
        self.octets = [self.part(offset, np.uint8, layout["bytes_width"]) for offset in layout["bytes"]]

    def part(self, offset, dtype, width):
        if not width:
            return np.zeros((self.count, 0), dtype)
        return np.frombuffer(self.whole, dtype, self.count * width, offset).reshape(self.count, width)

    def tell(self, row, reward, flags):
        """What came of a step: to learn from, in the environment's own units, and how it ended."""
        # Many times faster than an assignment to an array.
        OUTCOME.pack_into(self.whole, self.outcomes_at + row * OUTCOME.size, reward, reward, flags)

    def writers(self, space):
        places = zip(self.floats, self.octets)
        return [[writer(space, f, b) for f, b in zip(floats, octets)] for floats, octets in places]


class Infos:
    """The numbers of an environment's info; names that are new are told to the other process."""

    def __init__(self, values):
        self.values, self.places, self.news = values, {}, False

    def note(self, info):
        self.values.fill(np.nan)
        for name, value in info.items():
            if np.ndim(value) == 0 and isinstance(value, (bool, int, float, np.generic, np.ndarray)):
                place = self.places.get(name)
                if place is None:
                    if len(self.places) == MAX_INFOS:
                        continue
                    place = self.places[name] = len(self.places)
                    self.news = True
                try:
                    self.values[place] = value
                except (TypeError, ValueError):
                    pass  # Words and dates: no numbers.


# --- The environments ------------------------------------------------------------------------------------------------


class Worlds:
    """Environments one after the other."""

    def __init__(self, request, spec):
        self.autoreset = request["autoreset"]
        self.envs = [make_single(request, spec) for _ in range(request["count"])]
        self.observations, self.actions = self.envs[0].observation_space, self.envs[0].action_space
        self.due = [False] * len(self.envs)
        self.row = 0

    def share(self, memory):
        self.memory = memory
        self.writers = memory.writers(self.observations)
        self.read_actions = action_reader(self.actions, memory.actions)
        self.infos = Infos(memory.infos) if self.autoreset == "none" else None

    def reset(self, place):
        for self.row, seed in enumerate(self.memory.seeds.tolist()):
            self.start(self.row, seed if seed >= 0 else None, self.writers[place][self.row])

    def start(self, row, seed, write):
        observation, info = self.envs[row].reset(seed=seed)
        write(observation)
        self.due[row] = False
        if self.infos:
            self.infos.note(info)

    def step(self, place):
        tell, writers = self.memory.tell, self.writers[place]
        for row, action in enumerate(self.read_actions()):
            self.row = row
            if self.due[row]:
                self.start(row, None, writers[row])
                tell(row, 0.0, RESET)
                continue
            observation, reward, terminated, truncated, info = self.envs[row].step(action)
            if not (terminated or truncated):
                writers[row](observation)
                tell(row, reward, 0)
            else:
                self.finish(row, observation, place)
                tell(row, reward, (TERMINATED if terminated else 0) | (TRUNCATED if truncated else 0))
            if self.infos:
                self.infos.note(info)

    def finish(self, row, observation, place):
        """Writes the last observation of an episode, and under same-step autoreset the first of the next."""
        if self.autoreset == "same_step":
            self.writers[2][row](observation)
            self.start(row, None, self.writers[place][row])
        else:
            self.writers[place][row](observation)
            self.due[row] = self.autoreset == "next_step"

    def picture(self):
        return self.envs[0].render()

    def close(self):
        for env in self.envs:
            env.close()


class AtariWorlds:
    """ALE's own vector environment, which preprocesses the pictures in threads of its own."""

    row = None

    def __init__(self, request, spec):
        mode = "SameStep" if request["autoreset"] == "same_step" else "NextStep"
        arguments = {"num_threads": request["threads"], **request["kwargs"], "autoreset_mode": mode}
        if request["max_episode_steps"] is not None:
            frames = arguments.get("frameskip", spec.kwargs.get("frameskip", 4))
            arguments["max_num_frames_per_episode"] = request["max_episode_steps"] * frames
        # Clipped here, so that the game's own reward is told as well.
        self.clip = arguments.get("reward_clipping", True)
        arguments["reward_clipping"] = False
        self.life_loss_info = arguments.get("life_loss_info", False)
        self.same_step = mode == "SameStep"
        self.env = gym.make_vec(spec, request["count"], vectorization_mode="vector_entry_point", **arguments)
        self.observations, self.actions = self.env.single_observation_space, self.env.single_action_space
        self.told = request["autoreset"] == "none"

    def share(self, memory):
        self.memory = memory
        self.observed = [memory.octets[place].reshape(-1, *self.observations.shape) for place in range(3)]
        discrete = isinstance(self.actions, gym.spaces.Discrete)
        self.sent = memory.actions[:, 0] if discrete else memory.actions
        self.infos = Infos(memory.infos) if self.told else None

    def reset(self, place):
        self.observed[place][...], info = self.env.reset(seed=self.memory.seeds.copy())
        self.lives, self.due = info["lives"], np.zeros(self.memory.count, bool)
        self.note(info)

    def step(self, place):
        reset = self.due
        observed, rewards, terminated, truncated, info = self.env.step(self.sent)
        self.observed[place][...] = observed
        lives = info["lives"]
        # With `life_loss_info` an end may be that of a life: the game goes on, without a reset.
        lost = terminated & (lives > 0) & (lives < self.lives) if self.life_loss_info else False
        over = (terminated | truncated) & ~np.asarray(lost)
        outcomes = self.memory.outcomes
        outcomes[:, 0] = np.sign(rewards) if self.clip else rewards
        outcomes[:, 1] = rewards
        outcomes[:, 2] = TERMINATED * terminated | TRUNCATED * truncated | LIFE_LOST * lost
        if not self.same_step:
            outcomes[reset] = 0.0, 0.0, RESET
            self.due = over
        elif (terminated | truncated).any():
            self.observed[2][...] = observed
            if over.any():
                self.observed[2][over] = info["final_obs"][over]
        self.lives = lives
        self.note(info)

    def note(self, info):
        if self.infos:
            self.infos.note({name: value[0] for name, value in info.items() if value.ndim == 1})

    def picture(self):
        return None

    def close(self):
        pass


# --- The conversation ------------------------------------------------------------------------------------------------


def take_descriptors():
    """The socket and the shared memory, away from where an environment could read or print into them."""
    conversation, memory = socket.socket(fileno=os.dup(0)), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True)
    return conversation, memory


def end_with(conversation):
    """Ends this process some time after the other is gone, even from within an environment that never returns."""

    def watch():
        poll = select.poll()
        poll.register(conversation, select.POLLHUP)
        while not any(event & (select.POLLHUP | select.POLLNVAL) for _, event in poll.poll()):
            pass
        time.sleep(GRACE)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def receive(conversation, size):
    """As many bytes, or None when the other process has hung up."""
    data = conversation.recv(size, socket.MSG_WAITALL)
    return data if len(data) == size else None


def receive_json(conversation):
    size = receive(conversation, 4)
    data = size and receive(conversation, *struct.unpack("=I", size))
    return json.loads(data) if data else None


def send(conversation, status, *parts):
    body = b"".join(parts)
    conversation.sendall(status + struct.pack("=I", len(body)) + body)


def send_json(conversation, status, value):
    send(conversation, status, json.dumps(value).encode())


def send_failure(conversation, error, row):
    traceback.print_exc()
    send_json(conversation, b"!", {"kind": "raised", "message": f"{type(error).__name__}: {error}", "row": row})


def send_picture(conversation, picture):
    if isinstance(picture, str):
        send(conversation, b"t", picture.encode())
    elif isinstance(picture, np.ndarray) and picture.ndim == 3 and picture.shape[2] == 3:
        height, width, _ = picture.shape
        send(conversation, b"f", struct.pack("=II", width, height), picture.astype(np.uint8).tobytes())
    else:
        send(conversation, b"n")


def prepare(conversation, descriptor):
    """Makes the environments and shares them; None when that cannot be."""
    request = receive_json(conversation)
    if request is None:
        return None
    try:
        worlds = make_worlds(request)
        description = {"observations": describe(worlds.observations), "actions": describe(worlds.actions)}
    except Refused as refused:
        send_json(conversation, b"!", refused.told)
        return None
    except Exception as error:
        send_failure(conversation, error, None)
        return None
    send_json(conversation, b"=", description)
    layout = receive_json(conversation)
    if layout is None:
        return None
    worlds.share(Memory(descriptor, layout))
    conversation.sendall(b".")
    return worlds


def serve(conversation, worlds):
    calls = {ord("r"): worlds.reset, ord("s"): worlds.step}
    while command := receive(conversation, 2):
        call, place = command
        try:
            if call == ord("p"):
                send_picture(conversation, worlds.picture())
                continue
            calls[call](place)
        except Exception as error:
            send_failure(conversation, error, worlds.row)
            continue
        if worlds.infos and worlds.infos.news:
            worlds.infos.news = False
            send_json(conversation, b"+", list(worlds.infos.places))
        else:
            conversation.sendall(b".")


def main():
    # The terminal's interrupt is the other process's affair: it closes the environments.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    conversation, descriptor = take_descriptors()
    end_with(conversation)
    if worlds := prepare(conversation, descriptor):
        try:
            serve(conversation, worlds)
        except OSError:
            pass  # The other process died.
        worlds.close()


main()
