"""Makes `schemas/` from the records of the core: `python -m credit_stream.wire.schema_files --write`.

Run it after a record has changed; without `--write` it says which files would change, and exits with 1 if any would.
The tests compare schemas and records by a way of their own, so this is a pen, not the judge.

At a release `--release 0.2.0` puts what has changed since the last one into `schemas/released/0.2.0`, where it stays
for ever: readers know by it what the release wrote, and `credit-stream schemas check` compares with it.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from msgspec import Struct

from credit_stream.core import events, outputs
from credit_stream.wire.foreign import fingerprint_of
from credit_stream.wire.records import RECORD_TYPES, FieldShape, Kind, shape_of
from credit_stream.wire.released import (
    RELEASED_FOLDER,
    RELEASES_FILE,
    newest_released,
    released_by_fingerprint,
    released_schemas,
    releases,
)
from credit_stream.wire.schema_docs import FIELD_DOCS
from credit_stream.wire.schemas import FINGERPRINTS_FILE, NAMESPACE, WRITE_COMMAND, meaning_of

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
    """Writes the files, or says which would change; with `--release` and a version, makes that release."""
    if arguments[:1] == ["--release"] and len(arguments) == 2:
        return _release_or_refuse(arguments[1])
    changed = _changed_files()
    for name, text in changed.items():
        sys.stdout.write(f"{name}\n")
        if "--write" in arguments:
            (FOLDER / name).write_text(text, encoding="utf-8")
    return 1 if changed and "--write" not in arguments else 0


def _changed_files() -> dict[str, str]:
    return {name: text for name, text in schema_files().items() if not _has_text(FOLDER / name, text)}


def _has_text(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


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
        "doc": _doc(record_type, field, field.currency_field or currency),
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


# --- a release --------------------------------------------------------------------------------------------------


class ReleaseRefused(Exception):
    """The present schemas cannot become those of a release; the message says what to do."""


def _release_or_refuse(version: str) -> int:
    try:
        files = release(version)
    except ReleaseRefused as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    sys.stdout.write("".join(f"{RELEASED_FOLDER}/{name}\n" for name in files))
    return 0


def release(version: str) -> list[str]:
    """Puts the schemas that say something else than in the last release into a folder of their own; names its files.

    Raises `ReleaseRefused` where the version is not newer than the last one, or the schemas are behind the records, or
    they do not go with what was released.
    """
    _refuse_old(version)
    if _changed_files():
        raise ReleaseRefused(f"schemas/ is behind the records; run `{WRITE_COMMAND}` first")
    texts = {name: (FOLDER / f"{name}.avsc").read_text(encoding="utf-8") for name in sorted(RECORD_TYPES)}
    _refuse_incompatible(texts)
    newest = newest_released()
    changed = {
        name: text
        for name, text in texts.items()
        if name not in newest or meaning_of(text) != meaning_of(newest[name].text())
    }
    _write_release(version, changed)
    return [f"{version}/{name}.avsc" for name in changed]


def _refuse_old(version: str) -> None:
    numbers = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", version)
    if numbers is None:
        raise ReleaseRefused(f"'{version}' is no version; give three numbers, such as 0.2.0")
    last = list(releases())[-1:]
    if last and [int(part) for part in last[0].split(".")] >= [int(part) for part in numbers.groups()]:
        raise ReleaseRefused(f"{last[0]} has been released, so {version} comes too late; give a newer version")


def _refuse_incompatible(texts: Mapping[str, str]) -> None:
    # Apache's avro is needed for this and for tests only.
    from credit_stream.wire.compatibility import incompatibilities

    found = incompatibilities(texts, released_schemas())
    if found:
        raise ReleaseRefused("\n".join(each.sentence() for each in found))


def _write_release(version: str, texts: Mapping[str, str]) -> None:
    folder = FOLDER / RELEASED_FOLDER
    (folder / version).mkdir(parents=True)
    index = folder / RELEASES_FILE
    listed = json.loads(index.read_text(encoding="utf-8")) if index.exists() else {}
    listed[version] = {}
    for name, text in texts.items():
        (folder / version / f"{name}.avsc").write_text(text, encoding="utf-8")
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        listed[version][name] = {"fingerprint": fingerprint_of(text).hex(), "sha256": sha256}
    index.write_text(_json(listed), encoding="utf-8")
    releases.cache_clear()
    released_by_fingerprint.cache_clear()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
