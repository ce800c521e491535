# shellcheck shell=bash disable=SC2034,SC2154
# The common part of the set-up scripts. Sourced by them; the variable `task` names the one that speaks.

has() { command -v "$1" >/dev/null 2>&1; }

# On standard error, so that a script's result on standard output stays alone.
say() { printf '%s: %s\n' "$task" "$*" >&2; }

# fail MESSAGE ADVICE...: what is wrong, what to do about it a line each, and the end.
fail() {
    say "error: $1"
    shift
    [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
    exit 1
}

# Sets `cache`: the folder for what is downloaded, shared by all checkouts.
find_cache() {
    [ -n "${PAVLOV_CACHE:-${XDG_CACHE_HOME:-${HOME:-}}}" ] ||
        fail "there is no place for downloads: HOME is not set" "Set PAVLOV_CACHE to a folder, then run this again."
    cache=${PAVLOV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pavlov}
    mkdir -p "$cache" 2>/dev/null ||
        fail "the folder $cache cannot be made" "Set PAVLOV_CACHE to a folder that can be written, then run this again."
    cache=$(cd "$cache" && pwd)
}

# find_folder [FOLDER]: sets `folder`, where the data goes.
find_folder() {
    [ $# -le 1 ] || fail "one folder is enough" "Give the folder for the data, or nothing."
    if [ $# -eq 1 ]; then
        folder=$1
    else
        [ -n "${XDG_CACHE_HOME:-${HOME:-}}" ] || fail "there is no place for the data: HOME is not set" "Give a folder."
        folder=${XDG_CACHE_HOME:-$HOME/.cache}/pavlov/data
    fi
    mkdir -p "$folder" 2>/dev/null || fail "the folder $folder cannot be made" "Give another one."
    folder=$(cd "$folder" && pwd)
}

need_python() {
    has python3 || fail "python3 is missing" \
        "Debian, Ubuntu: apt-get install python3 python3-pip    Fedora: dnf install python3 python3-pip" "Then run this again."
}

# Sets `pip` to the command that runs it.
find_pip() {
    need_python
    if python3 -m pip --version >/dev/null 2>&1; then
        pip=(python3 -m pip)
    elif has pip3 && pip3 --version >/dev/null 2>&1; then
        pip=(pip3)
    else
        fail "Python's pip is missing" \
            "Debian, Ubuntu: apt-get install python3-pip    Fedora: dnf install python3-pip    Arch: pacman -S python-pip" \
            "Then run this again."
    fi
    # No questions, no words about pip itself, and nothing that was set for other work and would stop this.
    export PIP_REQUIRE_VIRTUALENV=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
}

free_mib() { df -Pk "$cache" | awk 'NR == 2 { print int($4 / 1024) }'; }

# check_disk MIB WHAT
check_disk() {
    [ -w "$cache" ] || fail "the folder $cache cannot be written" "Set PAVLOV_CACHE to a folder that can be written, then run this again."
    local free
    free=$(free_mib)
    [ "$free" -ge "$1" ] || fail "the disk of $cache has $free MiB free; $2 needs $1 MiB" \
        "Make room, or set PAVLOV_CACHE to a folder on a larger disk, then run this again."
}

# pip_failed WHAT ADVICE...: pip's own message has been printed already.
pip_failed() {
    [ "$(free_mib)" -ge 100 ] || fail "the disk of $cache is full" \
        "Make room, or set PAVLOV_CACHE to a folder on a larger disk, then run this again."
    fail "pip could not download $1 (its own message is above)" \
        "Is the network up, and does 'pip download' work here at all? An old pip may be the cause:" \
        "'python3 -m pip install --upgrade pip'. Then run this again: what has come whole is kept." "${@:2}"
}

# lock FOLDER: one process at a time works on it. The kernel's lock on an open file ends with this process and the pip that
# it started, however they end.
lock() {
    exec 9>"$1.lock"
    lock_file --nonblock && return
    say "another process is at work on $1; waiting for it"
    lock_file
}

lock_file() {
    if has flock; then
        flock "$@" 9
    else
        python3 -c 'import fcntl, sys; fcntl.flock(9, fcntl.LOCK_EX | (fcntl.LOCK_NB if sys.argv[1:] else 0))' "$@" 2>/dev/null
    fi
}

# python_env NAME TITLE MODULE MIB: prints the path of a Python in which `import MODULE` works, and makes it on the first call
# from what scripts/NAME.txt lists.
#
# The packages lie in a folder of their own in the cache and reach no other Python. The folder is filled by `pip install
# --target`, not by a virtual environment: Debian's python3 cannot make one without a further package, and a finished one cannot
# be renamed into place.
python_env() {
    local list=$scripts/$1.txt python wanted folder
    find_cache
    need_python
    # Packages with compiled parts fit one version of Python; other lines in the list want another folder.
    python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    wanted=$(cksum <"$list")
    folder=$cache/$1-python$python-${wanted%% *}
    if [ ! -d "$folder" ]; then
        find_pip
        lock "$folder"
        [ -d "$folder" ] || fill_python_env "$folder" "$list" "$2" "$3" "$4"
    fi
    printf '%s\n' "$folder/bin/python"
}

# fill_python_env FOLDER LIST TITLE MODULE MIB: packages and, as bin/python, the Python that sees them.
fill_python_env() {
    local part=$1.part
    check_disk "$5" "$3"
    say "installing $3 in $1"
    rm -rf "$part"
    mkdir -p "$part/tmp" "$part/bin"
    # pip's words go where ours go: on standard output there is the path alone.
    TMPDIR="$part/tmp" "${pip[@]}" install --quiet --target "$part/packages" --requirement "$2" </dev/null >&2 ||
        pip_failed "$3"
    rm -rf "$part/tmp"
    # It finds the packages from where it lies itself. -s leaves out what the user has installed for their own work.
    cat >"$part/bin/python" <<'PYTHON'
#!/bin/sh
PYTHONPATH=$(cd "$(dirname "$0")/../packages" && pwd) PYTHONDONTWRITEBYTECODE=1 exec python3 -s "$@"
PYTHON
    chmod +x "$part/bin/python"
    "$part/bin/python" -c "import $4" ||
        fail "$3 was installed but cannot be imported (the message is above)" \
            "Is python3 at least 3.9? Remove $part and run this again."
    rm -rf "$1"
    mv -T "$part" "$1"
}
