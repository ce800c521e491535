#!/usr/bin/env bash
# Prints the path of a Python in which `import tensorboard` works, and makes it on the first call:
#
#   "$(scripts/tensorboard-env.sh)" -c 'import tensorboard'
#
# The packages lie in a folder of their own in ${PAVLOV_CACHE:-${XDG_CACHE_HOME:-~/.cache}/pavlov} and reach no other Python. The
# folder is filled by `pip install --target`, not by a virtual environment: Debian's python3 cannot make one without a further
# package, and a finished one cannot be renamed into place.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly scripts
task=tensorboard
# shellcheck source=scripts/lib.sh
. "$scripts/lib.sh"

# fill FOLDER: packages and, as bin/python, the Python that sees them.
fill() {
    local part=$1.part
    check_disk 500 "TensorBoard's reader"
    say "installing TensorBoard's reader in $1"
    rm -rf "$part"
    mkdir -p "$part/tmp" "$part/bin"
    # pip's words go where ours go: on standard output there is the path alone.
    TMPDIR="$part/tmp" "${pip[@]}" install --quiet --target "$part/packages" --requirement "$scripts/tensorboard.txt" </dev/null >&2 ||
        pip_failed "TensorBoard"
    rm -rf "$part/tmp"
    # It finds the packages from where it lies itself. -s leaves out what the user has installed for their own work.
    cat >"$part/bin/python" <<'PYTHON'
#!/bin/sh
PYTHONPATH=$(cd "$(dirname "$0")/../packages" && pwd) PYTHONDONTWRITEBYTECODE=1 exec python3 -s "$@"
PYTHON
    chmod +x "$part/bin/python"
    "$part/bin/python" -c 'from tensorboard.backend.event_processing import event_accumulator' ||
        fail "TensorBoard was installed but cannot be imported (the message is above)" \
            "Is python3 at least 3.9? Remove $part and run this again."
    rm -rf "$1"
    mv -T "$part" "$1"
}

find_cache
need_python
# Packages with compiled parts fit one version of Python; other lines in tensorboard.txt want another folder.
python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
wanted=$(cksum <"$scripts/tensorboard.txt")
folder=$cache/tensorboard-python$python-${wanted%% *}
if [ ! -d "$folder" ]; then
    find_pip
    lock "$folder"
    [ -d "$folder" ] || fill "$folder"
fi
printf '%s\n' "$folder/bin/python"
