"""Reads the data file of Debian's package bible-kjv-text and writes it as plain text: a verse a line, without references.

    python3 scripts/read-bible.py bible.data king-james.txt

The file begins with `EC02`. At byte 84 it has three big-endian words, the size of a window, their number and the file's
place of the first, and then the places of all windows from that one on. A window is 64 KiB of text in the format of
compress(1) without its first three bytes, which gzip reads.
"""

import re
import struct
import subprocess
import sys

MAGIC = b"\x1f\x9d\x90"
REFERENCE = re.compile(r"^([1-3]?[A-Za-z]+)(\d+):(\d+) (.*)$")


def windows(data):
    if data[:4] != b"EC02":
        sys.exit("read-bible: the file does not begin with EC02")
    _size, count, first = struct.unpack(">3I", data[84:96])
    places = [first, *struct.unpack(f">{count - 1}I", data[96 : 92 + 4 * count]), len(data)]
    for begin, end in zip(places, places[1:]):
        packed = MAGIC + data[begin:end]
        # gzip says 2 where zeros follow the end.
        done = subprocess.run(["gzip", "-dc"], input=packed, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if done.returncode not in (0, 2) or not done.stdout:
            sys.exit(f"read-bible: the window at byte {begin} cannot be unpacked")
        yield done.stdout


def main():
    with open(sys.argv[1], "rb") as file:
        text = b"".join(windows(file.read())).decode("ascii")
    chapter, lines, verses = None, [], 0
    # The first line names the edition.
    for line in text.splitlines()[1:]:
        match = REFERENCE.match(line)
        if not match:
            sys.exit(f"read-bible: this line is no verse: {line[:60]!r}")
        book, number, _verse, words = match.groups()
        if chapter not in (None, (book, number)):
            lines.append("")
        chapter = (book, number)
        lines.append(words)
        verses += 1
    if verses != 31_102:
        sys.exit(f"read-bible: {verses} verses were found, and there are 31102")
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


main()
