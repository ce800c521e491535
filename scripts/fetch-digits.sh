#!/usr/bin/env bash
# Brings scikit-learn's handwritten digits and prints the path of the table: 1797 pictures of 8 x 8 pixels from 0 to 16, ten
# classes (Alpaydin and Kaynak 1998, the test part of "Optical Recognition of Handwritten Digits").
#
#   scripts/fetch-digits.sh [FOLDER]
#
# The file is FOLDER/digits.csv; without FOLDER it lies in ${PAVLOV_CACHE:-${XDG_CACHE_HOME:-~/.cache}/pavlov}. It is a part of
# scikit-learn's package, which is downloaded for it (9 MB) and not kept.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly scripts
task=digits
# shellcheck source=scripts/lib.sh
. "$scripts/lib.sh"

readonly sum=6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8

if [ $# -gt 0 ]; then
    mkdir -p "$1" || fail "the folder $1 cannot be made" "Give another."
    cache=$(cd "$1" && pwd)
else
    find_cache
fi
table=$cache/digits.csv

checked() { [ -f "$1" ] && [ "$(sha256sum <"$1")" = "$sum  -" ]; }

if ! checked "$table"; then
    find_pip
    check_disk 50 "the download"
    lock "$table"
    if ! checked "$table"; then
        say "downloading scikit-learn, which has the digits in it"
        part=$(mktemp -d "$cache/digits.part.XXXXXX")
        trap 'rm -rf "$part"' EXIT
        # No build from source: the package is for its data alone.
        "${pip[@]}" download --quiet --no-deps --only-binary :all: --dest "$part" scikit-learn </dev/null >&2 ||
            pip_failed "scikit-learn"
        python3 - "$part" <<'PYTHON'
import glob, gzip, sys, zipfile

wheel, = glob.glob(sys.argv[1] + "/*.whl")
with zipfile.ZipFile(wheel) as archive:
    table = gzip.decompress(archive.read("sklearn/datasets/data/digits.csv.gz"))
with open(sys.argv[1] + "/digits.csv", "wb") as file:
    file.write(table)
PYTHON
        checked "$part/digits.csv" || fail "the table is not the one that this script was written for" \
            "scikit-learn has changed it: compare it with the package's 1.9.1, then correct the sum in this script."
        mv "$part/digits.csv" "$table"
    fi
fi
printf '%s\n' "$table"
