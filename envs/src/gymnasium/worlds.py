"""The environments, and the memory that they share with the other process."""

import mmap
import struct

# Bits of the outcome of a step.
TERMINATED, TRUNCATED, RESET, LIFE_LOST = 1, 2, 4, 8
OUTCOME = struct.Struct("=ddd")
# The other process has the same constants: the most names of infos, and the seed of an environment that a call
# is not for.
MAX_INFOS = 64
LEFT_OUT = -2
NAN = float("nan")


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
        infos = np.frombuffer(self.whole, np.float64, MAX_INFOS * self.count, layout["infos"])
        self.infos = infos.reshape(MAX_INFOS, self.count)
        # Places 0 and 1 in turn, and 2 for the last observation of an episode.
        self.floats = [self.part(offset, np.float32, layout["floats_width"]) for offset in layout["floats"]]
        self.octets = [self.part(offset, np.uint8, layout["bytes_width"]) for offset in layout["bytes"]]

    def part(self, offset, dtype, width):
        if not width:
            return np.zeros((self.count, 0), dtype)
        return np.frombuffer(self.whole, dtype, self.count * width, offset).reshape(self.count, width)

    def tell(self, row, reward, flags):
        """The outcome of a step: the reward to learn from, the reward in the environment's own units, the end."""
        # Many times faster than an assignment to an array.
        OUTCOME.pack_into(self.whole, self.outcomes_at + row * OUTCOME.size, reward, reward, flags)

    def writers(self, space):
        places = zip(self.floats, self.octets)
        return [[writer(space, f, b) for f, b in zip(floats, octets)] for floats, octets in places]


class Infos:
    """The numbers of the environments' infos; names that are new are told to the other process."""

    def __init__(self, values):
        self.values, self.places, self.news = values, {}, False
        # The same memory; many times faster than an assignment to an array.
        self.cells, self.count = memoryview(values.reshape(-1)), values.shape[1]
        # True for the environments that have numbers in the memory.
        self.said = [False] * self.count

    def note(self, row, info):
        if self.said[row]:
            for place in range(len(self.places)):
                self.cells[place * self.count + row] = NAN
            self.said[row] = False
        for name, value in info.items():
            if is_number(value) and isinstance(name, str):
                self.write(name, row, value)

    def note_all(self, info, left_out):
        """Notes infos that have a number for each environment, but for those that are left out."""
        for name, values in info.items():
            if isinstance(values, np.ndarray) and values.ndim == 1 and isinstance(name, str):
                for row, value in enumerate(values.tolist()):
                    self.write(name, row, np.nan if left_out[row] else value)

    def write(self, name, row, value):
        place = self.places.get(name)
        if place is None:
            if len(self.places) == MAX_INFOS:
                return
            place = self.places[name] = len(self.places)
            self.values[place] = np.nan
            self.news = True
        try:
            self.cells[place * self.count + row] = float(value)
            self.said[row] = True
        except (TypeError, ValueError, OverflowError):
            pass  # Words and dates: no numbers.


def is_number(value):
    """True for what may be one number."""
    return isinstance(value, (bool, int, float)) or (isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0)


class Worlds:
    """Environments one after the other."""

    def __init__(self, request, spec):
        self.autoreset = request["autoreset"]
        self.on_request = self.autoreset == "none"
        self.envs = [make_single(request, spec) for _ in range(request["count"])]
        self.observations = with_plain_mask(self.envs[0].observation_space)
        self.actions = self.envs[0].action_space
        self.limit = getattr(self.envs[0].spec, "max_episode_steps", None)
        self.due = [False] * len(self.envs)
        self.row = 0

    def share(self, memory):
        self.memory = memory
        self.writers = memory.writers(self.observations)
        self.read_actions = action_reader(self.actions, memory.actions)
        self.infos = Infos(memory.infos)

    def reset(self, place):
        for self.row, seed in enumerate(self.memory.seeds.tolist()):
            if seed == LEFT_OUT:
                continue
            self.start(self.row, seed if seed >= 0 else None, self.writers[place][self.row])

    def start(self, row, seed, write):
        observation, info = self.envs[row].reset(seed=seed)
        write(observation)
        self.due[row] = False
        if self.on_request:
            self.infos.note(row, info)

    def step(self, place):
        tell, writers, infos = self.memory.tell, self.writers[place], self.infos
        seeds = self.memory.seeds.tolist() if self.on_request else None
        for row, action in enumerate(self.read_actions()):
            if seeds and seeds[row] == LEFT_OUT:
                continue
            self.row = row
            if self.due[row]:
                self.start(row, None, writers[row])
                tell(row, 0.0, RESET)
                continue
            observation, reward, terminated, truncated, info = self.envs[row].step(action)
            if info or infos.said[row]:
                infos.note(row, info)
            if not (terminated or truncated):
                writers[row](observation)
                tell(row, reward, 0)
            else:
                self.finish(row, observation, place)
                tell(row, reward, (TERMINATED if terminated else 0) | (TRUNCATED if truncated else 0))

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
        self.limit = None

    def share(self, memory):
        self.memory = memory
        self.observed = [memory.octets[place].reshape(-1, *self.observations.shape) for place in range(3)]
        discrete = isinstance(self.actions, gym.spaces.Discrete)
        self.sent = memory.actions[:, 0] if discrete else memory.actions
        self.infos = Infos(memory.infos)

    def reset(self, place):
        self.observed[place][...], info = self.env.reset(seed=self.memory.seeds.copy())
        self.lives, self.due = info["lives"], np.zeros(self.memory.count, bool)
        self.infos.note_all(info, self.due)

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
        # Under same-step autoreset the infos after an episode's last step are those of the next episode.
        self.infos.note_all(info, over if self.same_step else reset)

    def picture(self):
        return None

    def close(self):
        pass
