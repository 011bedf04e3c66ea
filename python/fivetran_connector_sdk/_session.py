"""One sync, from HELLO to DONE or ERROR."""

from __future__ import annotations

import os
import sys
import threading
import time

from . import _active, _protocol as p
from ._catalog import Catalog
from ._channel import Channel
from ._errors import SyncCancelled, SyncStopped, with_hint
from ._modules import standard
from ._report import describe
from ._schema import check_schema
from ._values import Tally
from .log import Level, Logging
from .operations import BOUND, bind, unbind

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any, Callable, Optional, Tuple

    from ._channel import Start
    from .connector import Connector

_ITERABLE_COROUTINE = 0x100  # inspect.CO_ITERABLE_COROUTINE
EXIT_SECONDS = 0.8  # of the second that a process has once the other end closed
EXIT_INTERRUPTED = 130

_DEBUG_ENVIRONMENT = {
    "FIVETRAN_CONNECTION_ID": "test_connection_id",
    "FIVETRAN_DEPLOYMENT_MODEL": "local_debug",
    "FIVETRAN_GROUP_ID": "test_group_id",
    "FIVETRAN_CONNECTION_NAME": "test_connection_name",
}


class Session:
    """Runs a connector against the engine at the other end of a socket.

    Args:
        sock: connected socket; the session owns it.
        project: project directory, or None.
        in_process: started by ``Connector.debug``: the process lives on after the sync.
    """

    def __init__(self, sock: socket.socket, project: Optional[str], in_process: bool) -> None:
        self.in_process = in_process
        self.channel = Channel(sock, self._engine_gone)
        self.interrupted = False  # by Ctrl-C, to stop at a checkpoint
        self.ending = False  # update() is over; what follows must not be interrupted
        self._project = project
        self._phase = "load"
        self._failed = False
        self._finished = threading.Event()
        self._exit_code = 1

    # ------------------------------------------------------------------ the run

    def run(self, load: Callable[[], Connector]) -> int:
        """Run one sync and return the exit code of the connector: 0, or what went wrong, already reported."""
        if _active.session is not None:
            raise RuntimeError("a sync is already running in this process")
        level = Logging.LOG_LEVEL
        try:
            self._exit_code = self._run(load)
        finally:
            self._finished.set()
            self.channel.close()
            if self.in_process:
                _active.session = None
                Logging.LOG_LEVEL = level
                unbind()
        return self._exit_code

    def _run(self, load: Callable[[], Connector]) -> int:
        try:
            self.channel.hello()
            start = self.channel.start()
            self._prepare(start)
            connector = load()
            if start.mode == "form":
                self._phase = "form"
                self._show_form(connector, start)
                self._done()
                return 0
            self._phase = "schema"
            catalog = self._declare(connector, start)
            if start.mode == "test":
                self._done()
                return 0
            self._phase = "update"
            self.channel.encoder.configure(catalog, start.durable, start.log_level)
            bind(self.channel.encoder)
            call_update(connector.update, start.configuration, start.state)
            if self._failed:
                return 1  # op.error was called, and SyncStopped swallowed
            self._done()
            return 0
        except SyncStopped:
            return 1
        except BaseException as error:
            return self._fail(error)

    def _prepare(self, start: Start) -> None:
        _active.session = self
        Logging.LOG_LEVEL = Level(min(max(start.log_level, 1), 7))
        if start.mode == "debug":
            for name, value in _DEBUG_ENVIRONMENT.items():
                os.environ.setdefault(name, value)

    def _declare(self, connector: Connector, start: Start) -> Catalog:
        result: Any = []
        if connector.schema is not None:
            result = connector.schema(dict(start.configuration))
            if _is_awaitable(result):
                result = _run_async(result)
        decls = check_schema(result)
        self.channel.send_json(p.SCHEMA, 0, {"tables": [decl.to_json() for decl in decls]})
        return Catalog(Tally(), decls)

    def _show_form(self, connector: Connector, start: Start) -> None:
        """Send the form, then the results of the tests that are asked for. update() and schema() do not run."""
        from .form import Test, form_of

        form = form_of(connector)
        self.channel.send_json(p.FORM, 0, form.to_json())
        for name in start.tests:
            if name in form.tests:
                result = form.run_test(name, start.configuration, self._project)
            else:
                result = Test.failure(f"the form has no test named '{name}'")
            answer = {"name": name, "passed": result.passed, "message": result.message}
            self.channel.send_json(p.TEST, 0, answer)

    def _done(self) -> None:
        self.ending = True
        encoder = self.channel.encoder
        if self.channel.closed:
            self.channel.raise_stopped()
        # From here operations of forgotten threads fail instead of falling between the counts and DONE.
        self.channel.stop("update() has returned: no operation can follow")
        encoder.flush()
        self.channel.send_json(p.DONE, 0, encoder.counts())

    def _fail(self, error: BaseException) -> int:
        self.ending = True
        if self._failed:
            return 1
        code = 1
        if self.interrupted and isinstance(error, SyncCancelled):
            error = KeyboardInterrupt(str(error)).with_traceback(error.__traceback__)
        if isinstance(error, KeyboardInterrupt):
            code = EXIT_INTERRUPTED
        report = describe(error, self._phase, self._project, self.in_process)
        if isinstance(error, SystemExit):
            code = report["exit"] or 1
        try:
            self.channel.send_json(p.ERROR, p.ERROR_EXCEPTION, report)
        except BaseException:
            # Nobody listens any more. The last place to say it is our own stderr.
            sys.stderr.write(report["traceback"])
        return code

    # ------------------------------------------------------------------ for operations and log lines

    def operation(self, name: str) -> "Callable[..., Tuple[()]]":
        """Return the function behind an operation.

        Raises:
            RuntimeError: update() has not begun.
        """
        if self._phase != "update":
            raise RuntimeError(
                f"op.{name}() was called before update(); only update() has a destination"
            )
        if name in BOUND:
            function: Callable[..., Tuple[()]] = getattr(self.channel.encoder, name)
            return function
        return self._op_warning if name == "warning" else self._op_error

    def _op_warning(self, message: str) -> "Tuple[()]":
        self.channel.encoder.frame(p.WARNING, 0, _utf8(message))
        return ()

    def _op_error(self, message: str, trace: "Optional[str]") -> "Tuple[()]":
        try:
            raise SyncStopped(message)
        except SyncStopped as stopped:
            error = stopped.with_traceback(_author_traceback())
        report = describe(error, "op", self._project, self.in_process)
        report.update(type="op.error", message=message, hint=None, traceback=trace or "")
        self._failed = True
        self.channel.send_json(p.ERROR, p.ERROR_OPERATION, report)
        self.channel.stop("op.error() has ended the sync")
        raise error.with_traceback(None)

    def log(self, level: int, text: str, library: bool = False) -> None:
        """Send a log line. One that cannot be sent is not worth an exception."""
        try:
            self.channel.encoder.frame(
                p.LOG, level | (p.LOG_FROM_LIBRARY if library else 0), _utf8(text)
            )
        except SyncCancelled:
            pass

    # ------------------------------------------------------------------ the end of the other side

    def _engine_gone(self) -> None:
        """Runs in the reader thread. The connector gets the chance to end by itself, then the process ends."""
        if self.in_process and self._finished.is_set():
            return
        if self.in_process:
            _wake_main_thread()
        deadline = time.monotonic() + EXIT_SECONDS
        finished = self._finished.wait(EXIT_SECONDS)
        if self.in_process and finished:
            return
        # A worker stays only if something else holds it: a thread of the author, an atexit function.
        time.sleep(max(0.0, deadline - time.monotonic()))
        os._exit(self._exit_code)


