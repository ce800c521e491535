"""SAC on Pendulum-v1 beside Stable-Baselines3 and SBX: the same settings, the same machine, one run.

    make setup && cargo build --release
    python -m venv /tmp/side-by-side
    /tmp/side-by-side/bin/pip install "stable-baselines3==2.9.*" sbx-rl
    /tmp/side-by-side/bin/python benches/side_by_side/sac.py [--repeats 3]

The rivals are timed from their second training on; Pavlov from the start of its process to its end.
"""

from side import compare, pavlov, repeats, script

STEPS = 4_000
WORKLOAD = f"""
    env_steps={STEPS} num_envs=1 warmup_env_steps=100 batch_size=256 learning_rate=3e-4 evaluation.every_env_steps=0
    net.hidden_sizes=[256,256]
""".split()


def main():
    compare(
        "Pendulum-v1: 256-256, batch 256, an update for each step",
        {
            "Pavlov": lambda: STEPS / pavlov("sac", "Pendulum-v1", *WORKLOAD),
            "Pavlov, update_threads = 1": lambda: STEPS / pavlov("sac", "Pendulum-v1", "update_threads=1", *WORKLOAD),
            "Stable-Baselines3, 1 thread": lambda: script("sb3.py", "sac", 1),
            "Stable-Baselines3, 2 threads": lambda: script("sb3.py", "sac", 2),
            "SBX (JAX)": lambda: script("sb3.py", "sbx"),
        },
        repeats(__doc__),
    )


if __name__ == "__main__":
    main()
