"""`credit-stream process`: files in, outputs out, the same bytes every time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from credit_stream.cli.commands import credit_stream

SETTINGS = '[[rules]]\nid = "limit"\ntype = "credit_limit_used"\n'


def event(kind: str, number: int, **fields: object) -> dict[str, object]:
    """An event of customer C1, one second after the one before."""
    head = {"type": kind, "event_id": f"e-{number}", "occurred_at": f"2026-03-02T09:00:{number:02d}Z"}
    return {**head, "customer_id": "C1", **fields}


EVENTS: list[dict[str, object]] = [
    event("CustomerUpdated", 1, credit_currency="EUR", credit_limit="1000.00"),
    event("OrderPlaced", 2, order_id="O1", amount="600.00", currency="EUR"),
    event("OrderPlaced", 3, order_id="O2", amount="600.00", currency="EUR"),
]


def write(folder: Path, lines: Sequence[dict[str, object] | bytes], name: str = "events.jsonl") -> str:
    """A file of lines; its name."""
    file = folder / name
    file.write_bytes(b"".join((x if isinstance(x, bytes) else json.dumps(x).encode()) + b"\n" for x in lines))
    return str(file)


def settings(folder: Path) -> str:
    """A settings file with one rule; its name."""
    file = folder / "credit.toml"
    file.write_text(SETTINGS)
    return str(file)


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    """Runs the command."""
    return CliRunner().invoke(credit_stream, ["process", *arguments], input=stdin)


def outputs(result: Result) -> list[Any]:
    """The lines of stdout as JSON."""
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_outputs_come_in_the_order_in_which_they_arise(tmp_path: Path) -> None:
    """One line for each: topic, key, type, value."""
    found = outputs(run(write(tmp_path, EVENTS), "--settings", settings(tmp_path)))
    decisions = [each["value"] for each in found if each["topic"] == "credit.decisions"]
    assert [(each["order_id"], each["verdict"]) for each in decisions] == [("O1", "released"), ("O2", "on_hold")]
    assert found[-1]["topic"] == "credit.holds"
    assert all(list(each) == ["topic", "key", "type", "value"] for each in found)


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    """In two processes, whatever their hash seeds."""
    command = [
        sys.executable,
        "-m",
        "credit_stream",
        "process",
        write(tmp_path, EVENTS),
        "--settings",
        settings(tmp_path),
    ]
    first, second = (
        subprocess.run(command, capture_output=True, check=True, timeout=30, env={"PYTHONHASHSEED": seed}).stdout
        for seed in ("1", "2")
    )
    assert first == second != b""


def test_without_settings_no_rule_holds_anything(tmp_path: Path) -> None:
    """Spec 5.3: the limit too is checked only if a rule looks at it."""
    found = outputs(run(write(tmp_path, EVENTS), "--topics", "credit.decisions"))
    assert [each["value"]["verdict"] for each in found] == ["released", "released"]


def test_a_line_that_cannot_be_accepted_becomes_a_dead_letter_and_the_run_goes_on(tmp_path: Path) -> None:
    """Exit status 0."""
    bad = [b"\xff\x00rubbish", b"[]", b'{"type": "Nonsense"}', {**EVENTS[1], "amount": 600}, {**EVENTS[1], "x": 1}]
    found = outputs(run(write(tmp_path, [EVENTS[0], *bad, *EVENTS[1:]])))
    reasons = [each["value"]["reason"] for each in found if each["topic"] == "credit.dead-letters"]
    assert reasons == ["unreadable", "unreadable", "invalid", "invalid", "invalid"]
    assert sum(each["topic"] == "credit.decisions" for each in found) == 2


def test_blank_lines_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    """They hold nothing."""
    plain = run(write(tmp_path, EVENTS)).stdout_bytes
    text = b"\r\n\r\n".join(json.dumps(each).encode() for each in EVENTS)
    (tmp_path / "windows.jsonl").write_bytes(b"\n \n" + text)
    assert run(str(tmp_path / "windows.jsonl")).stdout_bytes == plain


def test_several_files_are_one_stream_and_stdin_is_one_of_them(tmp_path: Path) -> None:
    """In the order in which they are named."""
    whole = run(write(tmp_path, EVENTS)).stdout_bytes
    begin, end = write(tmp_path, EVENTS[:1], "a.jsonl"), write(tmp_path, EVENTS[2:], "c.jsonl")
    assert run(begin, "-", end, stdin=json.dumps(EVENTS[1]).encode()).stdout_bytes == whole


def test_only_the_chosen_topics_are_printed(tmp_path: Path) -> None:
    """`--topics` with commas."""
    found = outputs(run(write(tmp_path, EVENTS), "--topics", "credit.decisions, credit.holds"))
    assert {each["topic"] for each in found} == {"credit.decisions"}


def test_every_line_of_output_is_one_line_to_every_reader(tmp_path: Path) -> None:
    """Characters that some take for the end of a line are escaped."""
    named = {**EVENTS[1], "order_id": "O\u2028\u2029\u0085-1"}
    result = run(write(tmp_path, [EVENTS[0], named]), "--topics", "credit.decisions,credit.dead-letters")
    assert len(result.stdout_bytes.decode().splitlines()) == 1


def test_an_empty_file_gives_nothing(tmp_path: Path) -> None:
    """Exit status 0."""
    assert outputs(run(write(tmp_path, []))) == []


def test_the_summary_counts_verdicts_reasons_and_limits(tmp_path: Path) -> None:
    """A table in place of the outputs."""
    result = run(write(tmp_path, [*EVENTS, b"rubbish"]), "--settings", settings(tmp_path), "--summary")
    words = result.stdout.split()
    assert result.exit_code == 0
    assert words[words.index("on_hold") + 1] == "1"
    assert words[words.index("credit_limit_exceeded") + 1] == "1"
    assert words[words.index("unreadable") + 1] == "1"
    assert "60.00 %" in result.stdout


def test_the_summary_comes_as_json_too(tmp_path: Path) -> None:
    """One object; money is text."""
    result = run(write(tmp_path, EVENTS), "--settings", settings(tmp_path), "--summary", "--json")
    found = json.loads(result.stdout)
    assert found["decisions"] == {"on_hold": 1, "released": 1}
    assert found["exposure"] == {"EUR": {"exposure": "600.00", "overdue": "0.00"}}
    assert found["most_used_limits"][0]["utilization_percent"] == "60.00"


@pytest.mark.parametrize("names", [["nowhere.jsonl", "nothing.jsonl"], ["."]])
def test_files_that_are_not_there_are_all_named_before_anything_is_done(names: list[str]) -> None:
    """Exit status 2."""
    result = run(*names)
    assert result.exit_code == 2
    assert all(name in result.stderr for name in names)
    assert result.stdout == ""


def test_settings_with_faults_are_refused_with_all_of_them(tmp_path: Path) -> None:
    """Exit status 2; nothing is processed."""
    (tmp_path / "bad.toml").write_text("[parameters]\na = 1\nb = 2\n")
    result = run(write(tmp_path, EVENTS), "--settings", str(tmp_path / "bad.toml"))
    assert result.exit_code == 2
    assert "parameters.a" in result.stderr
    assert "parameters.b" in result.stderr
    assert result.stdout == ""


def test_a_reader_that_stops_reading_ends_the_run_quietly(tmp_path: Path) -> None:
    """`process ... | head -1`."""
    orders = [
        event("OrderPlaced", 2, order_id=f"O{n}", amount="1.00", currency="EUR") | {"event_id": f"n{n}"}
        for n in range(3000)
    ]
    command = f"{sys.executable} -m credit_stream process {write(tmp_path, orders)} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""