def _wake_main_thread() -> None:
    """Interrupt a sleep of the main thread, if a handler of ours takes the signal."""
    import signal

    handler: Any = signal.getsignal(signal.SIGINT)
    if getattr(handler, "sluice", False):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _author_traceback() -> Any:
    """Return a traceback of the frames that called us, without raising through them."""
    import types

    frame = sys._getframe(1)
    result = None
    here: Any = frame
    while here is not None:
        result = types.TracebackType(result, here, here.f_lasti, here.f_lineno)
        here = here.f_back
    return result


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def call_update(update: Any, configuration: Any, state: Any) -> None:
    """Call update() and see it through, be it a function, a generator, a coroutine or an async generator."""
    _check_parameters(update)
    result = update(configuration=configuration, state=state)
    if _is_awaitable(result):
        _run_async(result)
    elif hasattr(result, "__aiter__"):
        _run_async(_exhaust(result))
    elif hasattr(result, "__next__"):
        for _ in result:  # what is yielded was sent when it was called
            pass


def _is_awaitable(value: Any) -> bool:
    """As inspect.isawaitable(), whose module costs more to load than all of a short sync."""
    if hasattr(type(value), "__await__"):
        return True
    code = getattr(value, "gi_code", None)  # of @types.coroutine
    return code is not None and bool(code.co_flags & _ITERABLE_COROUTINE)


def _check_parameters(update: Any) -> None:
    """update() is called by keyword, so its parameters' names are part of the contract."""
    code = getattr(update, "__code__", None)
    # The plain case, without the cost of loading inspect.
    if (
        code is not None
        and code.co_varnames[: code.co_argcount] == ("configuration", "state")
        and not code.co_kwonlyargcount
        and not code.co_posonlyargcount
    ):
        return
    inspect = standard("inspect")
    try:
        inspect.signature(update).bind(configuration={}, state={})
    except TypeError:
        name = getattr(update, "__name__", "update")
        raise with_hint(
            TypeError,
            f"{name}() cannot be called with configuration= and state=",
            "define it as def update(configuration: dict, state: dict)",
        ) from None
    except ValueError:
        pass  # a callable without a signature: try it


def _run_async(awaitable: Any) -> Any:
    asyncio = standard("asyncio")

    async def wait() -> Any:
        return await awaitable

    return asyncio.run(wait())


async def _exhaust(results: Any) -> None:
    async for _ in results:
        pass
