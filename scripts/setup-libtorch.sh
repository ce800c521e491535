#!/usr/bin/env bash
# Brings libtorch and links it into the checkout as .libtorch, where cargo looks for it.
#
#   scripts/setup-libtorch.sh                       CUDA where an NVIDIA driver answers, else CPU; keeps what is linked already
#   PAVLOV_LIBTORCH=cpu|cuda|auto scripts/setup-libtorch.sh      asks for one of them
#   LIBTORCH=/path scripts/setup-libtorch.sh        checks a libtorch of your own and leaves everything else alone
#
# libtorch lies in ${PAVLOV_CACHE:-${XDG_CACHE_HOME:-~/.cache}/pavlov}, shared by all checkouts. It comes from the wheels named
# in libtorch-cpu.txt and libtorch-cuda.txt beside this script; of them only the libraries and headers are kept. A folder in
# the cache is complete or is not there: it is put together beside and renamed at the end.
set -euo pipefail

readonly VERSION=2.11.0
# A change to what is kept of the wheels needs another number here, so that older folders are made anew.
readonly LAYOUT=1
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=$(dirname "$scripts")
readonly scripts checkout link=$checkout/.libtorch

task=setup
# shellcheck source=scripts/lib.sh
. "$scripts/lib.sh"

# ---- What the build needs, whoever brings libtorch

check_build_tools() {
    if ! has cargo; then
        [ ! -x "${HOME:-}/.cargo/bin/cargo" ] || fail "cargo is installed but not on PATH" \
            "Run '. \"\$HOME/.cargo/env\"' in this shell, then this again."
        fail "cargo is missing" "Install Rust (stable) with rustup, then run this again."
    fi
    if ! has "${CXX:-c++}"; then
        [ -z "${CXX:-}" ] || fail "CXX names $CXX, and there is no such C++ compiler" "Correct or unset CXX, then run this again."
        local other
        for other in g++ clang++; do
            ! has "$other" || fail "there is $other but no c++, which cargo calls" "Run 'export CXX=$other', then this again."
        done
        fail "no C++ compiler was found (c++, g++ or clang++)" \
            "Debian, Ubuntu: apt-get install g++    Fedora: dnf install gcc-c++    Arch: pacman -S gcc" \
            "Then run this again."
    fi
}

# ---- A libtorch of the user's own

check_own_libtorch() {
    local what="LIBTORCH is set to $LIBTORCH"
    local advice=("Set LIBTORCH to a libtorch $VERSION (the folder that holds lib and include), or unset it and run this again.")
    [ "${LIBTORCH:0:1}" = / ] || fail "$what, which is not an absolute path" "${advice[@]}"
    [ -d "$LIBTORCH" ] || fail "$what, and there is no such folder" "${advice[@]}"
    [ -f "$LIBTORCH/lib/libtorch.so" ] || [ -f "$LIBTORCH/lib/libtorch_cpu.so" ] || [ -f "$LIBTORCH/lib/libtorch_cpu.dylib" ] ||
        fail "$what, and there is neither lib/libtorch.so nor lib/libtorch_cpu.so in it" "${advice[@]}"
    [ -d "$LIBTORCH/include" ] || fail "$what, and there is no include folder in it" "${advice[@]}"
    # The same test as torch-sys makes, with the same way around it.
    if [ -f "$LIBTORCH/build-version" ] && [ -z "${LIBTORCH_BYPASS_VERSION_CHECK+set}" ]; then
        local version
        version=$(cat "$LIBTORCH/build-version")
        case "$version" in
        "$VERSION" | "$VERSION"+*) ;;
        *) fail "$what, which is libtorch $version" "${advice[@]}" ;;
        esac
    fi
    say "using your own libtorch, from LIBTORCH: $LIBTORCH"
}

# ---- What is there, what is wanted

