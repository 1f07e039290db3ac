"""Events from JSON Lines files: one line after the other, as bytes, with how much has been read."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from credit_stream.cli.faults import BadInput, bad_inputs

STDIN = "-"


class Line(Struct, frozen=True, gc=False):
    """A line without its end. `number` counts from 1 in its file; `read_bytes` is what was read of all files so far."""

    file: str
    number: int
    payload: bytes
    read_bytes: int


def checked(names: Sequence[str]) -> int | None:
    """The bytes in all files together, None when stdin is among them; BadInput names every file that is not there."""
    faults = [fault for name in names if name != STDIN and (fault := _fault(Path(name))) is not None]
    if faults:
        raise bad_inputs(faults)
    if STDIN in names:
        return None
    return sum(Path(name).stat().st_size for name in names)


def _fault(path: Path) -> str | None:
    if path.is_dir():
        return f"{path} is a folder; name the files in it"
    if not path.exists():
        return f"there is no file {path}; name a file of JSON Lines, or - for stdin"
    return None


def lines(names: Sequence[str]) -> Iterator[Line]:
    """Every line of the files in their order; blank lines hold nothing and are passed over."""
    done = 0
    for name in names:
        try:
            if name == STDIN:
                yield from _lines(name, sys.stdin.buffer, done)
                continue
            with Path(name).open("rb") as file:
                yield from _lines(name, file, done)
                done += file.tell()
        except OSError as error:
            raise BadInput(f"{name} cannot be read: {error.strerror}") from error


def _lines(name: str, file: BinaryIO, done: int) -> Iterator[Line]:
    for number, line in enumerate(file, start=1):
        done += len(line)
        payload = line.rstrip(b"\r\n")
        if payload.strip():
            yield Line(name, number, payload, done)
