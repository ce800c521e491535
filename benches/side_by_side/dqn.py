"""DQN on CartPole-v1 beside Stable-Baselines3 and ModuRL: the same settings, the same machine, one run.

    make setup && cargo build --release
    python -m venv /tmp/side-by-side
    /tmp/side-by-side/bin/pip install "stable-baselines3==2.9.*"
    (cd benches/side_by_side/modurl && cargo build --release)
    /tmp/side-by-side/bin/python benches/side_by_side/dqn.py [--repeats 3]

The rivals are timed from their first training step, Pavlov from the start of its process to its end, evaluations,
checkpoints and logs included. Each runs in turn, so that a machine that slows down slows all of them.
"""

from side import compare, modurl, pavlov, repeats, script

STEPS = 50_000
MODURL_WARMUP = 1_024
# ModuRL's workload in Pavlov's words.
MODURL_SETTINGS = f"""
    net.hidden_sizes=[64,64] net.activation=tanh replay_capacity=10000 batch_size=64 train_every_env_steps=4
    updates_per_phase=1 learning_rate=2.5e-4 optimizer.eps=1e-5 target_update_every_env_steps=1000
    epsilon_start=0.1 epsilon_end=0.1 loss=squared gradient_clip_norm=off warmup_env_steps={MODURL_WARMUP}
    evaluation.every_env_steps=0 checkpoint.every_env_steps=0 env_steps={STEPS + MODURL_WARMUP}
""".split()
# The zoo's settings, which the rival has, where the preset has others.
ZOO = ["learning_rate=2.3e-3", "double=false"]


def main():
    times = repeats(__doc__)
    compare(
        "CartPole-v1, the zoo's settings: 50,000 steps, 256-256, batch 64, 128 updates every 256 steps",
        {
            "Pavlov": lambda: STEPS / pavlov("dqn", "CartPole-v1", *ZOO),
            "Pavlov, update_threads = 1": lambda: STEPS / pavlov("dqn", "CartPole-v1", "update_threads=1", *ZOO),
            "Stable-Baselines3, 1 thread": lambda: STEPS / script("sb3_dqn.py", 0, 1),
            "Stable-Baselines3, 2 threads": lambda: STEPS / script("sb3_dqn.py", 0, 2),
        },
        times,
    )
    compare(
        "ModuRL's workload: 50,000 steps, 64-64 tanh, batch 64, one update every 4 steps",
        {
            "Pavlov": lambda: STEPS / pavlov("dqn", "CartPole-v1", *MODURL_SETTINGS),
            "ModuRL 0.1.0, 1 thread": lambda: STEPS / modurl("dqn", STEPS),
        },
        times,
    )


if __name__ == "__main__":
    main()
