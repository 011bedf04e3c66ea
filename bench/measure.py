"""Run a command and say what its whole process tree cost."""

import os
import subprocess
import threading
import time

PAGE = os.sysconf("SC_PAGE_SIZE")


def tree(pid):
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        found.append(p)
        try:
            for thread in os.listdir(f"/proc/{p}/task"):
                with open(f"/proc/{p}/task/{thread}/children") as f:
                    todo += map(int, f.read().split())
        except OSError:
            pass  # it has just ended
    return found


def _resident(pid):
    total = 0
    for p in tree(pid):
        try:
            with open(f"/proc/{p}/statm") as f:
                total += int(f.read().split()[1])
        except (OSError, IndexError):
            pass
    return total * PAGE


class Cost:
    """wall and cpu in seconds (cpu: user and system of the tree), memory in MB: the highest sum of the
    resident sizes over the tree (pages that processes share count for each)."""

    def __init__(self, code, output, wall, cpu, memory):
        self.code, self.output = code, output
        self.wall, self.cpu, self.memory = wall, cpu, memory


def run(command, cwd=None, env=None, timeout=900):
    """Run to the end, standard output and error together in .output."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    said = []
    reader = threading.Thread(target=lambda: said.append(process.stdout.read()), daemon=True)
    reader.start()
    peak = 0
    pid = 0
    while pid == 0:
        peak = max(peak, _resident(process.pid))
        if time.perf_counter() - started > timeout:
            os.killpg(process.pid, 9)
        # Short runs are asked often, so that their length is not rounded up to the interval.
        time.sleep(0.002 if time.perf_counter() - started < 0.5 else 0.02)
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join(10)
    output = b"".join(said).decode(errors="replace")
    return Cost(
        process.returncode, output, wall, usage.ru_utime + usage.ru_stime, max(peak, 0) / 1e6
    )