# Only what cannot be told from the marker is looked at: names and sizes of all libraries, so that a folder that was cut short
# (a full disk, a copied cache) is never used. Takes milliseconds.
contents() { (cd "$1" && find torch/lib nvidia/*/lib torch/build-version ! -type d -printf '%p %s %l\n' | LC_ALL=C sort); }

is_complete() {
    [ -f "$1/complete" ] && [ -d "$1/torch/include/torch" ] &&
        [ "$(cat "$1/complete")" = "$(echo "libtorch $VERSION layout $LAYOUT" && contents "$1" 2>/dev/null)" ]
}

folder_of() { printf '%s/libtorch-%s-%s-x86_64' "$cache" "$VERSION" "$1"; }

# Sets `variant`.
choose_variant() {
    case "${PAVLOV_LIBTORCH:-auto}" in
    cpu | cuda) variant=$PAVLOV_LIBTORCH && return ;;
    auto) ;;
    *) fail "PAVLOV_LIBTORCH is '$PAVLOV_LIBTORCH'; it can be cpu, cuda or auto" ;;
    esac
    for variant in cuda cpu; do
        if [ "$(readlink "$link")" = "$(folder_of $variant)/torch" ] && is_complete "$(folder_of $variant)"; then
            return
        fi
    done
    variant=cpu
    if has nvidia-smi && [[ $(timeout 60 nvidia-smi -L 2>/dev/null) == GPU* ]]; then
        variant=cuda
    fi
}

check_platform() {
    local system libc
    system="$(uname -s) $(uname -m)"
    [ "$system" = "Linux x86_64" ] || fail "there is no ready libtorch for $system, only for Linux x86_64" \
        "Set LIBTORCH to a libtorch $VERSION for this machine (the folder that holds lib and include)."
    libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || libc="another C library than glibc"
    # In order, `glibc 2.28` comes first. Another library's line sorts after it too, so the name is compared as well.
    if [ "${libc%% *}" != glibc ] || ! printf 'glibc 2.28\n%s\n' "$libc" | sort -V -C; then
        fail "this system has $libc; libtorch needs glibc 2.28 or newer" \
            "Set LIBTORCH to a libtorch $VERSION for this machine (the folder that holds lib and include)."
    fi
}

# ---- Download, unpack, check, rename

requirements() {
    local files=("$scripts/libtorch-cpu.txt")
    [ "$variant" = cpu ] || files+=("$scripts/libtorch-cuda.txt")
    grep -hv '^#' "${files[@]}"
}

# Prints the wheel of a requirement, if it has come whole; removes it, if it was cut short.
downloaded() {
    local requirement=${1%% *} sum=${1##*:} wheel name
    name=${requirement%%==*}
    for wheel in "$part/wheels/${name//-/_}-${requirement##*==}"-*.whl; do
        if [ -f "$wheel" ] && echo "$sum  $wheel" | sha256sum --check --status; then
            echo "$wheel"
            return 0
        fi
        rm -f "$wheel"
    done
    return 1
}

# Wheels for one Python are asked for whatever the local one is: they are only unpacked.
download() {
    echo "$1" >"$part/requirement.txt"
    # pip's own temporary files are as large as the wheel: they too belong on the disk that was checked.
    TMPDIR="$part/tmp" "${pip[@]}" download --no-deps --no-cache-dir --require-hashes --dest "$part/wheels" \
        --only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 --platform manylinux_2_28_x86_64 \
        --platform manylinux_2_27_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux_2_18_x86_64 \
        --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --platform manylinux2010_x86_64 \
        --platform manylinux1_x86_64 --requirement "$part/requirement.txt" ||
        pip_failed "${1%% *}" "Without a network: set LIBTORCH to a libtorch $VERSION of your own."
}

# unpack WHEEL FOLDER PATTERN...: the files of the wheel whose names match a pattern ('*' matches '/' too).
unpack() {
    python3 - "$@" <<'PYTHON'
import fnmatch, sys, zipfile
wheel, folder, patterns = sys.argv[1], sys.argv[2], sys.argv[3:]
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if not name.endswith("/") and any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            archive.extract(name, folder)
PYTHON
}

# assemble FOLDER WHEEL...: puts libtorch together from the wheels, laid out as there, since libraries find each other by that.
assemble() {
    local tree=$1 wheel
    shift
    local keep=('torch/include/*' 'torch/lib/libtorch_cpu.so' 'torch/lib/libc10.so' 'torch/lib/libgomp.so.1')
    if [ "$variant" = cpu ]; then
        keep+=('nvidia/*/lib/libcudart.so.*' 'nvidia/*/lib/libcupti.so.*')
    else
        keep+=('torch/lib/libtorch.so' 'torch/lib/libtorch_cuda*.so' 'torch/lib/libtorch_nvshmem.so' 'torch/lib/libc10_cuda.so'
            'torch/lib/libcaffe2_nvrtc.so' 'nvidia/*/lib/*.so' 'nvidia/*/lib/*.so.*' 'nvidia/*/include/*')
    fi
    for wheel; do
        unpack "$wheel" "$tree" "${keep[@]}" ||
            fail "${wheel##*/} could not be unpacked (the message is above)" "Run this again. Is the disk of $cache full?"
    done
    # The wheel's own libtorch.so, which holds no code, asks for CUDA.
    [ -e "$tree/torch/lib/libtorch.so" ] || ln -s libtorch_cpu.so "$tree/torch/lib/libtorch.so"
    # `-lgomp` finds the library that libtorch runs on, with any compiler.
    ln -s libgomp.so.1 "$tree/torch/lib/libgomp.so"
    echo "$VERSION" >"$tree/torch/build-version"
}

