"""The Avro schemas of `schemas/*.avsc`: where they are, their fingerprints, and when two of them say the same.

The files are there for others to write against and for the schema registry; our own readers and writers are made from
the records themselves (`codec`), and the tests hold both equal. `fingerprints.json` beside them says under which
fingerprint each record travels, so that no schema need be parsed to read one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

NAMESPACE = "credit.v1"
FINGERPRINTS_FILE = "fingerprints.json"
WRITE_COMMAND = "python -m credit_stream.wire.schema_files --write"
"""Makes the files anew from the records."""
PRIMITIVES = frozenset("null boolean int long float double bytes string".split())


@cache
def schema_folder() -> Traversable:
    """`schemas/` inside the installed package, or that of the checkout which this file is in."""
    packaged = resources.files("credit_stream") / "schemas"
    if packaged.is_dir():
        return packaged
    checkout = Path(__file__).resolve().parents[2] / "schemas"
    if checkout.is_dir():
        return checkout
    raise FileNotFoundError(f"no Avro schemas in {packaged} or {checkout}; install credit-stream again")


@cache
def schema_text(record_name: str) -> str:
    """The text of `<record_name>.avsc`."""
    return (schema_folder() / f"{record_name}.avsc").read_text(encoding="utf-8")


def fingerprint_for(record_name: str) -> bytes:
    """The eight bytes by which single-object encoding names the schema of this record."""
    fingerprint = fingerprints().get(record_name)
    if fingerprint is None:
        raise LookupError(f"schemas/{FINGERPRINTS_FILE} does not have {record_name}; run `{WRITE_COMMAND}`")
    return fingerprint


@cache
def fingerprints() -> Mapping[str, bytes]:
    """For each record the eight bytes by which single-object encoding names its schema."""
    listed = json.loads((schema_folder() / FINGERPRINTS_FILE).read_text(encoding="utf-8"))
    return {record_name: bytes.fromhex(fingerprint) for record_name, fingerprint in listed.items()}


# --- what a schema says -----------------------------------------------------------------------------------------

_MEANT = ("symbols", "size", "logicalType", "precision", "scale", "default")
"""Attributes that readers and writers go by as they stand. Docs and properties of others are not among them."""


def meaning_of(text: str) -> str:
    """What a schema says to readers and writers: equal for two texts that differ in layout or in words for people.

    A registry may give back another text than it got: Confluent's prints what it has parsed, without spaces and
    without a namespace that is that of the record around. Avro's own canonical form would not do, since it leaves out
    defaults and logical types. Raises ValueError, KeyError or TypeError for what is no schema.
    """
    return json.dumps(_meaning(json.loads(text), ""), sort_keys=True, ensure_ascii=False)


def _meaning(schema: Any, namespace: str) -> Any:
    if isinstance(schema, str):
        return schema if schema in PRIMITIVES else _full_name(schema, namespace)
    if isinstance(schema, list):
        return [_meaning(branch, namespace) for branch in schema]
    if not isinstance(schema["type"], str):
        return _meaning(schema["type"], namespace)
    said = {name: schema[name] for name in _MEANT if name in schema}
    if "name" in schema:
        said["name"] = _full_name(schema["name"], schema.get("namespace", namespace))
        said["aliases"] = [_full_name(alias, said["name"].rpartition(".")[0]) for alias in schema.get("aliases", [])]
        namespace = said["name"].rpartition(".")[0]
    for part in ("items", "values"):
        if part in schema:
            said[part] = _meaning(schema[part], namespace)
    if "fields" in schema:
        said["fields"] = [_field_meaning(field, namespace) for field in schema["fields"]]
    return {"type": schema["type"], **said} if said else _meaning(schema["type"], namespace)


def _field_meaning(field: Any, namespace: str) -> dict[str, Any]:
    said = {name: field[name] for name in ("name", "default", "aliases") if name in field}
    return {**said, "type": _meaning(field["type"], namespace)}


def _full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"
