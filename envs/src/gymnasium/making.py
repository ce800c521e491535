"""Makes the requested environments, or refuses them with the reason."""

import importlib
import re


class Refused(Exception):
    """The reason why the environments cannot be made, for people."""

    def __init__(self, kind, message, **more):
        super().__init__(message)
        self.told = {"kind": kind, "message": message, **more}


def missing(error):
    """The refusal for a package that cannot be imported, with the name that pip knows."""
    advice = re.search(r"pip install (?:-U |--upgrade )?(\"[^\"]+\"|'[^']+'|[\w.\[\],=<>-]+)", str(error))
    package = advice[1].strip("\"'") if advice else (getattr(error, "name", None) or "").partition(".")[0]
    return Refused("missing", f"{type(error).__name__}: {error}", package=package)


def import_libraries():
    global np, gym
    try:
        # Gymnasium comes first, since it brings numpy: its absence is the one to be told.
        gym = importlib.import_module("gymnasium")
        np = importlib.import_module("numpy")
    except ImportError as error:
        # Packages that gymnasium itself imports are installed with it.
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
    """The render mode of an environment, if it has one: pixels rather than text."""
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
    if request["pictures"] and "render_mode" not in arguments and (mode := picture_mode(spec)):
        arguments["render_mode"] = mode
    # The other process checks actions, and nobody would see the warnings of the checker.
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
