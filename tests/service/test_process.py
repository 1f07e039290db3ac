"""`serve` as an operator sees it: it starts, ends when asked, and loses nothing when it is killed."""

from __future__ import annotations

import http.client
import json
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from credit_stream.cli.faults import RunFailed
from credit_stream.cli.http_client import HttpClient
from credit_stream.company import Company, Plan
from credit_stream.core.topics import INPUT_TOPICS
from credit_stream.hosts.embedded import EmbeddedHost
from credit_stream.wire.json_lines import event_to_json
from credit_stream.wire.read import read_event
from tests.service.process import Process

SETTINGS = '[[rules]]\nid = "limit"\ntype = "credit_limit_used"\n'
BATCH = 20
KILLS = 4


def company_lines() -> list[bytes]:
    """Twelve days of a small company, without its own settings and ticks."""
    events = Company(Plan(seed=7, customers=12, days=12, orders_a_day=8, ticks=False))
    return [json.dumps(event_to_json(event)).encode() for event in events]


def post(url: str, lines: list[bytes]) -> None:
    """Posts lines once; raises OSError or HTTPException when no answer comes."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        connection.request("POST", "/events", b"\n".join(lines), {"content-type": "application/x-ndjson"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        assert response.status == 200, answer
        assert answer["rejected"] == []
    finally:
        connection.close()


def test_it_ends_in_order_when_it_is_asked_to(tmp_path: Path) -> None:
    """SIGTERM and Ctrl-C: exit status 0, and everything is there the next time."""
    for number in (signal.SIGTERM, signal.SIGINT):
        process = Process(tmp_path / number.name)
        post(process.url, company_lines()[:30])
        assert process.terminate(number) == 0
        assert [line["event"] for line in process.log] == ["listening", "stopping", "stopped"]
        with EmbeddedHost(tmp_path / number.name) as host:
            assert sum(host.counts().get(topic, 0) for topic in INPUT_TOPICS) >= 30


def test_settings_are_published_once_and_again_when_they_change(tmp_path: Path) -> None:
    """`--settings` with what is in force already changes nothing."""
    file = tmp_path / "credit.toml"
    for text, version in ((SETTINGS, 1), (SETTINGS, 1), (SETTINGS + "percent = '80'\n", 2)):
        file.write_text(text)
        process = Process(tmp_path / "data", "--settings", str(file))
        assert process.terminate() == 0
        with EmbeddedHost(tmp_path / "data") as host:
            assert len(host.read("credit.settings", 0, 0)) == version
            assert host.counts().get("credit.dead-letters", 0) == 0


def test_settings_with_faults_stop_it_before_it_opens_anything(tmp_path: Path) -> None:
    """Exit status 2, with every fault."""
    file = tmp_path / "credit.toml"
    file.write_text("[parameters]\nx = 1\ny = 2\n")
    command = [sys.executable, "-m", "credit_stream", "serve", "--data", str(tmp_path / "d"), "--settings", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "parameters.x" in done.stderr
    assert "parameters.y" in done.stderr
    assert not (tmp_path / "d").exists()


def test_a_directory_has_one_process_at_a_time(tmp_path: Path) -> None:
    """The second one says who has it, with exit status 1."""
    first = Process(tmp_path)
    command = [sys.executable, "-m", "credit_stream", "serve", "--data", str(tmp_path), "--port", "0"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 1
    assert f"in use by another process (id {first.popen.pid})" in second.stderr
    assert first.terminate() == 0


def test_a_port_that_is_taken_is_said_to_be(tmp_path: Path) -> None:
    """Exit status 1, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "credit_stream", "serve", "--data", str(tmp_path), "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert f"127.0.0.1:{port} is not to be had" in done.stderr
    assert "--port" in done.stderr


def test_its_log_names_nobody(tmp_path: Path) -> None:
    """No customer, order or event ids, whatever comes in."""
    process = Process(tmp_path)
    lines = company_lines()
    post(process.url, lines[:200])
    process.terminate()
    logged = "".join(process.text)
    ids = {value for line in lines[:200] for name, value in json.loads(line).items() if name.endswith("_id")}
    assert not [each for each in ids if f'"{each}"' in logged]


