#!/usr/bin/env python3
"""Damaged folders and folders of strangers: each is refused or used, and nothing outside of it is touched or run.

Files of a run are cut, flipped, emptied, removed, replaced by folders, links, pipes and devices; numbers of its
states are changed and the checksums made to fit; its configuration names programs. Then it is resumed, evaluated,
played or sampled from.
"""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys

from attack import Tally, arguments, copied, scratch, watch

SMALL = ["--set", "env_steps=400", "--set", "evaluation.every_env_steps=200", "--set", "evaluation.episodes=1",
         "--set", "checkpoint.every_env_steps=200", "--set", "log.every_env_steps=50", "--set", "net.hidden_sizes=[8]"]
REPLAY = ["--set", "warmup_env_steps=50", "--set", "batch_size=8"]
WRAPPERS = ["--set", "wrappers=[{ kind = 'sticky_actions', probability = 0.1 }, { kind = 'frame_stack', frames = 2 }, "
            "{ kind = 'normalize_observation' }, { kind = 'normalize_reward' }]"]
RUNS = {
    "dqn": ["train", "dqn", "CartPole-v1", *SMALL, *REPLAY, *WRAPPERS],
    "apex": ["train", "apex", "CartPole-v1", *SMALL, *REPLAY, "--set", "actors.mode=lockstep", "--set", "num_envs=4",
             "--set", "actors.count=2"],
    "ppo": ["train", "ppo", "CartPole-v1", *SMALL, "--set", "num_envs=2", "--set", "net.recurrent=lstm", "--set",
            "net.recurrent_size=4"],
    "sac": ["train", "sac", "Pendulum-v1", *SMALL, *REPLAY],
    "fit": ["fit", "regression", "csv", "--data", "table.csv", "--set", "data.options.target=y", "--updates", "60",
            "--set", "checkpoint.every_updates=30"],
    "gan": ["fit", "gan", "digits", "--updates", "4", "--set", "data.options.count=200", "--set", "data.batch_size=8",
            "--set", "checkpoint.every_updates=2"],
}
NUMBERS = [10**18, 2**63 - 1, -1, 2**32, 10**6, -10**9, 1e300, 0, -1.5, None, "word", [], {}]


def leaves(value, path=()):
    """The places of a state's numbers; of a list the first few."""
    if isinstance(value, dict):
        for key in value:
            yield from leaves(value[key], path + (key,))
    elif isinstance(value, list):
        for place, each in enumerate(value[:3]):
            yield from leaves(each, path + (place,))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path


def sums(checkpoint):
    """Makes the checksums fit."""
    lines = []
    for name in ("tensors.safetensors", "state.json"):
        with open(os.path.join(checkpoint, name), "rb") as file:
            lines.append(f"{hashlib.sha256(file.read()).hexdigest()}  {name}\n")
    with open(os.path.join(checkpoint, "SHA256SUMS"), "w") as file:
        file.writelines(lines)


def files(folder):
    """The files of a folder and of those below it."""
    return sorted(os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)


def fingerprint(folder):
    """The names and contents of everything in a folder."""
    digest = hashlib.sha256()
    for path in files(folder):
        digest.update(path.encode())
        if os.path.isfile(path):
            with open(path, "rb") as file:
                digest.update(file.read())
    return digest.hexdigest()


def checkpoints(run):
    """The checkpoints of a run, oldest first."""
    folder = os.path.join(run, "checkpoints")
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.startswith("step-")]


def change_a_file(chance, run, outside):
    """Damages one file; says how."""
    path = chance.choice(files(run))
    with open(path, "rb") as file:
        whole = file.read()
    how = chance.choice(["flip", "cut", "empty", "longer", "remove", "folder", "link", "pipe", "device", "text"])
    os.remove(path)
    if how == "flip":
        changed = bytearray(whole or b"x")
        for _ in range(chance.choice([1, 1, 8])):
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        whole = bytes(changed)
    elif how == "cut":
        whole = whole[: chance.randrange(len(whole) + 1)]
    elif how == "empty":
        whole = b""
    elif how == "longer":
        whole += bytes(chance.randrange(256) for _ in range(chance.choice([1, 100, 5000])))
    elif how == "text":
        whole = b"a,b\n1,nan\n,,,\n\xff\xfe{}[]"
    if how == "folder":
        os.mkdir(path)
    elif how == "link":
        os.symlink(os.path.join(outside, "precious.txt"), path)
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "device":
        os.symlink("/dev/zero", path)
    elif how != "remove":
        with open(path, "wb") as file:
            file.write(whole)
    return f"{how} {os.path.relpath(path, run)}"


