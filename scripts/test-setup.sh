#!/usr/bin/env bash
# shellcheck disable=SC2016 # Stand-ins are written in single quotes.
# Tests the set-up scripts with stand-ins for pip, cargo, the compiler and the wheels: nothing is downloaded.
#
#   scripts/test-setup.sh [NAME...]     all tests, or those whose names contain one of these
#
# Each test has a folder of its own with a checkout, a cache and a PATH that holds nothing but what is listed here, so that
# "pip is missing" can be true on every machine.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The interpreter itself: what PATH leads to may be a script with needs of its own.
real_python=$(python3 -c 'import sys; print(sys.executable)') || { echo "python3 is needed for these tests" >&2 && exit 1; }
readonly scripts work real_python

# ---- Stand-ins

# wheel FILE MEMBER...: a wheel with these files, each holding its own name.
wheel() {
    "$real_python" - "$@" <<'PYTHON'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as archive:
    for name in sys.argv[2:]:
        archive.writestr(name, name * 50)
PYTHON
}

# Wheels that are laid out as the real ones are, and the lists that name them with their sums.
make_wheels() {
    mkdir -p "$work/wheels" "$work/lists"
    wheel "$work/wheels/torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl" torch/__init__.py torch/include/torch/script.h \
        torch/lib/libtorch.so torch/lib/libtorch_cpu.so torch/lib/libtorch_python.so torch/lib/libtorch_cuda.so \
        torch/lib/libc10.so torch/lib/libc10_cuda.so torch/lib/libgomp.so.1
    wheel "$work/wheels/nvidia_cuda_runtime-13.0.96-py3-none-manylinux_2_17_x86_64.whl" nvidia/cu13/lib/libcudart.so.13 \
        nvidia/cu13/lib/libcudart_static.a nvidia/cu13/include/cuda.h
    wheel "$work/wheels/nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl" nvidia/cu13/lib/libcupti.so.13
    wheel "$work/wheels/nvidia_cublas-13.1.0.3-py3-none-manylinux_2_27_x86_64.whl" nvidia/cu13/lib/libcublas.so.13
    {
        echo "# A comment."
        listed torch==2.11.0 && listed nvidia-cuda-runtime==13.0.96 && listed nvidia-cuda-cupti==13.0.85
    } >"$work/lists/libtorch-cpu.txt"
    listed nvidia-cublas==13.1.0.3 >"$work/lists/libtorch-cuda.txt"
}

listed() {
    local name=${1%%==*} sum
    sum=$(sha256sum "$work/wheels/${name//-/_}"-*)
    echo "$1 --hash=sha256:${sum%% *}"
}

# fake NAME: a program from standard input, alone on PATH with the tools below.
fake() {
    rm -f "$bin/$1"
    { echo '#!/bin/bash' && cat; } >"$bin/$1"
    chmod +x "$bin/$1"
}

