"""Schemas stay as they were released, what takes their place goes with them, and what was written stays readable."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from credit_stream.cli.schemas import command
from credit_stream.core import events
from credit_stream.wire import released, schema_files, schemas
from credit_stream.wire.avro import BODY_AT, SINGLE_OBJECT, decode, encode_event, encode_output
from credit_stream.wire.compatibility import Incompatibility, incompatibilities
from credit_stream.wire.faults import Fault
from credit_stream.wire.foreign import fingerprint_of
from credit_stream.wire.read import read_event
from credit_stream.wire.records import RECORD_TYPES
from credit_stream.wire.released import RELEASED_FOLDER, RELEASES_FILE, released_schemas
from credit_stream.wire.schemas import meaning_of
from tests.wire.made_records import RECORD_TYPES as EVERY_RECORD_TYPE
from tests.wire.made_records import records
from tests.wire.test_avro import with_defaults

FOLDER = Path(__file__).resolve().parents[2] / "schemas"
ORDER = events.OrderPlaced(
    event_id="e-1",
    occurred_at=1_772_442_000_000,
    order_id="O1",
    customer_id="C1",
    amount_minor=100_050,
    currency="EUR",
    payment_terms="NET30",
)

Schema = dict[str, Any]
Change = Callable[[Schema], object]


def present() -> dict[str, str]:
    """The schemas of this checkout."""
    return {name: schemas.schema_text(name) for name in RECORD_TYPES}


def field(schema: Schema, name: str) -> Any:
    """A field of a record schema."""
    return next(each for each in schema["fields"] if each["name"] == name)


def changed(record_name: str, change: Change) -> str:
    """The schema of a record after a change."""
    schema = json.loads(schemas.schema_text(record_name))
    change(schema)
    return json.dumps(schema)


def optional(name: str) -> Schema:
    """A new optional field."""
    return {"name": name, "type": ["null", "string"], "default": None}


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of `schemas/` that the package takes for its own."""
    folder = tmp_path / "schemas"
    shutil.copytree(FOLDER, folder)
    monkeypatch.setattr(schemas, "schema_folder", lambda: folder)
    monkeypatch.setattr(schema_files, "FOLDER", folder)
    for cached in (released.releases, released.released_by_fingerprint):
        cached.cache_clear()
    yield folder
    for cached in (released.releases, released.released_by_fingerprint):
        cached.cache_clear()


# --- what was released ------------------------------------------------------------------------------------------


