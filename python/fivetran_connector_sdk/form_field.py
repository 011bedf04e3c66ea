"""Fields of a configuration form."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence


class Field:
    """What all fields have. ``default_value`` may be set afterwards.

    Raises:
        TypeError: a text is not a str.
        ValueError: the name or the label is blank.
    """

    kind = ""

    def __init__(
        self,
        name: str,
        label: str,
        description: Optional[str],
        required: bool,
        placeholder: Optional[str] = None,
    ) -> None:
        self.name = _text("name", name)
        self.label = _text("label", label)
        self.description = None if description is None else _text("description", description)
        self.required = bool(required)
        self.placeholder = None if placeholder is None else _text("placeholder", placeholder)
        self.default_value: Optional[str] = None

    def to_json(self) -> Dict[str, Any]:
        """Return the field as the FORM frame carries it."""
        default = self.default_value
        return {
            "kind": self.kind,
            "name": self.name,
            "label": self.label,
            "description": self.description,
            "required": self.required,
            "placeholder": self.placeholder,
            "default": None if default is None else _text("default_value", default),
        }


class TextField(Field):
    """A line of text; ``field_type=TextField.password`` for secrets."""

    plain_text = 0
    password = 1

    def __init__(
        self,
        name: str,
        label: str,
        field_type: int = plain_text,
        *,
        description: Optional[str] = None,
        required: bool = False,
        placeholder: Optional[str] = None,
    ) -> None:
        super().__init__(name, label, description, required, placeholder)
        if field_type not in (self.plain_text, self.password):
            raise ValueError(
                f"field_type must be TextField.plain_text or TextField.password, got {field_type!r}"
            )
        self.kind = "password" if field_type == self.password else "text"


class DropdownFieldParam:
    """One choice of a dropdown. The configuration gets ``str(value)``."""

    def __init__(
        self, value: object, label: Optional[str] = None, description: Optional[str] = None
    ) -> None:
        self.value = str(value)
        self.label = self.value if label is None else str(label)
        self.description = None if description is None else str(description)

    def to_json(self) -> Dict[str, Any]:
        """Return the choice as the FORM frame carries it."""
        return {"value": self.value, "label": self.label, "description": self.description}


class DropdownField(Field):
    """A choice among given values. Anything but a ``DropdownFieldParam`` stands for one with that value."""

    kind = "dropdown"

    def __init__(
        self,
        name: str,
        label: str,
        *,
        fields: Sequence[Any],
        description: Optional[str] = None,
        required: bool = False,
        placeholder: Optional[str] = None,
    ) -> None:
        super().__init__(name, label, description, required, placeholder)
        if isinstance(fields, str) or not fields:
            raise ValueError(f"DropdownField {name!r} must define at least one option in 'fields'.")
        self.fields: List[DropdownFieldParam] = [
            option if isinstance(option, DropdownFieldParam) else DropdownFieldParam(option)
            for option in fields
        ]

    def to_json(self) -> Dict[str, Any]:
        return {**super().to_json(), "options": [option.to_json() for option in self.fields]}


class ToggleField(Field):
    """On or off; the configuration gets "true" or "false"."""

    kind = "toggle"

    def __init__(
        self, name: str, label: str, *, description: Optional[str] = None, required: bool = False
    ) -> None:
        super().__init__(name, label, description, required)


def _text(what: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a string, got {type(value).__name__}")
    if not value.strip() and what in ("name", "label"):
        raise ValueError(f"{what} must not be empty")
    return value
