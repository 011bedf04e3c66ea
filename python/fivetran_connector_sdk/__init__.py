"""Write connectors in Python: an independent implementation of the Connector SDK's interface.

from fivetran_connector_sdk import Connector, Logging as log, Operations as op

def update(configuration: dict, state: dict):
    op.upsert("hello", {"message": "hello, world!"})
    op.checkpoint(state)

connector = Connector(update=update)
"""

from __future__ import annotations

from ._version import __version__
from .connector import Connector
from .log import Logging
from .operations import Operations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import form_field
    from ._errors import SyncCancelled as SyncCancelled, SyncFailed as SyncFailed
    from .file_upload import ByteStream, FileUpload
    from .form import ConfigurationForm, Test

__all__ = [
    "ByteStream",
    "ConfigurationForm",
    "Connector",
    "FileUpload",
    "Logging",
    "Operations",
    "Test",
    "__version__",
    "form_field",
]

# Loaded at first use: most connectors need none of them.
_LAZY = {
    "ByteStream": "file_upload",
    "FileUpload": "file_upload",
    "ConfigurationForm": "form",
    "Test": "form",
    "form_field": "form_field",
    "SyncCancelled": "_errors",
    "SyncFailed": "_errors",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = importlib.import_module(f".{_LAZY[name]}", __name__)
    value = module if name == _LAZY[name] else getattr(module, name)
    globals()[name] = value
    return value
