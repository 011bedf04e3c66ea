"""``Connector.debug``: the connector runs here, the engine as our child."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading

from . import _active, _protocol as p
from ._errors import SyncFailed, with_hint
from ._session import EXIT_INTERRUPTED, Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from .connector import Connector

ENGINE_VARIABLE = "SLUICE_ENGINE"
FIELDS_MAX = 100
CONFIGURATION_FILE = "configuration.json"


def debug(
    connector: Connector,
    project_path: Optional[str],
    configuration: Optional[Dict[str, str]],
    state: Optional[Dict[str, Any]],
    naming: Optional[str],
    log_level: int,
) -> None:
    """See ``Connector.debug``."""
    if _active.session is not None:
        _active.session.log(
            p.LEVEL_WARNING,
            'connector.debug() is ignored: this sync is already running; put it under if __name__ == "__main__":',
            library=True,
        )
        return
    project = os.path.realpath(project_path or _project_of(connector))
    if not os.path.isdir(project):
        raise FileNotFoundError(f"project directory {project} does not exist")
    if configuration is None:
        configuration = _read_configuration(project)
    check_configuration(configuration)
    if state is not None and not isinstance(state, dict):
        raise TypeError(f"state must be a dict, got {type(state).__name__}")
    prepare = json.dumps({"configuration": configuration, "state": state or None}).encode("ascii")
    command = [find_engine(), "_session", "--project", project, "--log-level", str(int(log_level))]
    if naming is not None:
        command += ["--naming", naming]
    _run(connector, project, command, prepare)


def _run(connector: Connector, project: str, command: List[str], prepare: bytes) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    sys.stdout.flush()
    with theirs:
        command = [*command[:2], "--fd", str(theirs.fileno()), *command[2:]]
        # A session of its own: Ctrl-C reaches us alone, and we stop at a checkpoint.
        engine = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        with ours:
            _send(ours, prepare)
            session = Session(ours, project, in_process=True)
            with _Interrupts(session):
                session.run(lambda: connector)
        # Our end is closed: the engine commits what it may and ends.
        code = engine.wait()
    except BaseException as error:
        ours.close()
        engine.terminate()
        engine.wait()
        if isinstance(error, KeyboardInterrupt):
            raise SystemExit(EXIT_INTERRUPTED) from None
        raise
    if code == EXIT_INTERRUPTED or session.interrupted and code:
        raise SystemExit(EXIT_INTERRUPTED)
    if code:
        how = f"with exit code {code}" if code > 0 else f"by signal {-code}"
        raise SyncFailed(f"the sync failed: the engine ended {how}; the lines above say why")


def _send(sock: socket.socket, prepare: bytes) -> None:
    """PREPARE comes first: configuration and state must not be arguments, which every user of the machine can read."""
    try:
        sock.sendall(struct.pack("<II", len(prepare), p.PREPARE) + prepare)
    except OSError:
        pass  # the engine has ended; its exit code tells


class _Interrupts:
    """Ctrl-C stops at the next checkpoint, a second one at once. Does nothing outside the main thread."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._previous: Any = None
        self._active = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> None:
        if not self._active:
            return

        def handler(number: int, frame: Any) -> None:
            self._interrupt()

        handler.sluice = True  # type: ignore[attr-defined]
        self._previous = signal.signal(signal.SIGINT, handler)

    def __exit__(self, *error: object) -> None:
        if self._active:
            signal.signal(signal.SIGINT, self._previous)

    def _interrupt(self) -> None:
        session = self._session
        if session.ending:
            return  # the last frames are being written
        if session.channel.closed:
            session.channel.raise_stopped()
        if session.interrupted:
            raise KeyboardInterrupt
        session.interrupted = True
        session.channel.stop_at_checkpoint("interrupted at a checkpoint")
        sys.stderr.write("\nstopping at the next checkpoint; press Ctrl-C again to stop at once\n")


def _project_of(connector: Connector) -> str:
    """Return the directory of the connector's code."""
    path = getattr(getattr(connector.update, "__code__", None), "co_filename", "")
    if os.path.isfile(path):
        return os.path.dirname(os.path.abspath(path))
    return os.getcwd()


def _read_configuration(project: str) -> Any:
    path = os.path.join(project, CONFIGURATION_FILE)
    try:
        with open(path, encoding="utf-8-sig") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from None


def check_configuration(configuration: Any) -> None:
    """Check that a configuration is a dict of at most 100 strings.

    Raises:
        TypeError: it is not a dict.
        ValueError: a value is not a str, or there are too many.
    """
    if not isinstance(configuration, dict):
        raise TypeError(
            f"invalid configuration: a dict of names and values is needed, got {type(configuration).__name__}"
        )
    if len(configuration) > FIELDS_MAX:
        raise ValueError(
            f"Configuration field count exceeds maximum of {FIELDS_MAX}. Reduce the field count."
        )
    for name, value in configuration.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise with_hint(
                ValueError,
                f"invalid configuration: all values must be strings, but {name!r} is {type(value).__name__}",
                f'write "{name}": "…" with quotes',
            )


def find_engine() -> str:
    """Return the path of the engine.

    Raises:
        FileNotFoundError: it is nowhere; the text lists the places.
    """
    given = os.environ.get(ENGINE_VARIABLE)
    package = os.path.dirname(os.path.abspath(__file__))
    places = (
        [given]
        if given
        else [
            os.path.join(package, "bin", "fivetran"),
            os.path.join(os.path.dirname(sys.executable), "fivetran"),
        ]
    )
    for place in places:
        if os.path.isfile(place) and os.access(place, os.X_OK):
            return place
    on_path = None if given else shutil.which("fivetran")
    if on_path:
        return on_path
    where = f"{ENGINE_VARIABLE}={given}" if given else ", ".join(places) + ", PATH"
    raise with_hint(
        FileNotFoundError,
        f"the engine `fivetran` was not found ({where})",
        "install the package again",
    )
