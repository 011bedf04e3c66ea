"""The configuration form of a connector, and the tests a user can run from it."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from .form_field import Field


class Test:
    """Result of a test function: ``Test.success()`` or ``Test.failure("why")``."""

    __slots__ = ("message",)
    __test__ = False  # pytest: this is not one of yours

    def __init__(self, message: Optional[str]) -> None:
        self.message = message

    @property
    def passed(self) -> bool:
        return self.message is None

    @staticmethod
    def success() -> Test:
        """Return the result of a test that passed."""
        return Test(None)

    @staticmethod
    def failure(message: str) -> Test:
        """Return the result of a test that failed.

        Raises:
            TypeError, ValueError: the message is not a str, or blank.
        """
        if not isinstance(message, str):
            raise TypeError(f"Message must be a string, got {type(message).__name__}")
        if not message.strip():
            raise ValueError("Message must be a non-empty string")
        return Test(message)


class ConfigurationForm:
    """Fields and tests, in the order they were added. Both ``add`` methods return the form itself."""

    def __init__(self) -> None:
        self.fields: List[Field] = []
        self.tests: Dict[str, Callable[[Dict[str, str]], Test]] = {}
        self.labels: Dict[str, str] = {}

    def add_field(self, field: Field) -> ConfigurationForm:
        """Add a field.

        Raises:
            TypeError: it is not made by ``form_field``.
            ValueError: there is one of that name.
        """
        if not isinstance(field, Field):
            raise TypeError(f"field must be a form_field, got {type(field).__name__}")
        if any(other.name == field.name for other in self.fields):
            raise ValueError(f"a field named '{field.name}' is already in the form")
        self.fields.append(field)
        return self

    def add_test(self, *, label: str, func: Callable[[Dict[str, str]], Test]) -> ConfigurationForm:
        """Add a test: a named function that takes the configuration.

        Raises:
            TypeError: func is not callable.
            ValueError: no label, no name of its own, or a name that is taken.
        """
        if not callable(func):
            raise TypeError("func must be callable")
        name = getattr(func, "__name__", "")
        if not name or name == "<lambda>":
            raise ValueError(
                "anonymous lambda functions cannot be used as test functions; define them with def"
            )
        if not isinstance(label, str) or not label.strip():
            raise ValueError(f"label must not be empty for test function '{name}'")
        if name in self.tests:
            raise ValueError(
                f"a test function named '{name}' is already registered; names must be unique"
            )
        self.tests[name] = func
        self.labels[name] = label
        return self

    def run_test(
        self, name: str, configuration: Dict[str, str], project: Optional[str] = None
    ) -> Test:
        """Run one test; whatever it does wrong is a failure, which names the line in ``project``.

        Raises:
            KeyError: there is no such test.
        """
        function = self.tests[name]
        try:
            result: Any = function(dict(configuration))
        except (Exception, SystemExit) as error:
            return Test.failure(_told(error, project))
        if not isinstance(result, Test):
            return Test.failure(
                f"test '{name}' must return Test.success() or Test.failure(...), got {type(result).__name__}"
            )
        return result

    def to_json(self) -> Dict[str, Any]:
        """Return the form as the FORM frame carries it."""
        return {
            "fields": [field.to_json() for field in self.fields],
            "tests": [{"name": name, "label": label} for name, label in self.labels.items()],
        }


def _told(error: BaseException, project: Optional[str]) -> str:
    from ._report import describe

    report = describe(error, "form", project, in_process=False)
    text = f"{report['type']}: {report['message']}"
    if report["file"] is not None:
        text += f" ({report['file']}:{report['line']})"
    return text


def form_of(connector: Any) -> ConfigurationForm:
    """Return the form of a connector, which may have given a form, a function that makes one, or nothing.

    Raises:
        TypeError: it gave something else.
    """
    form = connector.configuration_form
    if callable(form) and not isinstance(form, ConfigurationForm):
        form = form()
    if form is None:
        return ConfigurationForm()
    if not isinstance(form, ConfigurationForm):
        raise TypeError(
            f"configuration_form must be a ConfigurationForm, got {type(form).__name__}"
        )
    return form
