"""Descriptions of spaces for the other process, and their values in shared memory."""


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


def with_plain_mask(space):
    """The space with its action mask as MultiBinary, which other packages declare as a Box from 0 to 1 or as
    MultiDiscrete of twos."""
    if not isinstance(space, gym.spaces.Dict) or "action_mask" not in space.spaces:
        return space
    mask = space.spaces["action_mask"]
    bits = isinstance(mask, gym.spaces.Box) and (mask.low == 0).all() and (mask.high == 1).all()
    twos = isinstance(mask, gym.spaces.MultiDiscrete) and (mask.nvec == 2).all() and start_of(mask) is None
    if not (bits or twos):
        return space
    plain = gym.spaces.MultiBinary(mask.shape)
    # Not by keyword: the order of the entries stays as it is.
    return gym.spaces.Dict([(key, plain if key == "action_mask" else part) for key, part in space.spaces.items()])


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
    """The start of a discrete space, or None for 0."""
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
        writers.append((path, leaf_writer(leaf, row[start:end].reshape(leaf.shape), path)))
    if len(writers) == 1 and not writers[0][0]:
        return writers[0][1]

    def write(observation):
        for path, write_leaf in writers:
            value = observation
            for key in path:
                value = value[key]
            write_leaf(value)

    return write


def leaf_writer(leaf, target, path):
    start, shape, declared = start_of(leaf), target.shape, leaf.dtype

    def write(value):
        value = np.asarray(value)
        if value.shape != shape:
            raise ValueError(f"an observation of the shape {value.shape} came where {shape} was announced")
        if value.dtype != declared:
            refuse_loss(value, leaf, path)
        target[...] = value if start is None else value - start

    return write


def refuse_loss(value, leaf, path):
    """Refuses an observation whose numbers would change with the type that its space declares."""
    declared, given = leaf.dtype, value.dtype
    if given.kind not in "biuf":
        why = "these are no numbers"
    elif not isinstance(leaf, gym.spaces.Box) or declared.kind == "f":
        # They stand as f32 in the shared memory, and the other process checks choices and bits.
        return
    elif given.kind == "f":
        why = "fractions would be lost"
    elif is_bytes(leaf) and value.size and (value.min() < 0 or value.max() > 255):
        why = f"{value.min()} to {value.max()} do not fit"
    else:
        return
    name = ".".join(str(key) for key in path)
    entry = f"the observation's entry `{name}`" if name else "the observation"
    raise TypeError(
        f"{entry} has the type {given}, but {leaf} declares {declared}: {why}. Declare the type that is given, or "
        f"convert the observation"
    )


def action_reader(space, actions):
    """A function that returns the actions of all environments in the form that they take."""
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
