"""Fields of a configuration form."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence


class Field:
    """What all fields have.

    Raises:
        TypeError: a text is not a str.
        ValueError: the name or the label is blank.
    """

    kind = ""

    def __init__(self, name: str, label: str, description: Optional[str], required: bool) -> None:
        self.name = _text("name", name)
        self.label = _text("label", label)
        self.description = None if description is None else _text("description", description)
        self.required = bool(required)

    def to_json(self) -> Dict[str, Any]:
        """Return the field as the form is stored."""
        return {
            "kind": self.kind,
            "name": self.name,
            "label": self.label,
            "description": self.description,
            "required": self.required,
        }


class TextField(Field):
    """A line of text; ``field_type=TextField.password`` for secrets."""

    kind = "text"
    plain_text = "plain_text"
    password = "password"

    def __init__(
        self,
        name: str,
        label: str,
        field_type: str = plain_text,
        *,
        description: Optional[str] = None,
        required: bool = False,
        placeholder: Optional[str] = None,
    ) -> None:
        super().__init__(name, label, description, required)
        if field_type not in (self.plain_text, self.password):
            raise ValueError(
                f"field_type must be TextField.plain_text or TextField.password, got {field_type!r}"
            )
        self.field_type = field_type
        self.placeholder = None if placeholder is None else _text("placeholder", placeholder)

    def to_json(self) -> Dict[str, Any]:
        return {**super().to_json(), "field_type": self.field_type, "placeholder": self.placeholder}


class DropdownFieldParam:
    """One choice of a dropdown."""

    def __init__(
        self, value: str, label: Optional[str] = None, description: Optional[str] = None
    ) -> None:
        self.value = _text("value", value)
        self.label = self.value if label is None else _text("label", label)
        self.description = None if description is None else _text("description", description)

    def to_json(self) -> Dict[str, Any]:
        """Return the choice as the form is stored."""
        return {"value": self.value, "label": self.label, "description": self.description}


class DropdownField(Field):
    """A choice among given values. A plain str stands for ``DropdownFieldParam(str)``."""

    kind = "dropdown"

    def __init__(
        self,
        name: str,
        label: str,
        *,
        fields: Sequence[Any],
        description: Optional[str] = None,
        required: bool = False,
    ) -> None:
        super().__init__(name, label, description, required)
        if isinstance(fields, str) or not fields:
            raise ValueError(f"DropdownField {name!r} must define at least one option in 'fields'.")
        self.fields: List[DropdownFieldParam] = [
            option if isinstance(option, DropdownFieldParam) else DropdownFieldParam(option)
            for option in fields
        ]

    def to_json(self) -> Dict[str, Any]:
        return {**super().to_json(), "fields": [option.to_json() for option in self.fields]}


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
