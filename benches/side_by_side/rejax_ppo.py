"""rejax's PPO on CartPole-v1, compiled whole: prints its env steps per second, without the compilation."""

import time

import jax
from rejax import PPO

STEPS = 512_000

ppo = PPO.create(
    env="CartPole-v1",
    env_params={},
    num_envs=8,
    num_steps=128,
    num_epochs=10,
    num_minibatches=4,
    learning_rate=3e-4,
    total_timesteps=STEPS,
    eval_freq=STEPS,
    skip_initial_evaluation=True,
    agent_kwargs={"hidden_layer_sizes": (64, 64), "activation": "tanh"},
)
train = jax.jit(ppo.replace(eval_callback=lambda *_: 0.0).train)
jax.block_until_ready(train(jax.random.PRNGKey(0)))
start = time.perf_counter()
jax.block_until_ready(train(jax.random.PRNGKey(1)))
print(STEPS / (time.perf_counter() - start))