def test_nothing_acknowledged_is_lost_when_the_disk_is_full(tmp_path: Path) -> None:
    """It says so, refuses, and ends with 1; with room again every acknowledged event is there, decided once."""
    process = Process(tmp_path, limit_bytes=2 * 1024 * 1024)
    acknowledged: list[bytes] = []
    lines = [
        json.dumps({"type": "CustomerUpdated", "event_id": f"c-{number}", "occurred_at": "2026-01-05T09:00:00Z",
                    "customer_id": f"C{number}", "credit_currency": "EUR", "notes": f"{number}" * 400}).encode()
        for number in range(10_000)
    ]  # fmt: skip
    with pytest.raises((OSError, http.client.HTTPException, AssertionError)):
        for begin in range(0, len(lines), 100):
            post(process.url, lines[begin : begin + 100])
            acknowledged += lines[begin : begin + 100]
    assert process.wait() == 1
    assert any("is full" in str(line.get("message")) for line in process.log if line["level"] == "error")
    assert acknowledged
    assert_all_decided(tmp_path, acknowledged)


def test_after_kill_9_at_any_moment_every_acknowledged_event_is_there_decided_once(tmp_path: Path, seed: int) -> None:
    """Killed several times at random while events are sent; the outputs are those of a straight run, byte for byte."""
    chance = random.Random(seed)
    lines = company_lines()
    acknowledged: list[bytes] = []
    kills = sorted(chance.sample(range(BATCH, len(lines) - BATCH), KILLS))
    process = Process(tmp_path / "killed", "--partitions", "3")
    begin = 0
    while begin < len(lines):
        batch = lines[begin : begin + BATCH]
        killer = None
        if kills and begin + BATCH > kills[0]:
            kills.pop(0)
            killer = threading.Timer(chance.random() * 0.02, process.popen.kill)
            killer.start()
        try:
            post(process.url, batch)
        except (OSError, http.client.HTTPException):
            process.kill()
            process = Process(tmp_path / "killed")
            continue  # no answer came: the sender sends the same lines again
        finally:
            if killer is not None:
                killer.join()
        acknowledged += batch
        begin += BATCH
        if process.popen.poll() is not None:
            process.kill()
            process = Process(tmp_path / "killed")
    process.kill()
    assert_all_decided(tmp_path / "killed", acknowledged)


def assert_all_decided(directory: Path, acknowledged: list[bytes]) -> None:
    """Every acknowledged event is in the log; what came out is what a straight run over that log gives, none twice."""
    with EmbeddedHost(directory) as host:
        host.process_pending()
        there = {event_id for topic in INPUT_TOPICS for event_id in event_ids(host, topic)}
        replayed = host.replay()
        assert host.lag() == 0
    assert {json.loads(line)["event_id"] for line in acknowledged} <= there
    assert replayed.difference is None
    assert replayed.agreed > 0


def event_ids(host: EmbeddedHost, topic: str) -> Iterator[str | None]:
    """The ids of all inputs of a topic."""
    for partition in range(host.partitions):
        offset = 0
        while page := host.read(topic, partition, offset):
            yield from (read_event(record.value or b"").event_id for record in page)
            offset = page[-1].offset + 1


def test_sending_outlives_a_restart_of_the_system(tmp_path: Path) -> None:
    """`HttpClient` sends a batch again until it is acknowledged; what came twice counts once."""
    first = Process(tmp_path)
    port = urlsplit(first.url).port
    lines = company_lines()[:40]
    with HttpClient(first.url) as client:
        client.post_lines(lines[:20])
        first.kill()
        found: list[object] = []
        sender = threading.Thread(target=lambda: found.append(client.post_lines(lines[20:])))
        sender.start()
        second = Process(tmp_path, "--port", str(port))
        sender.join()
    assert second.terminate() == 0
    assert len(found) == 1


def test_nobody_at_the_address_is_said_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do about it."""
    monkeypatch.setattr("credit_stream.cli.http_client.RETRY_SECONDS_MAX", 0.2)
    with HttpClient("http://127.0.0.1:9") as client, pytest.raises(RunFailed) as failed:
        client.post_lines([b"{}"])
    assert "credit-stream serve" in failed.value.message
