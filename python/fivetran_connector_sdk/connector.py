"""The Connector class: what an author creates at the end of connector.py."""

from __future__ import annotations

from .log import Level

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, NoReturn, Optional


class Connector:
    """A connector: its functions, and a way to try it.

    Args:
        update: called as ``update(configuration=…, state=…)``; may also be a generator, a coroutine function or an
            async generator.
        schema: called as ``schema(configuration)``; returns a list of tables.
        configuration_form: a ConfigurationForm, or a function that returns one.

    Raises:
        TypeError: update or schema is not callable.
    """

    def __init__(
        self,
        update: Callable[..., Any],
        schema: Optional[Callable[[Dict[str, str]], Any]] = None,
        configuration_form: Any = None,
    ) -> None:
        for name, function in (("update", update), ("schema", schema)):
            if not callable(function) and not (function is None and name == "schema"):
                raise TypeError(f"{name} must be a function, got {type(function).__name__}")
        self.update = update
        self.schema = schema
        self.configuration_form = configuration_form

    def debug(
        self,
        project_path: Optional[str] = None,
        configuration: Optional[Dict[str, str]] = None,
        state: Optional[Dict[str, Any]] = None,
        naming: Optional[str] = None,
        log_level: Level = Level.DEBUG,
    ) -> None:
        """Run one sync into files/warehouse.db of the project, in this process, and print what happens.

        Args:
            project_path: the project; by default where the connector's code is.
            configuration: names and values, all str; by default configuration.json of the project, if there is one.
            state: state to start from; by default the last one saved.
            naming: FIVETRAN or SOURCE.
            log_level: lines below it are not printed.

        Raises:
            ValueError: the configuration has a value that is not a str, or more than 100 fields.
            FileNotFoundError: the engine is not installed.
            SyncFailed: the sync failed; the output says why.
        """
        from ._debug import debug
        from ._errors import SyncFailed

        try:
            debug(self, project_path, configuration, state, naming, log_level)
        except SyncFailed as failed:
            # The engine has said what happened; our frames would only push it off the screen.
            raise failed.with_traceback(None) from None

    def run(self, *args: Any, **options: Any) -> NoReturn:
        """Not available: there is no gRPC server here."""
        raise NotImplementedError(
            "Connector.run() is not available: use connector.debug() or `fivetran debug` to try, a server to run"
        )

    def deploy(self, *args: Any, **options: Any) -> NoReturn:
        """Not available from Python."""
        raise NotImplementedError("Connector.deploy() is not available: use `fivetran deploy`")

    def generate_configuration(self, *args: Any, **options: Any) -> NoReturn:
        """Not available from Python."""
        raise NotImplementedError(
            "Connector.generate_configuration() is not available: use `fivetran configuration`"
        )


# Tools look for a class of this name in this module.
Connector.__module__ = "fivetran_connector_sdk"
