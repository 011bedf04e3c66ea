"""Log lines of a connector: ``from fivetran_connector_sdk import Logging as log``."""

from __future__ import annotations

from enum import IntEnum

from . import _active

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional


class Logging:
    """Log lines. In a run they go to the engine; before one, to stderr."""

    class Level(IntEnum):
        """Levels, the least important first."""

        DEBUG = 1
        FINE = 2
        INFO = 3
        WARNING = 4
        ERROR = 5
        SEVERE = 6
        CRITICAL = 7

    #: Lines below this are dropped. Set at the start of each run.
    LOG_LEVEL: Level = Level.INFO

    @staticmethod
    def debug(message: str) -> None:
        """Log details for the author."""
        _log(Level.DEBUG, message, None)

    @staticmethod
    def fine(message: str) -> None:
        """Log details for the author."""
        _log(Level.FINE, message, None)

    @staticmethod
    def info(message: str) -> None:
        """Log progress."""
        _log(Level.INFO, message, None)

    @staticmethod
    def warning(message: str) -> None:
        """Log something the user should look at."""
        _log(Level.WARNING, message, None)

    @staticmethod
    def error(message: str, exception: Optional[BaseException] = None) -> None:
        """Log an error, with the exception's last frame if one is given."""
        _log(Level.ERROR, message, exception)

    @staticmethod
    def severe(message: str, exception: Optional[BaseException] = None) -> None:
        """Log a failure, with the exception's last frame if one is given."""
        _log(Level.SEVERE, message, exception)

    @staticmethod
    def critical(message: str, exception: Optional[BaseException] = None) -> None:
        """Log a failure, with the exception's last frame if one is given."""
        _log(Level.CRITICAL, message, exception)


Level = Logging.Level


def _log(level: Level, message: Any, exception: Optional[BaseException]) -> None:
    if level < Logging.LOG_LEVEL:
        return
    text = message if isinstance(message, str) else str(message)
    if exception is not None:
        import traceback

        lines = traceback.format_exception(
            type(exception), exception, exception.__traceback__, limit=1
        )
        text += "\n" + "".join(lines).rstrip("\n")
    if _active.session is not None:
        _active.session.log(level, text)
    elif _active.capture is not None:
        _active.capture.log(level, text)
    else:
        _print(level, text)


def _print(level: Level, text: str) -> None:
    import datetime
    import sys

    stamp = datetime.datetime.now().strftime("%H:%M:%S.%f")[:-3]
    print(f"{stamp} {level.name} - {text}", file=sys.stderr)
