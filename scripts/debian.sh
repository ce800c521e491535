# shellcheck shell=bash disable=SC2034,SC2154
# Data from Debian's packages. Sourced by the scripts that fetch it, after lib.sh; nothing is installed.

# need_debian [PROGRAM ...]: the programs are there, and those that fetch packages.
need_debian() {
    local program
    for program in apt-get dpkg-deb "$@"; do
        has "$program" || fail "$program is missing" "Debian and Ubuntu have it. Elsewhere, fetch the package by hand from packages.debian.org."
    done
}

# unpack PACKAGE: downloads it and lays its files into $work/PACKAGE.
unpack() {
    mkdir "$work/$1"
    # apt fetches as a user of its own, who has to be able to write here.
    mkdir -m 777 "$work/$1.deb"
    chmod 755 "$work"
    (cd "$work/$1.deb" && apt-get -qq download "$1") ||
        fail "the package $1 could not be downloaded" "Is the network up? 'apt-get update' brings the lists that it is looked up in."
    dpkg-deb -x "$work/$1.deb"/*.deb "$work/$1" || fail "the package $1 could not be unpacked"
}
