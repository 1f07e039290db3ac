"""The schemas that releases were published with: `schemas/released/`, so that what was written stays readable.

A folder for each release has the schemas that are new in it or say something else than before. `releases.json` lists
them with the fingerprint under which their records travel and the hash of the file: a released schema never changes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

from msgspec import Struct

from credit_stream.wire import schemas

RELEASED_FOLDER = "released"
RELEASES_FILE = "releases.json"


class ReleasedSchema(Struct, frozen=True):
    """The schema of a record since a release. `sha256` is the hash of its file, in hexadecimal digits."""

    version: str
    record_name: str
    fingerprint: bytes
    sha256: str

    @property
    def file(self) -> str:
        """Where it is, from `schemas/released` on."""
        return f"{self.version}/{self.record_name}.avsc"

    def text(self) -> str:
        """The schema as it was published."""
        return (schemas.schema_folder() / RELEASED_FOLDER / self.file).read_text(encoding="utf-8")


@cache
def releases() -> Mapping[str, tuple[ReleasedSchema, ...]]:
    """For each release, oldest first, the schemas that came with it."""
    file = schemas.schema_folder() / RELEASED_FOLDER / RELEASES_FILE
    listed = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {
        version: tuple(
            ReleasedSchema(version, name, bytes.fromhex(entry["fingerprint"]), entry["sha256"])
            for name, entry in entries.items()
        )
        for version, entries in listed.items()
    }


def last_release() -> str:
    """The version of the newest release."""
    return list(releases())[-1]


def released_schemas() -> list[ReleasedSchema]:
    """All of them, oldest first."""
    return [schema for entries in releases().values() for schema in entries]


def newest_released() -> dict[str, ReleasedSchema]:
    """Of each record, the schema that it had in the last release."""
    return {schema.record_name: schema for schema in released_schemas()}


@cache
def released_by_fingerprint() -> Mapping[bytes, ReleasedSchema]:
    """For readers. Two schemas of a record with one fingerprint have the same bytes, so that either will do."""
    return {schema.fingerprint: schema for schema in released_schemas()}
