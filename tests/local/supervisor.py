"""Runs one program of the local stack, and sees to it that nothing outlives the stack.

    python3 -I -S supervisor.py GRACE_S PROGRAM [ARGUMENT]...

Whoever starts it holds the other end of its standard input. When that end closes (the holder stopped, or was killed in any
way), or a signal asks for it, the program is asked to end, is given GRACE_S seconds, and then it and every descendant are
killed, also those that moved to process groups of their own. Standard library only: it has to start in milliseconds.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
# How long a killed process may take to disappear from the process table.
REAP_LIMIT_S = 5.0


def prctl(option, value):
    """Linux only; elsewhere process groups have to do."""
    try:
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
    except (OSError, AttributeError):
        pass


def parents():
    """Every process on this machine with its parent, from /proc."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:
                # The command may hold blanks and brackets: read behind its last bracket.
                fields = stat.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields[0] not in (b"Z", b"X"):
            found[int(name)] = int(fields[1])
    return found


def descendants():
    """Whatever descends from this process. Orphans count: the kernel gives them to the subreaper."""
    table = parents()
    children = {}
    for process, parent in table.items():
        children.setdefault(parent, []).append(process)
    found, unseen = [], [os.getpid()]
    while unseen:
        for child in children.get(unseen.pop(), []):
            found.append(child)
            unseen.append(child)
    return found


def send(process, number):
    try:
        os.kill(process, number)
    except OSError:
        pass


def reap():
    """Collects ended children, orphans too."""
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if process == 0:
            return
        ended[process] = status


def wait_for(process, seconds):
    """Whether the process ended in time."""
    limit = time.monotonic() + seconds
    while True:
        reap()
        if process in ended:
            return True
        left = limit - time.monotonic()
        if left <= 0:
            return False
        select.select([woken_by], [], [], min(left, 0.05))
        drain(woken_by)


def drain(pipe):
    try:
        while os.read(pipe, 512):
            pass
    except OSError:
        pass


def kill_everything(group):
    """Until nobody is left: a process may start another while it is being killed."""
    if not os.path.isdir("/proc/self"):
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            pass
        wait_for(group, REAP_LIMIT_S)
        return
    limit = time.monotonic() + REAP_LIMIT_S
    while time.monotonic() < limit:
        alive = descendants()
        if not alive:
            return
        for process in alive:
            send(process, signal.SIGKILL)
        time.sleep(0.005)
        reap()


def prepare_child():
    os.setpgid(0, 0)
    # Should the supervisor itself be killed, at least the program goes with it.
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main():
    global woken_by
    grace_s, command = float(sys.argv[1]), sys.argv[2:]
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    woken_by, wakes = os.pipe()
    for end in (woken_by, wakes):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    asked_to_stop = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: asked_to_stop.append(received))
    signal.signal(signal.SIGCHLD, lambda *_: None)

    try:
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=prepare_child).pid
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127

    while program not in ended and not asked_to_stop:
        readable, _, _ = select.select([0, woken_by], [], [])
        drain(woken_by)
        if 0 in readable and not os.read(0, 512):
            break
        reap()

    if program not in ended and grace_s > 0:
        send(program, signal.SIGTERM)
        wait_for(program, grace_s)
    kill_everything(program)
    return os.waitstatus_to_exitcode(ended.get(program, 0)) % 256


ended = {}
woken_by = -1

if __name__ == "__main__":
    sys.exit(main())
