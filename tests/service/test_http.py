"""What the HTTP service promises to those who send events and ask for answers (docs/http.md)."""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
from pathlib import Path

import pytest

from credit_stream.service import intake
from credit_stream.service.app import ROUTES
from tests.service.running import Running, Start

CUSTOMER: dict[str, object] = {
    "type": "CustomerUpdated",
    "event_id": "c-1",
    "occurred_at": "2026-03-02T09:00:00Z",
    "customer_id": "C1",
    "credit_currency": "EUR",
    "credit_limit": "1000.00",
}
SETTINGS: dict[str, object] = {
    "type": "SettingsPublished",
    "event_id": "s-1",
    "occurred_at": "2026-03-02T08:59:59Z",
    "version": 1,
    "document": json.dumps({"rules": [{"id": "limit", "type": "credit_limit_used"}]}),
}


def order(order_id: str, amount: str, event_id: str | None = None) -> dict[str, object]:
    """An order of customer C1."""
    return {
        "type": "OrderPlaced",
        "event_id": event_id or f"e-{order_id}",
        "occurred_at": "2026-03-02T10:00:00Z",
        "order_id": order_id,
        "customer_id": "C1",
        "amount": amount,
        "currency": "EUR",
    }


def error_code(body: object) -> str:
    """The code of a failure, which has the one shape."""
    assert isinstance(body, dict)
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    assert body["error"]["message"].endswith(".")
    return str(body["error"]["code"])


# --- events in ----------------------------------------------------------------------------------------------------


def test_an_order_over_the_limit_is_held_and_one_within_it_is_released(service: Running) -> None:
    """The whole way: lines in, decisions, hold list and exposure out."""
    answer = service.post(SETTINGS, CUSTOMER, order("O1", "600.00"), order("O2", "600.00"))
    assert answer.status == 200
    assert answer.json["accepted"] == 4
    assert [receipt["topic"] for receipt in answer.json["receipts"]][-1] == "credit.orders"
    assert service.get("/decisions/O2?wait=10").json["reasons"] == ["credit_limit_exceeded"]
    assert service.get("/decisions/O1").json["verdict"] == "released"
    assert [hold["order_id"] for hold in service.get("/holds").json["holds"]] == ["O2"]
    assert service.get("/customers/C1/exposure").json["open_orders"] == "600.00"


def test_an_order_of_a_credit_group_is_answered_when_the_group_has(service: Running) -> None:
    """Whoever waits for the decision gets it, though the group lies in another partition; the pool has a route."""
    group = {
        "type": "CreditGroupUpdated", "event_id": "g-1", "occurred_at": "2026-03-02T09:00:00Z", "group_id": "G1",
        "credit_currency": "EUR", "credit_limit": "1000.00", "credit_limit_expires_on": "2030-12-31",
    }  # fmt: skip
    member = {**CUSTOMER, "credit_limit": "0.00", "customer_credit_group": "G1"}
    assert service.post(SETTINGS, group, member, order("O1", "600.00")).status == 200
    assert service.get("/decisions/O1?wait=10").json["limit"]["group_total"] == "1000.00"
    service.post(order("O2", "600.00"))
    assert service.get("/decisions/O2?wait=10").json["reasons"] == ["group_credit_limit_exceeded"]
    pool = service.get("/groups/G1/exposure").json
    assert (pool["exposure"], pool["available"], pool["party"]) == ("600.00", "400.00", "group")


def test_what_was_answered_is_there_after_a_restart(start: Start, tmp_path: Path) -> None:
    """Log and state lie in one directory."""
    first = start(tmp_path / "data")
    first.post(SETTINGS, CUSTOMER, order("O1", "1200"))
    before = first.get("/decisions/O1?wait=10").body
    first.stop()
    assert start(tmp_path / "data").get("/decisions/O1").body == before


