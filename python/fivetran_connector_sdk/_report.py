"""Exceptions of a connector, as the engine is told about them."""

from __future__ import annotations

import os

from ._errors import split_hint
from ._modules import standard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep

# Imports whose distribution has another name.
_DISTRIBUTIONS = {
    "Crypto": "pycryptodome",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyOpenSSL",
    "PIL": "Pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "jwt": "PyJWT",
    "psycopg2": "psycopg2-binary",
    "pymssql": "pymssql",
    "serial": "pyserial",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}


def describe(
    error: BaseException, phase: str, project: Optional[str], in_process: bool
) -> Dict[str, Any]:
    """Return the ERROR object of an exception.

    Args:
        error: what left the author's code.
        phase: load, schema, update or op.
        project: the project directory, whose innermost frame is named.
        in_process: the author started the script; missing modules are theirs to install.
    """
    message, hint = split_hint(error)
    place = _place(error, project)
    return {
        "phase": phase,
        "type": type(error).__name__,
        "message": message or type(error).__name__,
        "hint": hint or _hint(error, in_process),
        "file": place[0],
        "line": place[1],
        "function": place[2],
        "traceback": format_traceback(error),
        "exit": _exit_code(error) if isinstance(error, SystemExit) else None,
    }


def format_traceback(error: BaseException) -> str:
    """Return the traceback text without frames of this package and of the import system."""
    traceback = standard("traceback")
    report = traceback.TracebackException(type(error), error, error.__traceback__)
    seen = set()
    waiting = [report]
    while waiting:
        part: Any = waiting.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        part.stack = traceback.StackSummary.from_list(
            [frame for frame in part.stack if not _is_ours(frame.filename)]
        )
        waiting += [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or ())]
    return "".join(report.format())


def _is_ours(filename: str) -> bool:
    return filename.startswith((_PACKAGE, "<frozen importlib", "<frozen runpy"))


def _place(
    error: BaseException, project: Optional[str]
) -> "tuple[Optional[str], Optional[int], Optional[str]]":
    """Return (file, line, function) of the innermost frame inside the project."""
    if project is None:
        return None, None, None
    root = os.path.realpath(project) + os.sep
    if (
        isinstance(error, SyntaxError)
        and error.filename
        and os.path.realpath(error.filename).startswith(root)
    ):
        return os.path.realpath(error.filename)[len(root) :], error.lineno, None
    found: "tuple[Optional[str], Optional[int], Optional[str]]" = (None, None, None)
    for frame, line in standard("traceback").walk_tb(error.__traceback__):
        path = os.path.realpath(frame.f_code.co_filename)
        if path.startswith(root) and not _is_ours(path) and "site-packages" not in path:
            found = (path[len(root) :], line, frame.f_code.co_name)
    return found


def _hint(error: BaseException, in_process: bool) -> Optional[str]:
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        package = _DISTRIBUTIONS.get(top, top)
        if in_process:
            return (
                f"pip install {package}, or run `fivetran debug`, which installs requirements.txt"
            )
        return f"add {package} to requirements.txt"
    if isinstance(error, SystemExit):
        return (
            "raise an exception, or call op.error(): rows after the last checkpoint were discarded"
        )
    return None


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    return error.code if isinstance(error.code, int) else 1
