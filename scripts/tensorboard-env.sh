#!/usr/bin/env bash
# Prints the path of a Python in which `import tensorboard` works, and makes it on the first call:
#
#   "$(scripts/tensorboard-env.sh)" -c 'import tensorboard'
#
# It lies in a folder of its own in ${PAVLOV_CACHE:-${XDG_CACHE_HOME:-~/.cache}/pavlov}.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly scripts
task=tensorboard
# shellcheck source=scripts/lib.sh
. "$scripts/lib.sh"

python_env tensorboard "TensorBoard's reader" tensorboard.backend.event_processing.event_accumulator 500