# A fresh checkout, cache and PATH for one test.
prepare() {
    here=$work/$1 bin=$work/$1/bin
    mkdir -p "$here/checkout/scripts" "$here/home" "$bin"
    cp "$scripts/setup-libtorch.sh" "$scripts/tensorboard-env.sh" "$scripts/tensorboard.txt" "$scripts/lib.sh" "$work/lists"/* \
        "$here/checkout/scripts"
    local tool
    for tool in bash sh awk cat chmod cksum cp dirname env find flock grep head kill ln mkdir mv readlink rm sha256sum sleep sort \
        timeout touch wc; do
        ln -s "$(command -v $tool)" "$bin/$tool"
    done
    echo 9999999999 >"$here/free-kib"
    : >"$here/log"
    fake df <<<"echo header; echo disk 0 0 \$(cat $here/free-kib)"
    fake uname <<<'case "$1" in -s) echo Linux ;; -m) echo x86_64 ;; esac'
    fake getconf <<<'echo glibc 2.36'
    fake ldd <<<'echo "libc.so.6 => /lib/libc.so.6"'
    fake cargo <<<"echo cargo \"\$@\" >>$here/log"
    fake c++ <<<'exit 0'
    fake python3 <<PYTHON
# FAKE_PIP, FAKE_UNPACK: what goes wrong in pip and in unpacking.
here=$here
wheels=$work/wheels
$(
        cat <<'BODY'
if [ "$1 $2" != "-m pip" ]; then
    [ "$1" = - ] && echo unpack >>"$here/log"
    [ "${FAKE_UNPACK:-}" != "die" ] || [ "$1" != - ] || kill -KILL $PPID
BODY
        echo "    exec $real_python \"\$@\""
        cat <<'BODY'
fi
case "$3" in
--version) exit 0 ;;
esac
while [ $# -gt 0 ]; do
    case "$1" in
    --dest | --target) folder=$2 ;;
    --requirement) requirement=$(head -n 1 "$2") ;;
    install) install=yes ;;
    esac
    shift
done
name=${requirement%%==*}
echo "pip $name" >>"$here/log"
if [ "${install:-}" = yes ]; then
    mkdir -p "$folder/tensorboard/backend/event_processing"
    [ "${FAKE_PIP:-}" != fail ] || exit 1
    touch "$folder/tensorboard/backend/event_processing/event_accumulator.py"
    exit 0
fi
file=$(echo "$wheels/${name//-/_}"-*)
case "${FAKE_PIP:-} $name" in
fail*) echo "ERROR: no network" >&2 && exit 1 ;;
"full nvidia-cuda-runtime") echo 50 >"$here/free-kib" && exit 1 ;;
"die nvidia-cuda-runtime")
    head -c 100 "$file" >"$folder/${file##*/}"
    kill -KILL $PPID
    exit 1
    ;;
"other torch") echo "another file" >"$folder/${file##*/}" ;;
meet*) # Until the other one waits, ten seconds at most.
    for i in {1..100}; do
        grep -q "another process is at work" "$here"/out* && break
        sleep 0.1
    done
    cp "$file" "$folder"
    ;;
*) cp "$file" "$folder" ;;
esac
BODY
    )
PYTHON
}

# setup [VARIABLE=VALUE...]: runs the script under test; its words go to $here/out (or to another file, that `out` names), its
# exit status to `status`.
setup() { run setup-libtorch.sh "$@"; }

run() {
    status=0
    env -i PATH="$bin" HOME="$here/home" PAVLOV_CACHE="$here/cache" "${@:2}" "$here/checkout/scripts/$1" \
        >"$here/result" 2>"${out:-$here/out}" </dev/null || status=$?
    cat "${out:-$here/out}"
}

# ---- What a test can ask

fail() { echo "  not so: $*" && exit 1; }
succeeds() { [ "$status" = 0 ] || fail "it succeeds (exit status $status)"; }
says() { grep -qF -- "$1" "$here/out" || fail "it says '$1'"; }
refuses() { [ "$status" != 0 ] || fail "it fails"; says "error: "; says "$1"; }
is_file() { [ -f "$1" ] || fail "there is $1"; }
nothing_at() { if [ -e "$1" ] || [ -L "$1" ]; then fail "there is no $1"; fi; }
logged() { [ "$(grep -c "^$2" "$here/log")" = "$1" ] || fail "$1 times '$2' in: $(cat "$here/log")"; }
# The CPU's libtorch is whole, and the checkout's link leads to it.
is_ready() {
    succeeds
    local folder=$here/cache/libtorch-2.11.0-${1:-cpu}-x86_64
    [ "$(readlink "$here/checkout/.libtorch")" = "$folder/torch" ] || fail ".libtorch leads to $folder"
    [ "$(cat "$folder/torch/build-version")" = 2.11.0 ] || fail "build-version is right"
    [ "$(wc -c <"$folder/torch/lib/libtorch_cpu.so")" = $((50 * 25)) ] || fail "libtorch_cpu.so is whole"
    is_file "$folder/torch/lib/libc10.so" && is_file "$folder/torch/include/torch/script.h"
    is_file "$folder/nvidia/cu13/lib/libcudart.so.13" && is_file "$folder/nvidia/cu13/lib/libcupti.so.13"
    nothing_at "$folder.part"
}

