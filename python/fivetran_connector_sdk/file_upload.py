"""Files beside rows. The names exist so that connectors import; no destination here has object storage."""

from __future__ import annotations

from typing import NamedTuple, Optional, Protocol


class ByteStream(Protocol):
    """Anything with ``read(size)`` that returns bytes."""

    def read(self, size: int) -> bytes: ...


class FileUpload(NamedTuple):
    """A file for ``op.upsert(…, file=…)``: its path in the storage, its content, and its length if known."""

    path: str
    stream: ByteStream
    expected_bytes: Optional[int] = None
