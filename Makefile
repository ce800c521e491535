# The ways into this checkout. `make` alone lists them.

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench

help: ## List these ways
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## Bring libtorch (PAVLOV_LIBTORCH=cpu or cuda asks for one; a LIBTORCH of your own wins)
	@scripts/setup-libtorch.sh

demo: setup ## Train DQN on CartPole-v1 until it is solved; ends by saying where to look
	@[ -e target/release/pavlov ] || echo "demo: the first build takes about five minutes on two cores, later ones seconds"
	cargo run --release -- train dqn CartPole-v1 --until-return 500

test: setup ## Run every test: the set-up's and the workspace's
	scripts/test-setup.sh
	@# The real TensorBoard, with which a test reads a run. Brought here, so that no test waits for a download.
	@scripts/tensorboard-env.sh >/dev/null
	@# And the real Gymnasium, whose environments tests play.
	@scripts/gymnasium-env.sh >/dev/null
	@# And the weights of a network that PyTorch has trained, which a test composes of layers and compares.
	@scripts/fetch-silero
	@# The C++ loops over plain memory, under the compiler's sanitizers.
	scripts/sanitize-shim
	cargo test --workspace
	@# Every interleaving of what threads share, by a model checker.
	cargo test --package pavlov-runtime --features model --test interleavings

lint: setup ## Check the format, clippy and the documentation; a warning is an error
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

bench: setup ## Run the benches
	cargo bench --bench dqn --bench agents --bench replay --bench overlap
