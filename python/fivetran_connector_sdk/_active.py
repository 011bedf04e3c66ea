"""Who receives operations and log lines at the moment: a run, a test's capture, or nobody."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from ._session import Session
    from .testing import Capture

session: Optional[Session] = None
capture: Optional[Capture] = None