def test_the_sender_learns_at_once_which_lines_are_no_events(service: Running) -> None:
    """They are in the log all the same, and become dead letters with the bytes as they came."""
    answer = service.post(CUSTOMER, b"rubbish", b"", {**order("O1", "1"), "amount": 12}).json
    assert answer["accepted"] == 3
    assert answer["rejected_count"] == 2
    assert [(each["line"], each["reason"], each["event_id"]) for each in answer["rejected"]] == [
        (2, "unreadable", None),
        (4, "invalid", "e-O1"),
    ]
    service.settle()
    assert {each["reason"] for each in service.get("/dead-letters").json["dead_letters"]} == {"unreadable", "invalid"}


def test_one_object_over_several_lines_is_one_event(service: Running) -> None:
    """`application/json` is what most programs send."""
    body = json.dumps(CUSTOMER, indent=2).encode()
    answer = service.ask("POST", "/events", body, {"content-type": "application/json; charset=utf-8"})
    assert (answer.json["accepted"], answer.json["rejected"]) == (1, [])


def test_json_lines_under_the_name_of_json_are_taken_too(service: Running) -> None:
    """A common mistake that has one meaning only."""
    body = b"\n".join(json.dumps(event).encode() for event in (CUSTOMER, order("O1", "1")))
    answer = service.ask("POST", "/events", body, {"content-type": "application/json"})
    assert (answer.json["accepted"], answer.json["rejected"]) == (2, [])


def test_a_compressed_body_is_taken(service: Running) -> None:
    """`content-encoding: gzip`."""
    headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
    answer = service.ask("POST", "/events", gzip.compress(json.dumps(CUSTOMER).encode()), headers)
    assert (answer.json["accepted"], answer.json["rejected"]) == (1, [])


def test_a_compressed_body_that_breaks_off_is_refused_as_a_whole(service: Running) -> None:
    """Half of the lines must not be taken for all of them."""
    lines = b"\n".join(json.dumps(order(f"O{number}", "1")).encode() for number in range(500))
    whole = gzip.compress(lines)
    headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
    for body in (whole[: len(whole) // 2], whole[:-1], b"no gzip", whole + b"x"):
        answer = service.ask("POST", "/events", body, headers)
        assert (answer.status, error_code(answer.json)) == (400, "bad_request")
    assert service.get("/health").json["events"] == 0


def test_a_small_body_that_unpacks_to_a_huge_one_is_refused(service: Running) -> None:
    """A gzip bomb costs the limit in memory, not more."""
    bomb = gzip.compress(b"\0" * (4 * intake.BODY_BYTES_MAX), 1)
    headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
    answer = service.ask("POST", "/events", bomb, headers)
    assert (answer.status, error_code(answer.json)) == (413, "too_large")


def test_a_body_over_the_limit_is_refused_with_the_limit(service: Running) -> None:
    """By bytes and by lines; nothing of it is taken."""
    headers = {"content-type": "application/x-ndjson"}
    by_bytes = service.ask("POST", "/events", b"x" * (intake.BODY_BYTES_MAX + 1), headers)
    assert (by_bytes.status, error_code(by_bytes.json)) == (413, "too_large")
    assert "16,777,216" in by_bytes.json["error"]["message"]
    by_lines = service.ask("POST", "/events", b"{}\n" * (intake.LINES_MAX + 1), headers)
    assert (by_lines.status, error_code(by_lines.json)) == (413, "too_large")
    assert service.get("/health").json["events"] == 0


def test_a_line_of_ten_megabytes_becomes_a_dead_letter_and_the_rest_is_taken(service: Running) -> None:
    """It stops nobody."""
    answer = service.post(order("O1", "1"), b'{"x": "' + b"y" * 10_000_000 + b'"}', order("O2", "1"))
    assert (answer.json["accepted"], answer.json["rejected_count"]) == (3, 1)
    assert service.get("/decisions/O2?wait=10").status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({}, 415),
        ({"content-type": "application/x-ndjson", "content-encoding": "br"}, 415),
    ],
)
def test_other_content_is_refused_with_what_to_send(service: Running, headers: dict[str, str], status: int) -> None:
    """A form or plain text is also all that a page of another site could post without asking first."""
    answer = service.ask("POST", "/events", json.dumps(CUSTOMER).encode(), headers)
    assert (answer.status, error_code(answer.json)) == (status, "unsupported_media_type")


