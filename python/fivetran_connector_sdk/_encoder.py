"""Choice of the encoder: the C module, else the pure one; SLUICE_FRAMES=c or =python forces one."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Type

    from ._frames import Encoder

VARIABLE = "SLUICE_FRAMES"


def _load_c() -> Type[Encoder]:
    from ._cframes import Encoder

    return Encoder


def _load_python() -> Type[Encoder]:
    from ._frames import Encoder

    return Encoder


_LOADERS: Dict[str, Callable[[], Type[Encoder]]] = {"c": _load_c, "python": _load_python}


def encoder_class() -> Type[Encoder]:
    """Return the Encoder class to use.

    Raises:
        ImportError: listing each attempt and its reason.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted and wanted not in _LOADERS:
        raise ImportError(f"{VARIABLE}={wanted}: expected 'c' or 'python'")
    reasons: List[str] = []
    for name in [wanted] if wanted else list(_LOADERS):
        try:
            return _LOADERS[name]()
        except ImportError as error:
            reasons.append(f"{name}: {error}")
    raise ImportError("no frame encoder could be loaded; " + "; ".join(reasons))
