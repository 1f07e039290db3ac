"""`credit-stream explain`: a decision in words, from the decision alone (spec 11)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from credit_stream.cli.faults import BadInput, RunFailed

if TYPE_CHECKING:
    from credit_stream.core.outputs import CreditDecision

FILE_BYTES_MAX = 64 * 1024 * 1024
"""A decision has about 2 kB."""


@click.command(
    epilog="\b\nExample:\n"
    "  credit-stream process events.jsonl --topics credit.decisions | credit-stream explain -\n"
    "  curl --silent http://127.0.0.1:8321/decisions/O-1 | credit-stream explain -"
)
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path), metavar="DECISION.json"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each decision.")
def command(file: Path, as_json: bool) -> None:
    """Say in words why a decision is what it is, and run its rules again on its own figures.

    DECISION.json (- is stdin) holds one decision as JSON, or lines as `process` prints them. Outputs that are no
    decisions are passed over. Exit status: 1 if a decision contradicts itself.
    """
    found = _decisions(file)
    wrong = [_explain(decision, as_json) for decision in found]
    if any(wrong):
        raise RunFailed(f"{sum(wrong)} of {len(wrong)} decisions do not follow from their own figures; see above")


def _explain(decision: CreditDecision, as_json: bool) -> bool:
    """Prints the explanation; whether the decision contradicts itself."""
    from credit_stream.cli.proof import contradictions
    from credit_stream.cli.words import explained

    lines, faults = explained(decision), contradictions(decision)
    if as_json:
        words = {"decision_id": decision.decision_id, "verdict": decision.verdict, "reasons": list(decision.reasons)}
        click.echo(json.dumps({**words, "explanation": lines, "contradictions": faults}, ensure_ascii=False))
    else:
        proof = ["The rules and sums, run again on these figures, give the same."]
        if faults:
            proof = [f"THIS DECISION CONTRADICTS ITSELF: {fault}." for fault in faults]
        click.echo("\n".join([*lines, "", *proof, ""]))
    return bool(faults)


# --- reading ----------------------------------------------------------------------------------------------------


def _decisions(file: Path) -> list[CreditDecision]:
    with click.open_file(str(file), "rb") as stream:
        data: bytes = stream.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise BadInput(f"{file} is larger than {FILE_BYTES_MAX:,} bytes; pick out the decisions that you ask about")
    found = [decision for place, value in _values(file, data) if (decision := _decision(place, value)) is not None]
    if not found:
        raise BadInput(f"{file} holds no decision; give the JSON of one, such as a line of `credit-stream process`")
    return found


def _values(file: Path, data: bytes) -> list[tuple[str, object]]:
    """One JSON value that may go over several lines, or one on each line; each with the place that it stands at."""
    try:
        return [(str(file), json.loads(data))]
    except ValueError:
        return [
            (f"{file}:{number}", _line(file, number, line))
            for number, line in enumerate(data.splitlines(), start=1)
            if line.strip()
        ]


def _line(file: Path, number: int, line: bytes) -> object:
    try:
        value: object = json.loads(line)
    except ValueError as error:
        raise BadInput(f"{file}:{number} is no JSON ({error}); give a decision as JSON") from None
    return value


def _decision(place: str, value: object) -> CreditDecision | None:
    from credit_stream.core.outputs import CreditDecision
    from credit_stream.wire.faults import Refused
    from credit_stream.wire.json_lines import output_from_value

    if isinstance(value, dict) and "topic" in value and "value" in value:
        if value.get("type") != "CreditDecision":
            return None
        value = value["value"]
    try:
        record = output_from_value(CreditDecision, value)
    except Refused as refused:
        raise BadInput(f"{place} is no decision: {refused.fault.message}") from None
    assert isinstance(record, CreditDecision)
    return record
