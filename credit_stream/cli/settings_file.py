"""A settings file (TOML, interface section 3) becomes a document, or a list of faults with their places."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from msgspec import Struct

SETTINGS_BYTES_MAX = 4 * 1024 * 1024
"""A settings file of a thousand rules has about 300 kB."""


class PlacedFault(Struct, frozen=True):
    """What is wrong in a settings file, and where: a key such as `rules[2].scope`, or a line."""

    place: str
    message: str


def read_settings(path: Path) -> tuple[str, list[PlacedFault]]:
    """The document as JSON text, and every fault of it; with faults the document is not to be used."""
    document, fault = _read_toml(path)
    if fault is not None:
        return "{}", [fault]
    from credit_stream.core.settings import check
    from credit_stream.wire.currencies import CURRENCIES

    faults = [PlacedFault(fault.place, fault.message) for fault in check(document, CURRENCIES)]
    return ("{}" if faults else json.dumps(document, ensure_ascii=False)), faults


def _read_toml(path: Path) -> tuple[dict[str, object], PlacedFault | None]:
    try:
        if path.stat().st_size > SETTINGS_BYTES_MAX:
            return {}, PlacedFault("file", f"is larger than {SETTINGS_BYTES_MAX:,} bytes; is it a settings file?")
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text), None
    except UnicodeDecodeError as error:
        return {}, PlacedFault(f"byte {error.start}", "is not UTF-8; save the file as UTF-8 text")
    except tomllib.TOMLDecodeError as error:
        return {}, PlacedFault("syntax", f"is no TOML: {error}")
    except RecursionError:
        return {}, PlacedFault("syntax", "is nested too deeply; no setting is")