def faults_of_released(folder: Path) -> list[str]:
    """Files that are not as they were released, are missing, or were never released."""
    index = json.loads((folder / RELEASES_FILE).read_text())
    listed = {f"{version}/{name}.avsc": entry for version, names in index.items() for name, entry in names.items()}
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*.avsc")}
    faults = sorted(listed.keys() ^ found.keys())
    for name in listed.keys() & found.keys():
        content = found[name].read_bytes()
        same = listed[name] == {
            "fingerprint": fingerprint_of(content.decode()).hex(),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        faults += [] if same else [name]
    return faults


def test_released_schemas_are_as_they_were_released() -> None:
    """Records that were written with them are read by them: they never change, not even in a word."""
    assert faults_of_released(FOLDER / RELEASED_FOLDER) == []


def test_a_change_of_a_released_folder_is_noticed(tmp_path: Path) -> None:
    """The test above is able to fail: a word, a missing file, a file too many."""
    folder = tmp_path / RELEASED_FOLDER
    shutil.copytree(FOLDER / RELEASED_FOLDER, folder)
    first = folder / "0.1.0"
    (first / "Approve.avsc").write_text((first / "Approve.avsc").read_text().replace(".", "!", 1))
    (first / "Decline.avsc").unlink()
    (first / "Agree.avsc").write_text("{}")
    assert faults_of_released(folder) == ["0.1.0/Agree.avsc", "0.1.0/Decline.avsc", "0.1.0/Approve.avsc"]


def test_every_record_was_released_or_is_new_since() -> None:
    """The first release had all 53 records of its time; none of them is forgotten in the index."""
    assert len(released.releases()["0.1.0"]) == 53
    assert {each.record_name for each in released_schemas()} <= set(RECORD_TYPES)


# --- what goes with it ------------------------------------------------------------------------------------------


def test_the_schemas_go_with_every_release() -> None:
    """Interface section 5, both ways. `credit-stream schemas check` says the same with more words."""
    assert [each.sentence() for each in incompatibilities(present(), released_schemas())] == []


COMPATIBLE: dict[str, tuple[str, Change]] = {
    "a new optional field": ("OrderPlaced", lambda schema: schema["fields"].append(optional("channel"))),
    "a new optional field in the middle": ("OrderPlaced", lambda schema: schema["fields"].insert(3, optional("x"))),
    "a new optional field of a record within": (
        "PaymentReceived",
        lambda schema: field(schema, "settlements")["type"]["items"]["fields"].append(optional("note")),
    ),
    "fields in another order": ("OrderPlaced", lambda schema: schema["fields"].reverse()),
    "symbols in another order": (
        "OrderCheckpointReached",
        lambda schema: field(schema, "checkpoint")["type"]["symbols"].reverse(),
    ),
    "other words for people": ("OrderPlaced", lambda schema: field(schema, "amount_minor").update(doc="Euros.")),
}


@pytest.mark.parametrize(("name", "change"), COMPATIBLE.values(), ids=COMPATIBLE.keys())
def test_a_compatible_change_passes(name: str, change: Change) -> None:
    """A new optional field with a default; the order does not matter to Avro."""
    assert incompatibilities({**present(), name: changed(name, change)}, released_schemas()) == []


ORDER_CHANGES: dict[str, tuple[Change, list[tuple[str, str]], str]] = {
    "a new field without a default": (
        lambda schema: schema["fields"].append({"name": "channel", "type": "string"}),
        [("backward", "channel")],
        "is new and has no default",
    ),
    "a field is gone": (
        lambda schema: schema["fields"].remove(field(schema, "order_id")),
        [("forward", "order_id")],
        "is gone",
    ),
    "an optional field is gone": (
        lambda schema: schema["fields"].remove(field(schema, "payment_terms")),
        [("names", "payment_terms")],
        "left out without a word",
    ),
    "an optional field has another name": (
        lambda schema: field(schema, "payment_terms").update(name="terms"),
        [("names", "payment_terms")],
        "also if it was only renamed",
    ),
    "a field has another name": (
        lambda schema: field(schema, "order_id").update(name="id"),
        [("backward", "id"), ("forward", "order_id")],
        "is gone",
    ),
    "another type": (
        lambda schema: field(schema, "amount_minor").update(type="string"),
        [("backward", "amount_minor"), ("forward", "amount_minor")],
        "was long in 0.1.0 and is string",
    ),
    "a narrower type": (
        lambda schema: field(schema, "amount_minor").update(type="int"),
        [("backward", "amount_minor")],
        "was long in 0.1.0 and is int",
    ),
    "a wider type": (
        lambda schema: field(schema, "order_date").update(type=["null", "long"]),
        [("forward", "order_date")],
        "readers of 0.1.0 take null or int",
    ),
    "text for bytes, which Avro would turn into each other": (
        lambda schema: field(schema, "order_id").update(type="bytes"),
        [("names", "order_id")],
        "was string and is bytes",
    ),
    "a date that is only a number": (
        lambda schema: field(schema, "order_date").update(type=["null", "int"]),
        [("names", "order_date")],
        "was int (date) and is int",
    ),
    "a field may be null": (
        lambda schema: field(schema, "order_id").update(type=["null", "string"]),
        [("forward", "order_id")],
        "is null or string",
    ),
    "a field may not be null any more": (
        lambda schema: field(schema, "payment_terms").update(type="string", default=""),
        [("backward", "payment_terms")],
        "was null or string",
    ),
    "another default": (
        lambda schema: field(schema, "excluded").update(default=True),
        [("names", "excluded")],
        "had the default false and has the default true",
    ),
    "no default": (
        lambda schema: field(schema, "excluded").pop("default"),
        [("names", "excluded")],
        "has no default",
    ),
    "no default where it was null": (
        lambda schema: field(schema, "payment_terms").pop("default"),
        [("names", "payment_terms")],
        "had the default null and has no default",
    ),
    "the record has another name": (
        lambda schema: schema.update(name="OrderMade"),
        [("backward", ""), ("forward", "")],
        "is credit.v1.OrderMade",
    ),
    "another namespace": (
        lambda schema: schema.update(namespace="credit.v2"),
        [("names", "")],
        "is credit.v2.OrderPlaced",
    ),
    "two things at once": (
        lambda schema: (
            field(schema, "order_id").update(type="long"),
            schema["fields"].remove(field(schema, "source")),
        ),
        [("backward", "order_id"), ("forward", "order_id"), ("names", "source")],
        "is gone",
    ),
}


def told(found: list[Incompatibility]) -> list[tuple[str, str]]:
    """Direction and place of each."""
    return [(each.direction, each.place) for each in found]


@pytest.mark.parametrize(("change", "expected", "words"), ORDER_CHANGES.values(), ids=ORDER_CHANGES.keys())
def test_an_incompatible_change_is_caught_with_its_place(
    change: Change, expected: list[tuple[str, str]], words: str
) -> None:
    """Each alone, and nothing besides; the sentence says what to do."""
    found = incompatibilities({**present(), "OrderPlaced": changed("OrderPlaced", change)}, released_schemas())
    assert told(found) == expected
    assert {(each.record_name, each.version) for each in found} == {("OrderPlaced", "0.1.0")}
    assert any(words in each.sentence() for each in found)
    assert all("put" in each.remedy or "give" in each.remedy for each in found)


def adjustment(schema: Schema) -> Schema:
    """A record within another, in a union with null."""
    found: Schema = field(schema, "change")["type"][1]
    return found


DEEP_CHANGES: dict[str, tuple[str, Change, list[tuple[str, str]], str]] = {
    "a word is gone from an enum": (
        "OrderCheckpointReached",
        lambda schema: field(schema, "checkpoint")["type"]["symbols"].remove("invoice"),
        [("backward", "checkpoint")],
        "no longer has 'invoice'",
    ),
    "a new word in an enum": (
        "OrderCheckpointReached",
        lambda schema: field(schema, "checkpoint")["type"]["symbols"].append("shipping"),
        [("forward", "checkpoint")],
        "has the new 'shipping'",
    ),
    "an enum has another name": (
        "OrderCheckpointReached",
        lambda schema: field(schema, "checkpoint")["type"].update(name="Step"),
        [("backward", "checkpoint"), ("forward", "checkpoint")],
        "is credit.v1.Step",
    ),
    "a word of an enum in a record that may be null": (
        "GenerateJournalLines",
        lambda schema: field(adjustment(schema), "kind")["type"]["symbols"].append("factor"),
        [("forward", "change.kind")],
        "has the new 'factor'",
    ),
    "a field of a record that may be null": (
        "GenerateJournalLines",
        lambda schema: adjustment(schema)["fields"].remove(field(adjustment(schema), "value")),
        [("forward", "change.value")],
        "is gone",
    ),
    "a field of the records in a list": (
        "PaymentReceived",
        lambda schema: field(field(schema, "settlements")["type"]["items"], "discount").update(name="rebate"),
        [("names", "settlements[].discount")],
        "is gone",
    ),
    "the values of a map": (
        "CustomerUpdated",
        lambda schema: field(schema, "attributes")["type"].update(values="long"),
        [("backward", "attributes{}"), ("forward", "attributes{}")],
        "was string",
    ),
}


@pytest.mark.parametrize(("name", "change", "expected", "words"), DEEP_CHANGES.values(), ids=DEEP_CHANGES.keys())
def test_an_incompatible_change_deep_in_a_record_is_caught_where_it_is(
    name: str, change: Change, expected: list[tuple[str, str]], words: str
) -> None:
    """Apache's checker says of a field that may be null only that it does not fit."""
    found = incompatibilities({**present(), name: changed(name, change)}, released_schemas())
    assert told(found) == expected
    assert any(words in each.sentence() for each in found)


def test_a_record_that_is_gone_is_caught() -> None:
    """Its records are still in the log."""
    there = present()
    del there["OrderPlaced"]
    [found] = incompatibilities(there, released_schemas())
    assert found.sentence().startswith("OrderPlaced is gone")


# --- the command ------------------------------------------------------------------------------------------------


def check(*options: str) -> Result:
    """`credit-stream schemas check`."""
    return CliRunner().invoke(command, ["check", *options])


def test_the_command_ends_with_0_when_all_goes_together() -> None:
    """This checkout against its releases."""
    result = check()
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{len(RECORD_TYPES)} schemas go with every release up to 0.1.0\n"
    assert json.loads(check("--json").stdout) == {"ok": True, "last_release": "0.1.0", "incompatibilities": []}


def test_the_command_prints_every_incompatibility_and_ends_with_1(copied: Path) -> None:
    """A line for each, with its place and what to do."""
    (copied / "OrderPlaced.avsc").write_text(changed("OrderPlaced", lambda schema: schema["fields"].pop(0)))
    result = check("--schemas", str(copied))
    assert result.exit_code == 1
    assert result.stdout == (
        "OrderPlaced.event_id is gone, and the readers of 0.1.0 have no default for it; put it back.\n"
    )
    assert "1 thing does not go" in result.stderr
    printed = check("--schemas", str(copied), "--json")
    assert printed.exit_code == 1
    [found] = json.loads(printed.stdout)["incompatibilities"]
    assert (found["record_name"], found["direction"], found["place"]) == ("OrderPlaced", "forward", "event_id")


@pytest.mark.parametrize("text", ["rubbish", '{"type": "recrd"}', '{"type": "record", "name": "A", "fields": 7}'])
def test_a_file_that_is_no_schema_is_bad_input(copied: Path, text: str) -> None:
    """Exit status 2 with its name."""
    (copied / "OrderPlaced.avsc").write_text(text)
    result = check("--schemas", str(copied))
    assert result.exit_code == 2
    assert "OrderPlaced.avsc is no Avro schema" in result.stderr


def test_a_folder_without_schemas_is_bad_input(tmp_path: Path) -> None:
    """Rather than saying that all of none goes together."""
    result = check("--schemas", str(tmp_path))
    assert result.exit_code == 2
    assert "no .avsc files" in result.stderr


def test_without_apaches_avro_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is needed for this and for nothing else that runs."""
    monkeypatch.setitem(sys.modules, "avro.compatibility", None)
    monkeypatch.delitem(sys.modules, "credit_stream.wire.compatibility")
    result = check()
    assert result.exit_code == 1
    assert "pip install" in result.stderr


# --- a release --------------------------------------------------------------------------------------------------


def release(version: str) -> int:
    """`python -m credit_stream.wire.schema_files --release VERSION`."""
    return schema_files.main(["--release", version])


def as_if_records_had(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, text: str) -> None:
    """The record and its schema have changed."""
    made = {**schema_files.schema_files(), f"{name}.avsc": text}
    monkeypatch.setattr(schema_files, "schema_files", lambda: made)
    (folder / f"{name}.avsc").write_text(text)


NEW_SINCE = tuple(name for name in RECORD_TYPES if name not in released.newest_released())
"""Records that came after the last release."""
CHANGED_SINCE = frozenset({"CreditDecision"})
"""Records that have got optional fields since."""
RELEASED_RECORD_TYPES = tuple(each for each in EVERY_RECORD_TYPE if each.__name__ not in NEW_SINCE)


def test_a_release_keeps_what_has_changed_since_the_last_one(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its fingerprint and its hash; other words for people are no change."""
    as_if_records_had(
        monkeypatch, copied, "OrderPlaced", changed("OrderPlaced", lambda it: it["fields"].append(optional("channel")))
    )
    as_if_records_had(monkeypatch, copied, "Approve", changed("Approve", lambda schema: schema.update(doc="Yes.")))
    assert release("0.2.0") == 0
    kept = {path.stem for path in (copied / RELEASED_FOLDER / "0.2.0").iterdir()}
    assert kept == {"OrderPlaced", *NEW_SINCE, *CHANGED_SINCE}
    assert faults_of_released(copied / RELEASED_FOLDER) == []
    assert released.last_release() == "0.2.0"
    assert released.newest_released()["OrderPlaced"].version == "0.2.0"
    assert released.newest_released()["Approve"].version == "0.1.0"


def test_a_release_without_changes_is_noted(copied: Path) -> None:
    """So that the last release is the last release."""
    assert release("0.1.1") == 0
    assert {each.record_name for each in released.releases()["0.1.1"]} == {*NEW_SINCE, *CHANGED_SINCE}
    assert release("0.1.2") == 0
    assert released.releases()["0.1.2"] == ()
    assert released.last_release() == "0.1.2"


@pytest.mark.parametrize("version", ["0.1.0", "0.0.9", "0.2", "v0.2.0", "0.2.0-rc1", ""])
def test_a_release_needs_a_newer_version(copied: Path, version: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A released folder is never written again."""
    before = (copied / RELEASED_FOLDER / RELEASES_FILE).read_text()
    assert release(version) == 1
    assert "give" in capsys.readouterr().err
    assert (copied / RELEASED_FOLDER / RELEASES_FILE).read_text() == before


def test_incompatible_schemas_are_not_released(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is released is read and written by others."""
    text = changed("OrderPlaced", lambda schema: schema["fields"].pop())
    as_if_records_had(monkeypatch, copied, "OrderPlaced", text)
    assert release("0.2.0") == 1
    assert "OrderPlaced.excluded is gone" in capsys.readouterr().err


def test_schemas_behind_their_records_are_not_released(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Or the release would write what its own schemas do not say."""
    (copied / "OrderPlaced.avsc").write_text("{}")
    assert release("0.2.0") == 1
    assert "schema_files --write" in capsys.readouterr().err


# --- what was written stays readable ----------------------------------------------------------------------------


def written(schema: str, record: Struct, **more: object) -> bytes:
    """A record as another version of its schema writes it, in single-object encoding."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(json.loads(schema)), with_defaults(record) | more)
    return SINGLE_OBJECT + fingerprint_of(schema) + stream.getvalue()


def older_release(folder: Path, name: str, text: str) -> None:
    """Puts a release before the first one into the copy."""
    index = folder / RELEASED_FOLDER / RELEASES_FILE
    (folder / RELEASED_FOLDER / "0.0.1").mkdir()
    (folder / RELEASED_FOLDER / "0.0.1" / f"{name}.avsc").write_text(text)
    entry = {"fingerprint": fingerprint_of(text).hex(), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    index.write_text(json.dumps({"0.0.1": {name: entry}} | json.loads(index.read_text())))


def test_what_an_earlier_release_wrote_is_read(copied: Path) -> None:
    """Without the fields that it did not have yet, which get their defaults."""
    text = changed("OrderPlaced", lambda schema: schema["fields"].remove(field(schema, "excluded")))
    older_release(copied, "OrderPlaced", text)
    payload = written(text, ORDER)
    assert payload[:BODY_AT] != encode_event(ORDER)[:BODY_AT]
    assert read_event(payload) == ORDER


def test_what_an_earlier_release_wrote_is_checked_like_everything_else(copied: Path) -> None:
    """An old schema is no way round the checks."""
    text = changed("OrderPlaced", lambda schema: schema["fields"].remove(field(schema, "excluded")))
    older_release(copied, "OrderPlaced", text)
    fault = read_event(written(text, ORDER, currency="EUX"))
    assert isinstance(fault, Fault)
    assert (fault.reason, fault.event_id) == ("invalid", "e-1")


def test_a_record_that_no_release_knows_is_unreadable(copied: Path) -> None:
    """A version that was never released, and a released record that is no more."""
    text = changed("OrderPlaced", lambda schema: schema["fields"].append(optional("channel")))
    older_release(copied, "Parcel", changed("OrderPlaced", lambda schema: schema.update(name="Parcel")))
    for schema in (text, released_schemas()[0].text()):
        fault = read_event(written(schema, ORDER, channel=None))
        assert isinstance(fault, Fault)
        assert "No known schema has the fingerprint" in fault.message


def another_version(name: str, rng: random.Random) -> str:
    """A schema of the record that goes with ours: new optional fields, everything in another order."""

    def change(schema: Schema) -> None:
        for number in range(rng.randint(1, 3)):
            schema["fields"].insert(rng.randint(0, len(schema["fields"])), optional(f"added_{number}"))
        rng.shuffle(schema["fields"])
        for type_in_it in (each["type"] for each in schema["fields"]):
            if isinstance(type_in_it, dict) and type_in_it["type"] == "enum":
                rng.shuffle(type_in_it["symbols"])

    text = json.loads(changed(name, change))
    # A name that stands for a type defined further on would be no schema; such a record keeps its order.
    try:
        fastavro.parse_schema(text)
    except fastavro.schema.UnknownType:
        return changed(name, lambda schema: schema["fields"].append(optional("added")))
    return json.dumps(text)


@pytest.mark.parametrize("record_type", RELEASED_RECORD_TYPES, ids=lambda record_type: record_type.__name__)
@settings(max_examples=4)
@given(data=st.data())
def test_every_record_of_a_version_that_goes_with_ours_is_read_as_ours(
    record_type: type[Struct], data: st.DataObject
) -> None:
    """Newer ones too, from a registry. The check calls such a version compatible, and it is."""
    name = record_type.__name__
    record = data.draw(records(record_type))
    text = another_version(name, random.Random(data.draw(st.integers(0, 2**32))))
    assert incompatibilities({name: text}, [released.newest_released()[name]]) == []
    new = {each["name"]: "something new" for each in json.loads(text)["fields"] if each["name"].startswith("added")}
    body = written(text, record, **new)[BODY_AT:]
    assert decode(b"\x00\x00\x00\x00\x07" + body, {7: text}.__getitem__) == record


@pytest.mark.parametrize("record_type", RELEASED_RECORD_TYPES, ids=lambda record_type: record_type.__name__)
@settings(max_examples=2)
@given(data=st.data())
def test_every_record_that_we_write_is_read_with_the_released_schema(
    record_type: type[Struct], data: st.DataObject
) -> None:
    """Forward, on real bytes: the readers of the last release, which have its schema and get ours as the writer's."""
    record = data.draw(records(record_type))
    payload = encode_event(record) if isinstance(record, events.Event) else encode_output(record)
    name = record_type.__name__
    theirs = released.newest_released()[name].text()
    writer, reader = (fastavro.parse_schema(json.loads(text)) for text in (schemas.schema_text(name), theirs))
    found = fastavro.schemaless_reader(io.BytesIO(payload[BODY_AT:]), writer, reader)
    assert set(found) == {each["name"] for each in json.loads(theirs)["fields"]}


# --- what a schema says -----------------------------------------------------------------------------------------


def as_a_registry_prints_it(schema: Any, namespace: str = "") -> Any:
    """A schema as Confluent's registry gives it back: no namespace where it is that around it, names as short."""
    if isinstance(schema, str):
        return schema.removeprefix(f"{namespace}.") if namespace else schema
    if isinstance(schema, list):
        return [as_a_registry_prints_it(branch, namespace) for branch in schema]
    inner = schema.get("namespace", namespace)
    kept = {name: part for name, part in schema.items() if name != "namespace" or part != namespace}
    parts = {name: as_a_registry_prints_it(kept[name], inner) for name in ("items", "values", "type") if name in kept}
    fields = [{**each, "type": as_a_registry_prints_it(each["type"], inner)} for each in kept.get("fields", [])]
    return kept | parts | ({"fields": fields} if fields else {})


@pytest.mark.parametrize("name", RECORD_TYPES)
def test_layout_and_words_for_people_do_not_change_what_a_schema_says(name: str) -> None:
    """Or a worker would take its own schema, as a registry prints it, for another one."""
    text = schemas.schema_text(name)
    printed = json.dumps(as_a_registry_prints_it(json.loads(text)), separators=(",", ":"))
    assert len(printed) < len(text)
    assert meaning_of(printed) == meaning_of(text)
    assert meaning_of(changed(name, lambda schema: schema.update(doc="Other words."))) == meaning_of(text)


SAYS_ELSE: dict[str, Change] = {
    "another default": lambda schema: field(schema, "excluded").update(default=True),
    "no default": lambda schema: field(schema, "excluded").pop("default"),
    "another logical type": lambda schema: field(schema, "occurred_at")["type"].update(logicalType="timestamp-micros"),
    "no logical type": lambda schema: field(schema, "occurred_at").update(type="long"),
    "another order": lambda schema: schema["fields"].reverse(),
    "another name": lambda schema: field(schema, "order_id").update(name="id"),
    "another namespace": lambda schema: schema.update(namespace="credit.v2"),
}


@pytest.mark.parametrize("change", SAYS_ELSE.values(), ids=SAYS_ELSE.keys())
def test_what_readers_and_writers_go_by_changes_what_a_schema_says(change: Change) -> None:
    """Avro's canonical form would leave out defaults and logical types."""
    assert meaning_of(changed("OrderPlaced", change)) != meaning_of(schemas.schema_text("OrderPlaced"))
