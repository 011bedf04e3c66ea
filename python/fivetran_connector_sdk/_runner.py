"""Entry of the child process: ``python -m fivetran_connector_sdk._runner --fd N --project DIR``."""

from __future__ import annotations

import os
import socket
import sys

from ._session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

USAGE = "usage: python -m fivetran_connector_sdk._runner --fd N --project DIR"
EXIT_USAGE = 2


def _die_with_parent() -> None:
    """Ask the kernel for a signal when the engine dies; without the C module the closed socket must do."""
    try:
        from ._cframes import die_with_parent
    except ImportError:
        return
    die_with_parent()


def main(arguments: List[str]) -> int:
    """Run one sync for the engine that started this process. Return the exit code."""
    options = dict(zip(arguments[::2], arguments[1::2]))
    if (
        len(arguments) != 4
        or set(options) != {"--fd", "--project"}
        or not options["--fd"].isdigit()
    ):
        print(USAGE, file=sys.stderr)
        return EXIT_USAGE
    project = os.path.realpath(options["--project"])
    _die_with_parent()
    sock = socket.socket(fileno=int(options["--fd"]))
    sock.set_inheritable(False)

    from ._project import load_connector

    # `python -m` put the current directory in front; the project's own modules come from the project.
    if sys.path and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]
    return Session(sock, project, in_process=False).run(lambda: load_connector(project))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
