"""The guard of a worker: a process beside it that ends the processes which its environments have started.

A simulator would otherwise outlive a worker that is killed, or whose environments do not close it. The guard
waits for the end of the worker and of the process that the worker serves. It then kills the worker's process
group, and whatever else has the worker's mark in its environment: some environments give their simulator a
session of its own.
"""

import os
import select
import signal
import time

# The environment variable whose value is the mark of one worker. The other process sets it.
MARK = "PAVLOV_WORKER"
# Seconds that the environments have to close once the other process is gone.
GRACE = 3.0


def start_guard():
    """Makes this process, the worker, the leader of a process group, and starts its guard. To be called before
    any thread or environment exists."""
    try:
        os.setsid()
    except PermissionError:
        pass  # It leads a group already.
    worker, served = os.getpid(), os.getppid()
    if os.fork() == 0:
        try:
            guard(worker, served)
        finally:
            os._exit(0)


def guard(worker, served):
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # The conversation ends when its last holder is gone: that is to be the worker.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    wait_for_end(worker, served)
    kill_group(worker)
    kill_marked()


def wait_for_end(worker, served):
    """Waits until the worker ends, or until its time is up after the end of the process that it serves."""
    poll, served_end, deadline = select.poll(), None, None
    try:
        served_end = os.pidfd_open(served)
        poll.register(served_end, select.POLLIN)
        poll.register(os.pidfd_open(worker), select.POLLIN)
    except (AttributeError, OSError):
        pass  # Not on every system. The loop then notices the worker's end within a second.
    while os.getppid() == worker and (deadline is None or time.monotonic() < deadline):
        ended = [descriptor for descriptor, _ in poll.poll(1000)]
        if served_end in ended:
            poll.unregister(served_end)
            deadline = time.monotonic() + GRACE + 1.0


def kill_group(worker):
    try:
        os.killpg(worker, signal.SIGKILL)
    except OSError:
        pass  # Nobody is left in it.


def kill_marked():
    # A process may start another one while they are looked for.
    for _ in range(20):
        found = marked()
        if not found:
            break
        for process in found:
            try:
                os.kill(process, signal.SIGKILL)
            except OSError:
                pass  # It has ended meanwhile.
        time.sleep(0.01)


def marked():
    """The processes that live and have the mark of this worker, the guard itself left out."""
    value, found = os.environ.get(MARK), []
    if not value or not os.path.isdir("/proc/self"):
        return found
    mark = f"{MARK}={value}".encode()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if mark in file.read().split(b"\0"):
                        found.append(int(name))
            except OSError:
                pass  # It has ended, or belongs to somebody else.
    return found