def test_an_empty_body_is_refused(service: Running) -> None:
    """Nothing was sent: the sender has a fault that it should know."""
    for kind in ("application/json", "application/x-ndjson"):
        answer = service.ask("POST", "/events", b" \n\n", {"content-type": kind})
        assert (answer.status, error_code(answer.json)) == (400, "bad_request")


def test_the_same_events_again_take_no_second_effect(service: Running) -> None:
    """What a sender does when an answer is lost."""
    events = (SETTINGS, CUSTOMER, order("O1", "600"))
    service.post(*events)
    first = service.get("/decisions/O1?wait=10").body
    assert service.post(*events).json["accepted"] == 3
    service.settle()
    assert service.get("/decisions/O1").body == first
    assert service.get("/customers/C1/exposure").json["open_orders"] == "600.00"


def test_senders_at_the_same_time_all_get_their_own_receipts(service: Running) -> None:
    """Their lines share a write to the disk, not an answer."""
    found: dict[int, list[tuple[str, int, int]]] = {}

    def send(sender: int) -> None:
        events = [order(f"S{sender}-{number}", "1.00") for number in range(20)]
        receipts = service.post(*events).json["receipts"]
        found[sender] = [(each["topic"], each["partition"], each["offset"]) for each in receipts]

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    places = [place for sender in range(8) for place in found[sender]]
    assert len(places) == len(set(places)) == 160


