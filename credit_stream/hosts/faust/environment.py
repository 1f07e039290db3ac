"""What a Faust worker takes from the environment, beside the connection: Faust's command line is its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from credit_stream.hosts.kafka.failures import BadConnection

STATE = "CREDIT_STREAM_STATE"
SESSION_SECONDS = "CREDIT_STREAM_SESSION_SECONDS"
PROBE_HOST = "CREDIT_STREAM_PROBE_HOST"
PROBE_PORT = "CREDIT_STREAM_PROBE_PORT"

SESSION_SECONDS_MAX = 1_800
PORT_MAX = 65_535


class WorkerSettings(Struct, frozen=True, kw_only=True):
    """The options of `credit-stream worker`, under Faust."""

    state: Path
    session_seconds: int = 10
    probe_host: str = "127.0.0.1"
    probe_port: int | None = None


def read_worker(environment: Mapping[str, str] | None = None) -> WorkerSettings:
    """The settings of this worker. Raises BadConnection with every fault. An empty variable counts as not set."""
    environment = os.environ if environment is None else environment
    faults: list[str] = []
    state = environment.get(STATE)
    if not state:
        faults.append(f"Set {STATE} to a directory for this worker's rows; each worker has its own.")
    settings = WorkerSettings(
        state=Path(state or "."),
        session_seconds=_number(environment, SESSION_SECONDS, 1, SESSION_SECONDS_MAX, faults) or 10,
        probe_host=environment.get(PROBE_HOST) or "127.0.0.1",
        probe_port=_number(environment, PROBE_PORT, 0, PORT_MAX, faults),
    )
    if faults:
        raise BadConnection(faults)
    return settings


def _number(environment: Mapping[str, str], name: str, least: int, most: int, faults: list[str]) -> int | None:
    text = environment.get(name)
    if not text:
        return None
    if text.isascii() and text.isdigit() and least <= int(text) <= most:
        return int(text)
    faults.append(f"{name} is '{text}'; give a whole number from {least} to {most}.")
    return None
