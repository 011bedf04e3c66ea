"""Modules of Python that a short sync does not need are loaded when they are."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def standard(name: str) -> Any:
    """Import a module of the standard library, also when the project has a file of that name."""
    module = sys.modules.get(name)
    if module is not None:
        return module
    library = os.path.dirname(os.__file__)
    sys.path.insert(0, library)
    try:
        return __import__(name)
    finally:
        sys.path.remove(library)
