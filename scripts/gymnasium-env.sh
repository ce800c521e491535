#!/usr/bin/env bash
# Prints the path of a Python in which `import gymnasium` works, and makes it on the first call:
#
#   "$(scripts/gymnasium-env.sh)" -c 'import gymnasium'
#
# It lies in a folder of its own in ${PAVLOV_CACHE:-${XDG_CACHE_HOME:-~/.cache}/pavlov}.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly scripts
task=gymnasium
# shellcheck source=scripts/lib.sh
. "$scripts/lib.sh"

python_env gymnasium Gymnasium gymnasium 300
