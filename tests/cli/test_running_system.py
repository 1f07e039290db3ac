"""`send`, `dead-letters list` and `demo` against a real system."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from credit_stream.cli.commands import credit_stream
from credit_stream.core.topics import DEAD_LETTERS, DECISIONS, INPUT_TOPICS
from credit_stream.hosts.embedded import EmbeddedHost
from tests.service.process import Process

LINES = [
    '{"type": "CustomerUpdated", "event_id": "e1", "occurred_at": "2026-03-02T09:00:00Z", "customer_id": "C1",'
    ' "credit_currency": "EUR", "credit_limit": "1000.00"}',
    "rubbish",
    "",
    '{"type": "OrderPlaced", "event_id": "e3", "occurred_at": "2026-03-02T09:00:02Z", "order_id": "O1",'
    ' "customer_id": "C1", "amount": 5, "currency": "EUR"}',
]
SMALL = ("--size", "15", "--days", "25", "--once", "--json")


def test_send_reports_what_was_accepted_and_which_lines_are_no_events(tmp_path: Path) -> None:
    """By file and line; `dead-letters list` shows them while the system runs and when it does not."""
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(LINES))
    process = Process(tmp_path / "data")
    sent = CliRunner().invoke(credit_stream, ["send", str(file), "--url", process.url])
    assert (sent.exit_code, sent.stdout) == (0, "3 lines accepted\n")
    assert f"{file}:2: unreadable: " in sent.stderr
    assert f"{file}:4: invalid: " in sent.stderr
    again = CliRunner().invoke(credit_stream, ["send", str(file), "--url", process.url, "--json"])
    assert [each["line"] for each in json.loads(again.stdout)["rejected"]] == [2, 4]
    process.settle()
    assert process.terminate() == 0
    listed = CliRunner().invoke(credit_stream, ["dead-letters", "list", "--data", str(tmp_path / "data")])
    assert listed.exit_code == 0
    assert "credit.orders/0/0  invalid  event e3\n    " in listed.stdout
    assert listed.stdout.endswith("4 in all.\n")


def test_dead_letters_of_a_running_system_are_asked_of_it(tmp_path: Path) -> None:
    """The same as from its directory; that is in use meanwhile, and says so."""
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(["rubbish"] * 1_200))
    process = Process(tmp_path / "data")
    assert CliRunner().invoke(credit_stream, ["send", str(file), "--url", process.url]).exit_code == 0
    process.settle()
    in_use = CliRunner().invoke(credit_stream, ["dead-letters", "list", "--data", str(tmp_path / "data")])
    assert in_use.exit_code == 1
    assert "--url" in in_use.stderr
    options = ["--limit", "1100", "--json"]
    asked = CliRunner().invoke(credit_stream, ["dead-letters", "list", "--url", process.url, *options])
    assert process.terminate() == 0
    read = CliRunner().invoke(credit_stream, ["dead-letters", "list", "--data", str(tmp_path / "data"), *options])
    assert len(asked.stdout.splitlines()) == 1_100
    assert asked.stdout == read.stdout


def test_a_folder_of_something_else_is_not_taken_for_a_system(tmp_path: Path) -> None:
    """Exit status 2, and nothing is made in it."""
    result = CliRunner().invoke(credit_stream, ["dead-letters", "list", "--data", str(tmp_path)])
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["127.0.0.1:8321", "ftp://x", "http://", "x"])
def test_an_address_that_is_none_is_refused(url: str, tmp_path: Path) -> None:
    """Exit status 2, with one as it should be."""
    file = tmp_path / "events.jsonl"
    file.write_text("{}")
    result = CliRunner().invoke(credit_stream, ["send", str(file), "--url", url])
    assert result.exit_code == 2
    assert "http://127.0.0.1:8321" in result.stderr


# --- demo ---------------------------------------------------------------------------------------------------------


def demo(data: Path, *options: str) -> subprocess.Popen[str]:
    """Starts a demo."""
    command = [sys.executable, "-m", "credit_stream", "demo", "--data", str(data), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> str:
    """Its stdout, when it has ended well."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def counts(data: Path) -> tuple[int, int, int]:
    """Inputs, decisions and dead letters of a directory."""
    with EmbeddedHost(data) as host:
        found = host.counts()
        assert host.replay().difference is None
    return sum(found.get(topic, 0) for topic in INPUT_TOPICS), found[DECISIONS], found.get(DEAD_LETTERS, 0)


def test_the_demo_streams_the_company_in_and_says_what_came_of_it(tmp_path: Path) -> None:
    """Decisions, exposure, limits; without a single dead letter. A second start has nothing left to do."""
    first = json.loads(finished(demo(tmp_path, *SMALL)))
    assert first["events"] > 100
    assert first["decisions"]["released"] > 0
    assert first["dead_letters"] == {}
    assert first["exposure"]
    second = json.loads(finished(demo(tmp_path, *SMALL)))
    assert second["events"] == 0
    assert second["decisions"] == first["decisions"]
    assert second["exposure"] == first["exposure"]


def test_a_demo_that_is_killed_goes_on_to_the_same_end(tmp_path: Path, seed: int) -> None:
    """kill -9 at random moments: the same company in the end, no event with another content under its id."""
    straight = json.loads(finished(demo(tmp_path / "straight", *SMALL)))
    chance = random.Random(seed)
    for _ in range(3):
        process = demo(tmp_path / "killed", *SMALL)
        try:
            process.wait(0.5 + chance.random())
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
    killed = json.loads(finished(demo(tmp_path / "killed", *SMALL)))
    assert killed["exposure"] == straight["exposure"]
    assert killed["orders_on_hold"] == straight["orders_on_hold"]
    assert killed["dead_letters"] == {}
    assert counts(tmp_path / "killed")[0] >= counts(tmp_path / "straight")[0]


def test_the_demo_goes_on_live_until_ctrl_c_and_from_there_the_next_time(tmp_path: Path) -> None:
    """The page is at the printed address; exit status 0."""
    options = ("--size", "15", "--days", "5", "--speed", "86400", "--port", "0")
    before = 0
    for _ in range(2):
        process = demo(tmp_path, *options)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Ctrl-C"):
                break
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, "")
        inputs, _, dead_letters = counts(tmp_path)
        assert inputs >= before > -1
        assert dead_letters == 0
        before = inputs


def test_another_company_needs_another_directory(tmp_path: Path) -> None:
    """Exit status 1, with the options of the one that is there."""
    finished(demo(tmp_path, "--size", "5", "--days", "2", "--once", "--json"))
    process = demo(tmp_path, "--size", "6", "--days", "2", "--once", "--json")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "--seed 1 --size 5" in err