# ---- Tests: libtorch comes, once

test_brings_the_cpu_libraries_alone() {
    setup && is_ready
    local lib=$here/checkout/.libtorch/lib
    [ "$(readlink "$lib/libtorch.so")" = libtorch_cpu.so ] || fail "libtorch.so leads to libtorch_cpu.so"
    is_file "$lib/libgomp.so"
    nothing_at "$lib/libtorch_cuda.so"
    nothing_at "$lib/libc10_cuda.so"
    nothing_at "$lib/libtorch_python.so"
    nothing_at "$here/checkout/.libtorch/__init__.py"
    nothing_at "$here/checkout/.libtorch/../nvidia/cu13/lib/libcudart_static.a"
}

test_a_second_call_does_nothing() {
    setup && is_ready
    : >"$here/log"
    fake python3 <<<"echo python >>$here/log"
    fake nvidia-smi <<<"echo nvidia >>$here/log"
    setup && is_ready
    logged 0 ""
}

test_a_second_checkout_shares_the_cache() {
    setup && is_ready
    : >"$here/log"
    rm "$here/checkout/.libtorch"
    setup && is_ready
    logged 0 ""
}

test_cache_is_in_the_home_folder_by_default() {
    setup PAVLOV_CACHE= && succeeds
    is_file "$here/home/.cache/pavlov/libtorch-2.11.0-cpu-x86_64/complete"
}

test_a_download_cut_short_goes_on_where_it_was() {
    setup FAKE_PIP=die
    [ "$status" != 0 ] || fail "it died"
    nothing_at "$here/cache/libtorch-2.11.0-cpu-x86_64"
    nothing_at "$here/checkout/.libtorch"
    setup && is_ready
    logged 1 "pip torch"
    logged 2 "pip nvidia-cuda-runtime"
}

test_unpacking_cut_short_is_never_used() {
    setup FAKE_UNPACK=die
    [ "$status" != 0 ] || fail "it died"
    nothing_at "$here/cache/libtorch-2.11.0-cpu-x86_64"
    nothing_at "$here/checkout/.libtorch"
    setup && is_ready
    logged 3 "pip"
}

test_a_folder_without_its_marker_is_made_anew() {
    mkdir -p "$here/cache/libtorch-2.11.0-cpu-x86_64/torch/lib"
    echo half >"$here/cache/libtorch-2.11.0-cpu-x86_64/torch/lib/libtorch_cpu.so"
    setup && is_ready
}

test_a_damaged_folder_is_made_anew() {
    setup && is_ready
    local lib=$here/checkout/.libtorch/lib
    echo short >"$lib/libtorch_cpu.so"
    setup && is_ready
    rm "$lib/libc10.so"
    setup && is_ready
    rm -r "$here/checkout/.libtorch/include/torch"
    setup && is_ready
}

test_two_at_once_bring_it_once() {
    (out=$here/out-of-another setup FAKE_PIP=meet && succeeds) &
    setup FAKE_PIP=meet && is_ready
    wait $! || fail "the other one succeeds"
    is_ready
    logged 3 "pip"
    [ "$(cat "$here/out" "$here/out-of-another" | grep -c "another process is at work")" = 1 ] || fail "one waits for the other"
}

test_two_at_once_without_flock() {
    rm "$bin/flock"
    test_two_at_once_bring_it_once
}

test_another_file_under_the_right_name_is_refused() {
    setup FAKE_PIP=other && refuses "is not the file that was asked for"
    nothing_at "$here/cache/libtorch-2.11.0-cpu-x86_64"
}

test_a_library_that_cannot_be_loaded_is_not_used() {
    fake ldd <<<'echo "libgone.so.1 => not found"'
    setup && refuses "libgone.so.1"
    nothing_at "$here/checkout/.libtorch"
}

# ---- Tests: CPU or CUDA