# Every library must find all that it needs. The driver's own library is not there on a machine without a GPU.
check_libraries() {
    local tree=$1 answer missing library
    for library in "$tree"/torch/lib/libtorch*.so; do
        answer=$(ldd "$library" 2>&1) || fail "${library##*/} is not a library that this system can load:" "$answer"
        missing=$(grep 'not found' <<<"$answer" | grep -v 'libcuda\.so\.1' || true)
        [ -z "$missing" ] || fail "${library##*/} needs what this system does not have:" "$missing"
    done
}

bring() {
    local part=$folder.part count requirement wheel wheels=()
    if [ "$variant" = cpu ]; then check_disk 3000 "bringing libtorch"; else check_disk 7000 "bringing libtorch for CUDA"; fi
    count=$(requirements | wc -l)
    say "bringing libtorch $VERSION ($variant) to $folder"
    # Wheels of an interrupted set-up are kept; half-written and half-unpacked files are not.
    mkdir -p "$part/wheels"
    rm -rf "$part/tree" "$part/tmp"
    mkdir "$part/tree" "$part/tmp"
    while IFS= read -r requirement; do
        if ! wheel=$(downloaded "$requirement"); then
            say "downloading ${requirement%% *} ($((${#wheels[@]} + 1)) of $count)"
            download "$requirement" </dev/null
            wheel=$(downloaded "$requirement") ||
                fail "pip reported no error, but ${requirement%% *} is not the file that was asked for" \
                    "Run this again; if it stays so, a proxy or mirror between this machine and PyPI changes files."
        fi
        wheels+=("$wheel")
    done < <(requirements)
    say "unpacking"
    assemble "$part/tree" "${wheels[@]}"
    check_libraries "$part/tree"
    { echo "libtorch $VERSION layout $LAYOUT" && contents "$part/tree"; } >"$part/complete"
    mv "$part/complete" "$part/tree/complete"
    rm -rf "$folder"
    mv -T "$part/tree" "$folder"
    rm -rf "$part"
}

# ---- The checkout's link

link_into_checkout() {
    local target=$folder/torch before
    before=$(readlink "$link" || true)
    [ "$before" != "$target" ] || return 0
    # Renamed over the old one: at no moment is there none.
    ln -s "$target" "$link.$$" && mv -T "$link.$$" "$link"
    # Build scripts look at the time of this file to see that the link was turned.
    touch "$target/build-version"
    if [ -n "$before" ] && [ "${before%-x86_64/torch}" != "$before" ]; then
        # torch-sys does not look, and it names the libraries to link.
        local profile
        for profile in dev release; do
            cargo clean --quiet --offline --package torch-sys --profile "$profile" --manifest-path "$checkout/Cargo.toml" 2>/dev/null ||
                true
        done
    fi
}

main() {
    check_build_tools
    # The link that this script makes is no libtorch of the user's own.
    if [ -n "${LIBTORCH:-}" ] && [ "${LIBTORCH%/}" != "$link" ]; then
        check_own_libtorch
        return
    fi
    check_platform
    [ -L "$link" ] || [ ! -e "$link" ] || fail "$link is in the way: it is not a link" "Move it away, then run this again."
    find_cache
    choose_variant
    folder=$(folder_of "$variant")
    if ! is_complete "$folder"; then
        find_pip
        lock "$folder"
        # Another set-up may have brought it in the meantime.
        is_complete "$folder" || bring
    fi
    link_into_checkout
    say "libtorch $VERSION ($variant) is ready: $folder"
    if [ "$variant" = cpu ] && [ "${PAVLOV_LIBTORCH:-auto}" = auto ] && has nvidia-smi; then
        say "for the GPU: PAVLOV_LIBTORCH=cuda make setup"
    fi
}

main
