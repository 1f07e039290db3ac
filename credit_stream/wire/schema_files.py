"""Makes `schemas/` from the records of the core: `python -m credit_stream.wire.schema_files --write`.

Run it after a record has changed; without `--write` it says which files would change, and exits with 1 if any would.
The tests compare schemas and records by a way of their own, so this is a pen, not the judge.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from msgspec import Struct

from credit_stream.core import events, outputs
from credit_stream.wire.foreign import fingerprint_of
from credit_stream.wire.records import RECORD_TYPES, FieldShape, Kind, shape_of
from credit_stream.wire.schema_docs import FIELD_DOCS
from credit_stream.wire.schemas import FINGERPRINTS_FILE, NAMESPACE

FOLDER = Path(__file__).resolve().parents[2] / "schemas"

_TYPES: Mapping[Kind, Any] = {
    "identifier": "string",
    "text": "string",
    "document": "string",
    "currency": "string",
    "decimal": "string",
    "money": "long",
    "integer": "long",
    "day": {"type": "int", "logicalType": "date"},
    "instant": {"type": "long", "logicalType": "timestamp-millis"},
    "flag": "boolean",
    "bytes": "bytes",
    "map": {"type": "map", "values": "string"},
}
_UNITS: Mapping[Kind, str] = {
    "day": "Days since 1970-01-01.",
    "instant": "Milliseconds since 1970-01-01T00:00:00Z.",
    "decimal": "Plain decimal text.",
    "currency": "ISO 4217 code.",
}


def main(arguments: Sequence[str]) -> int:
    """Writes the files, or says which would change."""
    changed = 0
    for name, text in schema_files().items():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            changed += 1
            sys.stdout.write(f"{name}\n")
            if "--write" in arguments:
                path.write_text(text, encoding="utf-8")
    return 1 if changed and "--write" not in arguments else 0


def schema_files() -> dict[str, str]:
    """The text of every file of `schemas/`, by its name."""
    texts = {name: _json(_record(record_type, None, set())) for name, record_type in sorted(RECORD_TYPES.items())}
    fingerprints = {name: fingerprint_of(text).hex() for name, text in texts.items()}
    return {f"{name}.avsc": text for name, text in texts.items()} | {FINGERPRINTS_FILE: _json(fingerprints)}


def _json(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _record(record_type: type[Struct], outer_currency: str | None, known: set[str]) -> dict[str, Any] | str:
    """The schema of a record; where it came before in the same file, its name."""
    shape = shape_of(record_type)
    if shape.name in known:
        return f"{NAMESPACE}.{shape.name}"
    known.add(shape.name)
    currency = shape.currency_field or outer_currency
    return {
        "type": "record",
        "name": shape.name,
        "namespace": NAMESPACE,
        "doc": inspect.getdoc(record_type),
        "fields": [_field(record_type, field, currency, known) for field in shape.fields],
    }


def _field(record_type: type[Struct], field: FieldShape, currency: str | None, known: set[str]) -> dict[str, Any]:
    inner = _type(record_type, field, currency, known)
    written = {
        "name": field.name,
        "type": ["null", inner] if field.nullable else inner,
        "doc": _doc(record_type, field, currency),
    }
    if not field.required:
        written["default"] = list(field.default) if isinstance(field.default, tuple) else field.default
    return written


def _type(record_type: type[Struct], field: FieldShape, currency: str | None, known: set[str]) -> Any:
    if field.kind == "symbol":
        return _enum(record_type, field, known)
    item = _record(field.record_type, currency, known) if field.record_type else _TYPES[field.items or field.kind]
    return {"type": "array", "items": item} if field.kind == "list" else item


def _enum(record_type: type[Struct], field: FieldShape, known: set[str]) -> dict[str, Any] | str:
    name = _ENUM_NAMES.get(field.symbols) or record_type.__name__ + field.name.title().replace("_", "")
    if name in known:
        return f"{NAMESPACE}.{name}"
    known.add(name)
    return {"type": "enum", "name": name, "namespace": NAMESPACE, "symbols": list(field.symbols)}


_ENUM_NAMES: Mapping[tuple[str, ...], str] = {
    get_args(value): name
    for module in (events, outputs)
    for name, value in vars(module).items()
    if get_origin(value) is Literal
}
"""The names that the core gives to its sets of words; one without has the name of its field."""


def _doc(record_type: type[Struct], field: FieldShape, currency: str | None) -> str:
    doc = FIELD_DOCS.get(f"{record_type.__name__}.{field.name}") or FIELD_DOCS[field.name]
    if field.kind == "money":
        return f"{doc} Minor units of {currency}."
    unit = _UNITS.get(field.kind)
    return f"{doc} {unit}" if unit else doc


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