test_brings_cuda_where_a_driver_answers() {
    fake nvidia-smi <<<'echo "GPU 0: one"'
    setup && is_ready cuda
    is_file "$here/checkout/.libtorch/lib/libtorch_cuda.so"
    is_file "$here/checkout/.libtorch/../nvidia/cu13/lib/libcublas.so.13"
    is_file "$here/checkout/.libtorch/../nvidia/cu13/include/cuda.h"
    [ ! -L "$here/checkout/.libtorch/lib/libtorch.so" ] || fail "libtorch.so is the wheel's own"
    nothing_at "$here/checkout/.libtorch/lib/libtorch_python.so"
}

test_a_driver_that_does_not_answer_means_cpu() {
    fake nvidia-smi <<<'echo "no devices were found"; exit 6'
    setup && is_ready cpu
}

test_the_driver_s_own_library_may_be_missing() {
    fake ldd <<<'echo "libcuda.so.1 => not found"'
    setup PAVLOV_LIBTORCH=cuda && is_ready cuda
}

test_what_is_asked_for_wins_and_stays() {
    fake nvidia-smi <<<'echo "GPU 0: one"'
    setup PAVLOV_LIBTORCH=cpu && is_ready cpu
    setup && is_ready cpu
    says "PAVLOV_LIBTORCH=cuda make setup"
}

test_turning_to_another_libtorch_makes_torch_sys_build_anew() {
    setup && is_ready cpu
    logged 0 "cargo"
    setup PAVLOV_LIBTORCH=cuda && is_ready cuda
    logged 2 "cargo clean .*--package torch-sys"
}

test_an_unknown_kind_is_refused() { setup PAVLOV_LIBTORCH=gpu && refuses "cpu, cuda or auto"; }

# ---- Tests: a libtorch of the user's own

own() {
    mkdir -p "$here/own/lib" "$here/own/include"
    touch "$here/own/lib/libtorch_cpu.so"
    echo 2.11.0+cpu >"$here/own/build-version"
}

test_own_libtorch_wins() {
    own
    fake uname <<<'echo Darwin'
    setup LIBTORCH="$here/own" && succeeds && says "$here/own"
    logged 0 ""
    nothing_at "$here/checkout/.libtorch"
    nothing_at "$here/cache"
}

test_own_libtorch_that_is_none_is_refused() {
    setup LIBTORCH="$here/nowhere" && refuses "no such folder"
    setup LIBTORCH=own && refuses "not an absolute path"
    own && rm "$here/own/lib/libtorch_cpu.so"
    setup LIBTORCH="$here/own" && refuses "neither lib/libtorch.so nor lib/libtorch_cpu.so"
    own && rmdir "$here/own/include"
    setup LIBTORCH="$here/own" && refuses "no include folder"
    own && echo 2.9.1 >"$here/own/build-version"
    setup LIBTORCH="$here/own" && refuses "which is libtorch 2.9.1"
    says "Set LIBTORCH to a libtorch 2.11.0"
}

test_the_checkout_s_link_is_not_taken_for_the_user_s_own() { setup LIBTORCH="$here/checkout/.libtorch" && is_ready; }

# ---- Tests: what is missing is said

test_says_that_pip_is_missing() {
    fake python3 <<<"[ \"\$1 \$2\" != '-m pip' ] && exec $real_python \"\$@\""
    setup && refuses "pip is missing" && says "apt-get install python3-pip"
}

test_says_that_python_is_missing() { rm "$bin/python3" && setup && refuses "python3 is missing" && says "apt-get install python3"; }

test_says_that_the_compiler_is_missing() {
    rm "$bin/c++" && setup && refuses "no C++ compiler" && says "apt-get install g++"
    fake clang++ <<<'exit 0'
    setup && refuses "export CXX=clang++"
    setup CXX=clang++ && is_ready
    setup CXX=cl && refuses "CXX names cl"
}

test_says_that_cargo_is_missing() {
    rm "$bin/cargo" && setup && refuses "cargo is missing" && says "rustup"
    mkdir -p "$here/home/.cargo/bin" && cp "$bin/c++" "$here/home/.cargo/bin/cargo"
    setup && refuses "not on PATH" && says ".cargo/env"
}

