from typing import Dict

from ._frames import Encoder as Encoder

NUMBERS: Dict[str, int]

def die_with_parent() -> None: ...
def float_text(value: float) -> str: ...
