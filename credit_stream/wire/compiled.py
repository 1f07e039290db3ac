"""Functions made from source: for work that is the same for every record of a type, field by field.

The source is put together from the names of fields of our own records and from constants, and from nothing that
anybody sent. What it refers to is handed over by name.
"""

from __future__ import annotations

from collections.abc import Mapping


class Constants(dict[str, object]):
    """What made source refers to by name."""

    def name_of(self, value: object) -> str:
        """A new name for the value."""
        name = f"k{len(self)}"
        self[name] = value
        return name


def function_of(text: str, constants: Mapping[str, object], name: str, label: str) -> object:
    """The function `name` that the source defines; `label` stands for a file name in tracebacks."""
    names: dict[str, object] = dict(constants)
    exec(compile(text, f"<{name} {label}>", "exec"), names)
    return names[name]