def change_the_state(run, change):
    """Changes the state of the last checkpoint, whose checksums fit afterwards; gives what `change` gives."""
    last = checkpoints(run)[-1]
    path = os.path.join(last, "state.json")
    with open(path) as file:
        state = json.load(file)
    said = change(state)
    with open(path, "w") as file:
        json.dump(state, file)
    sums(last)
    return said


def change_a_number(chance, run, outside):
    """Changes one number of a state."""

    def change(state):
        place = chance.choice(list(leaves(state)))
        value = state
        for key in place[:-1]:
            value = value[key]
        value[place[-1]] = chance.choice(NUMBERS)
        return f"{'.'.join(map(str, place))} = {value[place[-1]]}"

    return change_the_state(run, change)


def name_a_place_outside(chance, run, outside):
    """Lets a state name a file outside of the run."""
    name = chance.choice([os.path.join(outside, "precious.txt"), "../outside/precious.txt", "..", "", "a/b", "\0"])
    change_the_state(run, lambda state: state["session"]["log"].update(events_file=name))
    return f"events_file = {name!r}"


def name_a_program(chance, run, outside):
    """Lets the configuration name a program, which would leave a mark outside."""
    path = os.path.join(run, "config.toml")
    with open(path) as file:
        text = file.read()
    program = os.path.join(outside, "program.sh")
    changes = [
        ('environment = "CartPole-v1"', f'environment = "gym:{chance.choice(["evil", "os.path"])}:World-v0"'),
        ("[environment_options]", f"[environment_options]\npython = \"{program}\""),
    ]
    old, new = chance.choice(changes)
    if new.startswith("[environment_options]"):
        text = text.replace('environment = "CartPole-v1"', 'environment = "gym:CartPole-v1"')
        text = text.replace('environment = "Pendulum-v1"', 'environment = "gym:Pendulum-v1"')
    with open(path, "w") as file:
        file.write(text.replace(old, new))
    return new.replace("\n", " ")


def change_a_setting(chance, run, outside):
    """Changes a value of the configuration as an editor may."""
    path = os.path.join(run, "config.toml")
    with open(path) as file:
        lines = file.read().splitlines()
    places = [place for place, line in enumerate(lines) if " = " in line]
    place = chance.choice(places)
    key = lines[place].split(" = ")[0]
    lines[place] = f"{key} = {chance.choice(['0', '-1', '1e6', '99999999999', 'nan', 'true', '[]', '{}', chr(34) + 'x' + chr(34), '7'])}"
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
    return lines[place]


def main():
    given = arguments(__doc__.splitlines()[0], runs=600)
    chance = random.Random(given.seed)
    tally = Tally("damaged folders")
    with scratch() as folder:
        with open(os.path.join(folder, "table.csv"), "w") as file:
            file.write("x,y\n" + "".join(f"{row},{2 * row}\n" for row in range(100)))
        for name, command in RUNS.items():
            subprocess.run([given.pavlov, *command, "--run-dir", name, "-q"], cwd=folder, check=True)
        outside = os.path.join(folder, "outside")
        os.mkdir(outside)
        with open(os.path.join(outside, "precious.txt"), "w") as file:
            file.write("my only copy")
        program = os.path.join(outside, "program.sh")
        with open(program, "w") as file:
            file.write(f"#!/bin/sh\ntouch {outside}/executed\n")
        os.chmod(program, 0o755)
        before = fingerprint(outside)
        kinds = [change_a_file] * 6 + [change_a_number] * 6 + [name_a_place_outside, name_a_program, change_a_setting]
        work = os.path.join(folder, "work")
        for case in range(given.runs):
            name = list(RUNS)[case % len(RUNS)]
            copied(os.path.join(folder, name), work)
            # Half of the runs still have something to do.
            last = checkpoints(work)
            if chance.random() < 0.5 and len(last) > 1:
                shutil.rmtree(last[-1])
            what = chance.choice(kinds)(chance, work, outside)
            is_fit = name in ("fit", "gan")
            command = chance.choice(
                [["resume", "work", "-q"], ["resume", "work", "-q"], ["eval", "work"] + ([] if is_fit else ["--episodes", "1"])]
                + ([["sample", "work", "--count", "2"]] if name == "gan" else [])
                + ([] if is_fit else [["eval", "work", "--last", "--episodes", "1"],
                                      ["play", "work", "--gif", "a.gif", "--max-frames", "3"]])
            )
            ended = watch([given.pavlov, *command], folder)
            verdict = ended.verdict()
            if fingerprint(outside) != before:
                verdict = "touched"
            tally.add(verdict, f"{name}: {what}: {' '.join(command)}", ended)
            if verdict == "touched":
                return tally.close()
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
