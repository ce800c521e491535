#!/usr/bin/env python3
"""Settings that ask for more than any machine has: each is refused with its name, at once, before memory is taken."""

import sys

from attack import Tally, arguments, attempt, scratch

HUGE = ["1000000000000000", "9223372036854775807", "1000000000"]
# An agent and its environment, and the keys that are set; after a key, what is set besides.
COUNTS = [
    ("dqn CartPole-v1", ["threads", "update_threads", "num_envs", "env_threads", "replay_capacity", "batch_size",
                         "n_steps", "updates_per_phase", "evaluation.num_envs", "evaluation.episodes"]),
    ("apex CartPole-v1", ["replay_capacity", "actors.count", "actors.queue_segments", "actors.segment_steps",
                          "batch_size"]),
    ("impala CartPole-v1", ["actors.count", "actors.max_policy_lag", "rollout_steps", "num_envs"]),
    ("ppo CartPole-v1", ["rollout_steps", "num_envs", "epochs", "net.recurrent_size net.recurrent=lstm",
                         "minibatch_size rollout_steps=1000000000"]),
    ("reinforce CartPole-v1", ["episodes_per_update"]),
    ("sac Pendulum-v1", ["critics", "replay_capacity", "batch_size"]),
    ("td3 Pendulum-v1", ["critics", "replay_capacity"]),
]
OTHERS = [
    "train dqn CartPole-v1 actors.count=2 num_envs=2 actors.stop_timeout_seconds=1e300",
    "train dqn CartPole-v1 actors.count=2 num_envs=2 actors.stop_timeout_seconds=1e18",
    "train dqn CartPole-v1 net.hidden_sizes=[1000000000]",
    "train dqn CartPole-v1 net.hidden_sizes=[100000,100000]",
    "train dqn CartPole-v1 net.hidden_sizes=[9223372036854775807,9223372036854775807]",
    "train dqn CartPole-v1 net.hidden_sizes=[3000000000,3000000000]",
    "train dqn CartPole-v1 net.hidden_sizes=[" + "4," * 5000 + "4]",
    "train ppo CartPole-v1 net.trunk_sizes=[1000000000]",
    "train ppo CartPole-v1 net.recurrent=gru net.recurrent_size=1000000000",
    "train ppo CartPole-v1 net.recurrent=lstm net.recurrent_size=4294967296",
    "train dqn MinAtar/Breakout-v1 net.cnn=[{filters=1000000000,kernel=3}]",
    "train dqn MinAtar/Breakout-v1 net.cnn=[{filters=16,kernel=1000000000}]",
    "train dqn MinAtar/Breakout-v1 net.cnn=[{filters=16,kernel=3,stride=9223372036854775807}]",
    "train dqn MinAtar/Breakout-v1 net.cnn=[{filters=16,kernel=3,padding=9223372036854775807}]",
    "train dqn MinAtar/Breakout-v1 net.cnn=[{filters=4,kernel=3,padding=1000000}]",
    "train dqn CartPole-v1 wrappers=[{kind=\"frame_stack\",frames=1000000000000}]",
    "train dqn CartPole-v1 wrappers=[{kind=\"frame_stack\",frames=1000000000}]",
    "train dqn PixelPong-v0 wrappers=[{kind=\"frame_stack\",frames=1000000}]",
    "train ppo CartPole-v1 wrappers=[{kind=\"render_pixels\",width=1000000,height=1000000}]",
    "train ppo CartPole-v1 wrappers=[{kind=\"resize\",width=1000000000,height=1000000000}]",
    "train ppo CartPole-v1 wrappers=[{kind=\"time_limit\",max_episode_steps=18446744073709551615}]",
    "train ppo CartPole-v1 wrappers=[{kind=\"action_repeat\",times=4294967295}]",
    "train ppo PixelPong-v0 wrappers=[{kind=\"noop_start\",max_noops=4294967295}]",
    "train dqn CartPole-v1 net.backbone=[{kind=\"linear\",size=1000000000000}]",
    "train dqn CartPole-v1 net.backbone=[{kind=\"embedding\",tokens=1000000000,size=1000000000}]",
    "train ppo FrozenLake-v1 environment_options.desc=[\"S" + "F" * 3000 + "\",\"G" + "F" * 3000 + "\"]",
    "fit classifier digits data.batch_size=1000000000000",
    "fit classifier digits data.accumulate=1000000000000",
    "fit classifier digits data.loader_threads=1000000000",
    "fit classifier digits data.loader_threads=100000",
    "fit classifier digits data.options.count=1000000000000",
    "fit classifier digits threads=1000000000",
    "fit classifier digits net.layers=[{kind=\"linear\",size=1000000000000}]",
    "fit autoencoder digits hidden_sizes=[1000000000]",
    "fit autoencoder digits code=1000000000000",
    "fit autoencoder digits hidden_sizes=[1000000000,1000000000]",
    "fit gan digits noise=1000000000000",
    "fit gan digits discriminator_steps=1000000000000",
    "fit speech tones data.options.count=1000000000000",
    "fit classifier digits data.transforms=[{kind=\"resize\",height=1000000,width=1000000}]",
    "fit classifier digits data.transforms=[{kind=\"pad\",pixels=1000000000}]",
    "fit classifier digits epochs=18446744073709551615",
]


def cases():
    """Each bomb as the words before its settings, and its settings."""
    for start, keys in COUNTS:
        for key in keys:
            key, *more = key.split(" ")
            for value in HUGE:
                yield ["train", *start.split(" ")], [f"{key}={value}", *more]
    for line in OTHERS:
        words, settings = line.split(" ")[:3], line.split(" ")[3:]
        yield words, settings


def main():
    given = arguments(__doc__.splitlines()[0])
    tally = Tally("bombs")
    with scratch() as folder:
        for number, (start, sets) in enumerate(cases()):
            attempt(given, tally, folder, f"run-{number}", start, sets, works_for=4.0)
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
