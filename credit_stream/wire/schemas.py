"""The Avro schemas of `schemas/*.avsc`: where they are, and their fingerprints.

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

NAMESPACE = "credit.v1"
FINGERPRINTS_FILE = "fingerprints.json"


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
        command = "python -m credit_stream.wire.schema_files --write"
        raise LookupError(f"schemas/{FINGERPRINTS_FILE} does not have {record_name}; run `{command}`")
    return fingerprint


@cache
def fingerprints() -> Mapping[str, bytes]:
    """For each record the eight bytes by which single-object encoding names its schema."""
    listed = json.loads((schema_folder() / FINGERPRINTS_FILE).read_text(encoding="utf-8"))
    return {record_name: bytes.fromhex(fingerprint) for record_name, fingerprint in listed.items()}