def test_a_full_queue_tells_the_sender_to_come_again(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Back pressure: 429 with Retry-After, nothing of the request taken, and the service goes on."""
    monkeypatch.setattr(intake, "QUEUE_LINES_MAX", 1)
    entered, go_on = threading.Event(), threading.Event()
    append = service.system.append

    def slow(payloads: list[bytes]) -> object:
        entered.set()
        assert go_on.wait(20)
        return append(payloads)

    monkeypatch.setattr(service.system, "append", slow)
    first = threading.Thread(target=service.post, args=(CUSTOMER,))
    first.start()
    assert entered.wait(20)
    refused = service.post(order("O1", "1"))
    go_on.set()
    first.join()
    assert (refused.status, error_code(refused.json)) == (429, "too_many_events")
    assert int(refused.headers["retry-after"]) >= 1
    assert service.post(order("O1", "1")).status == 200


def test_a_system_that_is_too_far_behind_tells_the_sender_to_come_again(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More comes in than it can decide: 503 with Retry-After, until it has caught up."""
    with monkeypatch.context() as patched:
        patched.setattr(service.system.host, "lag", lambda: intake.LAG_EVENTS_MAX + 1)
        refused = service.post(CUSTOMER)
    assert (refused.status, error_code(refused.json)) == (503, "unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    assert service.post(CUSTOMER).status == 200


# --- answers out --------------------------------------------------------------------------------------------------


def test_waiting_for_a_decision_ends_as_soon_as_it_is_there(service: Running) -> None:
    """Long polling: the question may come before the order."""
    found: list[int] = []
    asker = threading.Thread(target=lambda: found.append(service.get("/decisions/O1?wait=20").status))
    asker.start()
    begun = time.monotonic()
    service.post(CUSTOMER, order("O1", "1"))
    asker.join()
    assert found == [200]
    assert time.monotonic() - begun < 15


def test_waiting_for_another_decision_passes_over_the_known_one(service: Running) -> None:
    """`after` names the one that the asker has."""
    service.post(SETTINGS, CUSTOMER, order("O1", "1200"))
    known = service.get("/decisions/O1?wait=10").json["decision_id"]
    assert service.get(f"/decisions/O1?wait=1&after={known}").status == 404
    release = {
        "type": "ReleaseOrder",
        "event_id": "r-1",
        "occurred_at": "2026-03-02T11:00:00Z",
        "actor": "ana",
        "order_id": "O1",
        "customer_id": "C1",
        "release_reason": "paid",
    }
    service.post(release)
    answer = service.get(f"/decisions/O1?wait=10&after={known}")
    assert answer.json["verdict"] == "released"
    assert answer.json["supersedes"] == known


def test_holds_come_in_pages(service: Running) -> None:
    """In the order of order ids, with `next` to go on from."""
    service.post(SETTINGS, CUSTOMER, *(order(f"O{number}", "1200") for number in range(5)))
    service.settle()
    first = service.get("/holds?limit=2").json
    second = service.get(f"/holds?limit=2&after={first['next']}").json
    third = service.get(f"/holds?limit=2&after={second['next']}").json
    seen = [hold["order_id"] for page in (first, second, third) for hold in page["holds"]]
    assert seen == ["O0", "O1", "O2", "O3", "O4"]
    assert third["next"] is None


def test_dead_letters_come_in_pages_over_all_partitions(service: Running) -> None:
    """Each once."""
    service.post(*(b"rubbish %d" % number for number in range(3)), *({**order(f"O{n}", "1"), "x": 1} for n in range(4)))
    service.settle()
    seen: list[str] = []
    path = "/dead-letters?limit=2"
    while True:
        page = service.get(path).json
        seen += [letter["dead_letter_id"] for letter in page["dead_letters"]]
        if page["next"] is None:
            break
        path = f"/dead-letters?limit=2&after={page['next']}"
    assert len(seen) == len(set(seen)) == 7


@pytest.mark.parametrize(
    "path",
    ["/holds?limit=0", "/holds?limit=1001", "/holds?limit=x", "/holds?limit=%C2%B2", "/dead-letters?after=x",
     "/dead-letters?after=1/x", "/decisions/O1?wait=31", "/decisions/O1?wait=-1", "/holds?limit=99999999999999999"],
)  # fmt: skip
def test_a_parameter_out_of_range_is_refused_with_its_range(service: Running, path: str) -> None:
    """Never guessed at."""
    answer = service.get(path)
    assert (answer.status, error_code(answer.json)) == (400, "bad_request")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/decisions/none", 404, "not_found"),
        ("GET", "/customers/none/exposure", 404, "not_found"),
        ("GET", "/groups/none/exposure", 404, "not_found"),
        ("PUT", "/holds", 405, "method_not_allowed"),
        ("GET", "/events", 405, "method_not_allowed"),
    ],
)
def test_every_failure_has_one_shape(service: Running, method: str, path: str, status: int, code: str) -> None:
    """`{"error": {"code", "message"}}`."""
    answer = service.ask(method, path)
    assert (answer.status, error_code(answer.json)) == (status, code)


