"""Holds Gymnasium environments for another process and steps them on its command.

Started with a socket as standard input and a nameless file of shared memory as standard output:

* The socket carries commands of two bytes: the call, and the one of two places to which observations are to be
  written (so that the last ones stay whole if this process dies during the next call). Each is answered by one
  byte, followed by a length and a body if there is more to say.
* Everything else stands in the shared memory: actions and seeds one way, observations, rewards and ends the other.

The output of the environments goes to standard error, which the other process keeps for its messages.

This file is run behind `spaces.py`, `making.py`, `worlds.py` and `guard.py` as one program.
"""

import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
import traceback

# Seconds for which staying awake for the next command pays, since being woken costs time.
SPIN = 100e-6
# After a wait that was longer, so many waits sleep at once.
RESTS = 16


def take_descriptors():
    """The socket and the shared memory, away from where an environment could read or print into them."""
    conversation, memory = socket.socket(fileno=os.dup(0)), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True)
    return conversation, memory


def end_with(conversation):
    """Ends this process some time after the other is gone, even from within an environment that never returns."""

    def watch():
        poll = select.poll()
        poll.register(conversation, select.POLLHUP)
        while not any(event & (select.POLLHUP | select.POLLNVAL) for _, event in poll.poll()):
            pass
        time.sleep(GRACE)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def receive(conversation, size):
    """As many bytes, or None when the other process has hung up."""
    data = conversation.recv(size, socket.MSG_WAITALL)
    return data if len(data) == size else None


def receive_json(conversation):
    size = receive(conversation, 4)
    data = size and receive(conversation, *struct.unpack("=I", size))
    return json.loads(data) if data else None


def send(conversation, status, *parts):
    body = b"".join(parts)
    conversation.sendall(status + struct.pack("=I", len(body)) + body)


def send_json(conversation, status, value):
    send(conversation, status, json.dumps(value).encode())


def send_failure(conversation, error, row):
    traceback.print_exc()
    send_json(conversation, b"!", {"kind": "raised", "message": f"{type(error).__name__}: {error}", "row": row})


def send_picture(conversation, picture):
    if isinstance(picture, str):
        send(conversation, b"t", picture.encode())
    elif isinstance(picture, np.ndarray) and picture.ndim == 3 and picture.shape[2] == 3:
        height, width, _ = picture.shape
        send(conversation, b"f", struct.pack("=II", width, height), picture.astype(np.uint8).tobytes())
    else:
        send(conversation, b"n")


def prepare(conversation, descriptor):
    """Makes the environments and shares them; None when that cannot be."""
    request = receive_json(conversation)
    if request is None:
        return None
    try:
        worlds = make_worlds(request)
        description = {"observations": describe(worlds.observations), "actions": describe(worlds.actions)}
        description["limit"] = worlds.limit
    except Refused as refused:
        send_json(conversation, b"!", refused.told)
        return None
    except Exception as error:
        send_failure(conversation, error, None)
        return None
    send_json(conversation, b"=", description)
    layout = receive_json(conversation)
    if layout is None:
        return None
    worlds.share(Memory(descriptor, layout))
    conversation.sendall(b".")
    return worlds


def commands(conversation):
    """The commands, until the other process hangs up. While they follow each other closely, this process stays
    awake between them and yields the core to other threads."""
    rests = 0
    while True:
        command, deadline = None, time.perf_counter() + SPIN
        while not rests and command is None and time.perf_counter() < deadline:
            try:
                command = conversation.recv(2, socket.MSG_DONTWAIT)
            except BlockingIOError:
                os.sched_yield()
        if command is None:
            rests = rests - 1 if rests else RESTS
            command = receive(conversation, 2)
        if not command:
            return
        yield command


def serve(conversation, worlds):
    calls = {ord("r"): worlds.reset, ord("s"): worlds.step}
    for command in commands(conversation):
        call, place = command
        try:
            if call == ord("p"):
                send_picture(conversation, worlds.picture())
                continue
            calls[call](place)
        except Exception as error:
            send_failure(conversation, error, worlds.row)
            continue
        if worlds.infos.news:
            worlds.infos.news = False
            send_json(conversation, b"+", list(worlds.infos.places))
        else:
            conversation.sendall(b".")


def main():
    # The other process handles the terminal's interrupt: it closes the environments.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    start_guard()
    conversation, descriptor = take_descriptors()
    end_with(conversation)
    if worlds := prepare(conversation, descriptor):
        try:
            serve(conversation, worlds)
        except OSError:
            pass  # The other process died.
        worlds.close()


main()
