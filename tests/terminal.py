"""A program on a terminal of its own, for tests that type.

    code, shown = terminal.talk(lambda side: Popen(…, stdin=side, stdout=side, stderr=side), [("Name", "x"), ("Key", "y")])

An answer is typed when its question (a regular expression) stands there: never a fixed wait. CTRL_C is the key.
"""

import os
import pty
import re
import select
import termios
import time

CTRL_C = "\x03"


def echoes(fd):
    """Whether what is typed is shown."""
    return bool(termios.tcgetattr(fd)[3] & termios.ECHO)


def talk(start, answers=(), timeout=60, session=False, on_end=None):
    """Returns (exit code, all that was shown). session: the terminal is the program's own, so that Ctrl-C reaches it (start the
    program with start_new_session=True). on_end(fd) is called with the terminal after the program ended."""
    main, side = pty.openpty()
    process = start(side)
    shown, waiting, seen = "", list(answers), 0
    deadline = time.monotonic() + timeout
    if not session and on_end is None:
        os.close(side)
        side = -1
    try:
        while time.monotonic() < deadline:
            ready, _, _ = select.select([main], [], [], 0.1)
            try:
                data = os.read(main, 65536) if ready else b""
            except OSError:
                break
            if (ready and not data) or (not ready and process.poll() is not None):
                break
            shown += data.decode(errors="replace")
            if waiting and re.search(waiting[0][0], shown[seen:], re.S):
                seen = len(shown)
                text = waiting.pop(0)[1]
                os.write(main, (text if text == CTRL_C else text + "\n").encode())
        code = process.wait(timeout=10)
        if on_end is not None:
            on_end(side)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(main)
        if side >= 0:
            os.close(side)
    assert not waiting, f"never asked: {waiting[0][0]}\n{shown}"
    return code, shown.replace("\r\n", "\n")