def test_a_fault_of_the_service_has_the_same_shape_and_its_log_no_personal_data(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500; the log says where, not about whom."""

    def broken(*_: object) -> None:
        raise KeyError("customer C-SECRET")

    monkeypatch.setattr(service.system.host, "latest", broken)
    answer = service.get("/decisions/O-SECRET")
    assert (answer.status, error_code(answer.json)) == (500, "internal_error")
    logged = service.log.getvalue()
    assert json.loads(logged)["error"] == "KeyError"
    assert "SECRET" not in logged


# --- health, metrics, page ----------------------------------------------------------------------------------------


def test_health_counts_what_lies_in_the_log(service: Running) -> None:
    """From what was decided."""
    service.post(SETTINGS, CUSTOMER, order("O1", "1200"), b"rubbish")
    service.settle()
    health = service.get("/health").json
    assert (health["status"], health["lag"], health["events"]) == ("ok", 0, 4)
    assert (health["decisions"], health["dead_letters"]) == (1, 1)


def test_health_fails_when_the_engine_has_stopped(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, so that whoever watches it notices, though the process is there."""
    monkeypatch.setattr(service.system.host, "_failure", RuntimeError("broken"))
    answer = service.get("/health")
    assert (answer.status, answer.json["status"]) == (503, "failed")
    refused = service.post(CUSTOMER)
    assert (refused.status, error_code(refused.json)) == (503, "unavailable")


def test_metrics_count_events_decisions_and_dead_letters(service: Running) -> None:
    """In the text format of Prometheus; every answered request counts by its route, not its path."""
    service.post(SETTINGS, CUSTOMER, order("O1", "1200"), order("O2", "1"), b"rubbish")
    service.settle()
    service.get("/decisions/O1")
    text = service.get("/metrics").body.decode()
    figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert figures['credit_stream_events_total{topic="credit.orders"}'] == "2.0"
    assert figures['credit_stream_decisions_total{verdict="on_hold"}'] == "1.0"
    assert figures['credit_stream_decisions_total{verdict="released"}'] == "1.0"
    assert figures['credit_stream_dead_letters_total{reason="unreadable"}'] == "1.0"
    assert figures["credit_stream_lag_events"] == "0.0"
    assert figures['credit_stream_http_requests_total{route="GET /decisions/{order_id}",status="200"}'] == "1.0"
    assert "O1" not in text


def test_the_start_page_loads_nothing_from_elsewhere(service: Running) -> None:
    """Self-contained, with a policy that holds the browser to it."""
    answer = service.get("/")
    page = answer.body.decode()
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.findall(r'(?:src|href)="(?!/|data:)', page)
    assert f"{service.url}/events" in page
    assert "<!--" not in page


def test_the_example_of_the_start_page_replaces_nobodys_settings(service: Running) -> None:
    """It publishes settings only where there are none."""
    assert "SettingsPublished" in service.get("/").body.decode()
    service.post(SETTINGS)
    assert "SettingsPublished" not in service.get("/").body.decode()


def test_the_example_of_the_start_page_works_as_it_stands(service: Running) -> None:
    """The lines between the quotes are events, and the order is held."""
    page = service.get("/").body.decode()
    lines = re.search(r"&lt;&lt;'END'\n(.*?)\nEND", page, re.DOTALL)
    assert lines
    text = lines[1].replace("&quot;", '"').replace("&lt;", "<").replace("&amp;", "&")
    answer = service.post(*(line.encode() for line in text.splitlines()))
    assert (answer.json["accepted"], answer.json["rejected"]) == (3, [])
    assert service.get("/decisions/FIRST-1?wait=10").json["verdict"] == "on_hold"


def test_every_route_answers(service: Running) -> None:
    """No route of the table is without its handler."""
    for route in ROUTES:
        answer = service.ask(route.method, route.path.replace("{", "").replace("}", ""))
        assert answer.status in (200, 404, 415)


# --- who may ask --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["localhost:8321", "127.0.0.1", "[::1]:8321", "LOCALHOST"])
def test_the_names_of_this_machine_are_answered(service: Running, name: str) -> None:
    """With and without a port."""
    assert service.ask("GET", "/health", headers={"host": name}).status == 200


@pytest.mark.parametrize("name", ["evil.example", "evil.example:8321", "127.0.0.1.evil.example", "localhost.evil:1"])
def test_another_name_that_leads_here_is_refused(service: Running, name: str) -> None:
    """DNS rebinding: a page of another site that has itself resolved to 127.0.0.1."""
    answer = service.ask("GET", "/health", headers={"host": name})
    assert (answer.status, error_code(answer.json)) == (403, "host_not_allowed")


def test_no_other_site_is_allowed_to_read(service: Running) -> None:
    """No CORS headers, not even for a preflight."""
    answer = service.ask("OPTIONS", "/events", headers={"origin": "https://evil.example"})
    assert answer.status == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]
