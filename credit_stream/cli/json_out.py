"""Outputs as JSON Lines (interface section 4)."""

from __future__ import annotations

import msgspec

from credit_stream.core.outputs import OutputRecord
from credit_stream.wire.json_lines import output_to_json

_encode = msgspec.json.Encoder().encode

LINE_BREAKS = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"))
"""Characters that JSON leaves alone and that many a reader of lines takes for the end of one."""


def output_line(topic: str, key: str, record: OutputRecord | None) -> bytes:
    """One output as a line with its end."""
    line = _encode(output_to_json(topic, key, record))
    for raw, escaped in LINE_BREAKS:
        if raw in line:
            line = line.replace(raw, escaped)
    return line + b"\n"
