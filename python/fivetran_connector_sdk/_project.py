"""Finding the Connector object in a project directory."""

from __future__ import annotations

import importlib.util
import os
import sys

from ._errors import with_hint
from .connector import Connector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_EXAMPLE = "connector = Connector(update=update, schema=schema)"


class ProjectError(Exception):
    """The project has no connector to run."""


def load_connector(project: str) -> Connector:
    """Import connector.py of a project and return its object ``connector``.

    Raises:
        ProjectError: no such file or object.
        BaseException: whatever connector.py raises.
    """
    path = os.path.join(project, "connector.py")
    if not os.path.isfile(path):
        raise with_hint(
            ProjectError,
            f"connector.py not found in {project}",
            "this file is required to start a sync, and its name is in lowercase",
        )
    # In front, as `python connector.py` has it.
    if project not in sys.path:
        sys.path.insert(0, project)
    spec = importlib.util.spec_from_file_location("connector", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["connector"] = sys.modules["connector_connector_code"] = module
    spec.loader.exec_module(module)
    return _find(module)


def _find(module: Any) -> Connector:
    found = getattr(module, "connector", None)
    if isinstance(found, Connector):
        return found
    others = [name for name, value in vars(module).items() if isinstance(value, Connector)]
    if others:
        raise with_hint(
            ProjectError,
            f"Connector object must be named 'connector', but found: '{others[0]}'",
            f"rename it: {_EXAMPLE}",
        )
    if found is not None:
        raise with_hint(
            ProjectError,
            f"'connector' in connector.py must be a Connector object, got {type(found).__name__}",
            f"at the end of connector.py: {_EXAMPLE}",
        )
    raise with_hint(
        ProjectError,
        "connector object not found in connector.py",
        f"define a Connector object at the end of connector.py: {_EXAMPLE}",
    )