test_says_that_the_disk_is_too_small() {
    echo 2000000 >"$here/free-kib"
    setup && refuses "has 1953 MiB free" && says "PAVLOV_CACHE"
    logged 0 "pip"
}

test_says_that_the_disk_ran_full() { setup FAKE_PIP=full && refuses "is full" && says "Make room"; }

test_says_that_the_network_is_down() { setup FAKE_PIP=fail && refuses "could not download torch==2.11.0" && says "network"; }

test_says_that_the_system_is_unknown() {
    fake uname <<<'case "$1" in -s) echo Darwin ;; -m) echo arm64 ;; esac'
    setup && refuses "Darwin arm64" && says "Set LIBTORCH to a libtorch 2.11.0"
}

test_says_that_the_c_library_is_too_old() {
    fake getconf <<<'echo glibc 2.17'
    setup && refuses "glibc 2.17"
    fake getconf <<<'exit 1'
    setup && refuses "another C library"
}

test_says_that_the_cache_cannot_be_made() { touch "$here/file" && setup PAVLOV_CACHE="$here/file/cache" && refuses "cannot be made"; }

test_leaves_a_folder_in_place_of_the_link_alone() {
    mkdir "$here/checkout/.libtorch" && touch "$here/checkout/.libtorch/mine"
    setup && refuses "is in the way"
    is_file "$here/checkout/.libtorch/mine"
    logged 0 "pip"
}

# ---- Tests: the lists, the compiler's message, TensorBoard

test_lists_name_the_version_and_a_sum_in_each_line() {
    grep -q "^torch==$(sed -n 's/^readonly VERSION=//p' "$scripts/setup-libtorch.sh") " "$scripts/libtorch-cpu.txt" || fail "one version"
    ! cat "$scripts"/libtorch-c*.txt | grep -vE '^#|^[a-z0-9-]+==[0-9.]+ --hash=sha256:[0-9a-f]{64}$' || fail "well-formed lines"
}

test_the_compiler_says_what_to_do_without_libtorch() {
    local include=$scripts/../build-support/no-libtorch
    ! CPLUS_INCLUDE_PATH=$include "${CXX:-c++}" -fsyntax-only -x c++ - <<<'#include <torch/torch.h>' 2>"$here/out" || fail "it fails"
    says "make setup"
    mkdir -p "$here/torch" && touch "$here/torch/torch.h"
    CPLUS_INCLUDE_PATH=$include "${CXX:-c++}" -I "$here" -fsyntax-only -x c++ - <<<'#include <torch/torch.h>' || fail "libtorch wins"
}

test_tensorboard_prints_its_python_alone() {
    run tensorboard-env.sh && succeeds
    local python
    python=$(cat "$here/result")
    PATH=$bin "$python" -c 'import tensorboard.backend.event_processing.event_accumulator' || fail "$python finds tensorboard"
    run tensorboard-env.sh && succeeds
    [ "$(cat "$here/result")" = "$python" ] || fail "the second call prints the same"
    logged 1 "pip"
}

test_tensorboard_that_failed_is_not_used() {
    run tensorboard-env.sh FAKE_PIP=fail && refuses "could not download TensorBoard"
    [ ! -s "$here/result" ] || fail "it prints no path"
    run tensorboard-env.sh && succeeds
    logged 2 "pip"
}

# ---- All of them

make_wheels
passed=0 failed=0
for name in $(compgen -A function test_); do
    wanted=no
    [ $# -gt 0 ] || wanted=yes
    for part in "$@"; do [[ $name != *$part* ]] || wanted=yes; done
    [ "$wanted" = yes ] || continue
    # Not in a condition: that would switch `set -e` off inside.
    set +e
    (set -e && prepare "$name" && "$name") >"$work/$name.out" 2>&1
    status=$?
    set -e
    if [ $status = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $name"
        cat "$work/$name.out"
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
