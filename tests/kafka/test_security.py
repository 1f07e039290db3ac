"""TLS, every way to log in, and the rights of each role, on a real broker that enforces them."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiokafka
import pytest
from click.testing import CliRunner, Result
from confluent_kafka import KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AdminClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from credit_stream.cli.commands import credit_stream
from credit_stream.core.topics import (
    COMMANDS,
    CUSTOMERS,
    DEAD_LETTERS,
    DECISIONS,
    GROUPS,
    INPUT_TOPICS,
    INTERNAL_TOPICS,
    INVOICES,
    ORDERS,
    PAYMENTS,
    POSTINGS,
    SEQUENCE,
    SETTINGS,
    STATE,
)
from credit_stream.hosts.kafka import admin as kafka_admin
from credit_stream.hosts.kafka.admin import QUIET, ClusterAdmin
from credit_stream.hosts.kafka.configuration import read_connection
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import KafkaFailure, NotAuthorized, Unreachable
from credit_stream.hosts.kafka.topics import OUTPUT_TOPICS, TOPICS, check, create
from credit_stream.local_kafka import LocalKafka
from tests.kafka import kafka_acls
from tests.kafka.conftest import USERS
from tests.kafka.token_server import TokenServer

ROOT = Path(__file__).resolve().parents[2]
ROLES = ("worker", "upstream", "reader", "operator", "console")
SECONDS_MAX = 60.0
LIBRDKAFKA = ("credit_stream", "worker")
FAUST = ("faust", "-A", "credit_stream.app", "worker", "-l", "info")
LINES = [
    '{"type": "CustomerUpdated", "event_id": "e1", "occurred_at": "2026-03-02T09:00:00Z", "customer_id": "C1",'
    ' "credit_currency": "EUR", "credit_limit": "1000.00"}',
    '{"type": "OrderPlaced", "event_id": "e2", "occurred_at": "2026-03-02T09:00:02Z", "order_id": "O1",'
    ' "customer_id": "C1", "amount": "5.00", "currency": "EUR"}',
]


@pytest.fixture(autouse=True)
def only_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test says itself how it connects."""
    for name in os.environ:
        if name.startswith("CREDIT_STREAM_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def tokens() -> Iterator[TokenServer]:
    """Gives a token to whoever is called like a role, or like a user of the broker."""
    with TokenServer({name: f"{name}-client-secret" for name in (*ROLES, *USERS)}).running() as server:
        yield server


def values(kafka: LocalKafka, prefix: str, user: str, mechanism: str, tokens: TokenServer) -> dict[str, str]:
    """The keys of a connection with TLS for a user who logs in so."""
    found = {
        "brokers": kafka.secure_bootstrap,
        "application_id": f"{prefix}app",
        "topic_prefix": prefix,
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": mechanism,
        "tls_ca_file": str(kafka.certificate),
    }
    if mechanism == "OAUTHBEARER":
        return found | {
            "oauth_token_endpoint": tokens.url,
            "oauth_client_id": user,
            "oauth_client_secret": f"{user}-client-secret",
            "oauth_scope": tokens.scope,
        }
    return found | {"sasl_username": user, "sasl_password": USERS.get(user, "none")}


def connected(found: dict[str, str]) -> Connection:
    """The connection, read as every program reads it."""
    return read_connection(None, {f"CREDIT_STREAM_{key.upper()}": value for key, value in found.items()})


def as_file(folder: Path, found: dict[str, str]) -> Path:
    """The same in a connection file, the secret in a file of its own beside it."""
    file = folder / f"{found.get('sasl_username') or found['oauth_client_id']}.toml"
    secret = next(key for key in ("sasl_password", "oauth_client_secret") if key in found)
    lines = [f'{key} = "{value}"' for key, value in found.items() if key != secret]
    file.with_suffix(".secret").write_text(found[secret] + "\n")
    file.write_text("\n".join([*lines, f'{secret}_file = "{file.with_suffix(".secret").name}"', ""]))
    return file


def granted(kafka: LocalKafka, role: str, prefix: str, principal: str | None = None) -> None:
    """Runs the script of a role as an administrator does."""
    shell = shutil.which("sh")
    assert shell is not None
    folder = Path(tempfile.mkdtemp(dir=kafka.directory))
    program, record = folder / "kafka-acls.sh", folder / "record"
    program.write_text(kafka_acls.program(shell, record))
    program.chmod(0o755)
    environment = {
        **os.environ,
        "BOOTSTRAP": kafka.bootstrap,
        "PRINCIPAL": principal or f"User:{role}",
        "KAFKA_ACLS": str(program),
        "TOPIC_PREFIX": prefix,
        "APPLICATION_ID": f"{prefix}app",
        "GROUP": f"{prefix}readers" if role == "reader" else "",
    }
    script = ROOT / "deploy" / "acls" / f"{role}.sh"
    done = subprocess.run(
        [shell, str(script)], env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    kafka_acls.grant(record)


@pytest.fixture
def topics(secure_kafka: LocalKafka, topic_prefix: str) -> Connection:
    """This test's topics, made by an administrator without security."""
    connection = Connection(brokers=secure_kafka.bootstrap, topic_prefix=topic_prefix)
    create(connection, partitions=2)
    return connection


# --- logging in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"])
def test_every_client_gets_in_by_every_mechanism(
    mechanism: str, secure_kafka: LocalKafka, topics: Connection, tokens: TokenServer
) -> None:
    """One configuration: librdkafka, aiokafka, and aiokafka as Faust sets it up, each write and read over TLS."""
    prefix = topics.topic_prefix
    granted(secure_kafka, "operator", prefix, "User:worker")
    connection = connected(values(secure_kafka, prefix, "worker", mechanism, tokens))
    topic = connection.topic(ORDERS)
    assert written_by_librdkafka(connection, topic, b"by librdkafka") is None
    faust = {
        "bootstrap_servers": connection.brokers,
        **credentials_to_aiokafka_auth(connection.faust_credentials()),
    }
    asyncio.run(written_by_aiokafka(connection.aiokafka(), topic, b"by aiokafka"))
    asyncio.run(written_by_aiokafka(faust, topic, b"as Faust"))
    expected = [b"by librdkafka", b"by aiokafka", b"as Faust"]
    assert asyncio.run(read_by_aiokafka(faust, topic, len(expected))) == expected
    assert check(connection) == []


def written_by_librdkafka(connection: Connection, topic: str, value: bytes) -> str | None:
    """To partition 0; the name of the error, None when it was taken."""
    errors: list[KafkaError | None] = []
    producer = Producer(connection.client(), logger=QUIET)
    producer.produce(topic, value, partition=0, on_delivery=lambda error, _: errors.append(error))
    producer.flush(SECONDS_MAX)
    producer.close()
    (error,) = errors
    return None if error is None else str(error.name())


async def written_by_aiokafka(arguments: dict[str, object], topic: str, value: bytes) -> None:
    """To partition 0."""
    async with aiokafka.AIOKafkaProducer(**arguments) as producer:
        await producer.send_and_wait(topic, value, partition=0)


async def read_by_aiokafka(arguments: dict[str, object], topic: str, count: int) -> list[bytes]:
    """So many records of partition 0."""
    consumer = aiokafka.AIOKafkaConsumer(**arguments, auto_offset_reset="earliest")
    consumer.assign([aiokafka.TopicPartition(topic, 0)])
    async with consumer:
        return [(await asyncio.wait_for(consumer.getone(), SECONDS_MAX)).value for _ in range(count)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sasl_password": "guessed-secret"}, "invalid credentials with SASL mechanism SCRAM-SHA-512"),
        ({"tls_ca_file": ""}, "certificate verify failed"),
    ],
)
def test_a_login_that_is_refused_ends_a_command_at_once_with_what_to_look_at(
    changed: dict[str, str], said: str, secure_kafka: LocalKafka, topic_prefix: str, tokens: TokenServer
) -> None:
    """Not after the time-out of a request, on one line, and without the secret."""
    found = values(secure_kafka, topic_prefix, "worker", "SCRAM-SHA-512", tokens) | changed
    environment = {f"CREDIT_STREAM_{key.upper()}": value for key, value in found.items()}
    done = CliRunner().invoke(credit_stream, ["topics", "check"], env=environment)
    assert done.exit_code == 1
    assert said in done.stderr
    assert "do not let us in; look at security_protocol (SASL_SSL)" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "guessed-secret" not in done.stderr


def test_a_client_without_tls_is_not_understood(
    secure_kafka: LocalKafka, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PLAINTEXT to a TLS port: the broker hangs up, and we say what was tried."""
    monkeypatch.setattr(kafka_admin, "DOWN_SECONDS_MAX", 1.0)
    connection = Connection(brokers=secure_kafka.secure_bootstrap, topic_prefix=topic_prefix)
    with pytest.raises(Unreachable, match=r"No broker answers at .* with PLAINTEXT"):
        check(connection)


# --- client certificates ------------------------------------------------------------------------------------------

KEY_PASSWORD = "opens-the-key"


@pytest.fixture(scope="module")
def own_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a client's key, locked by KEY_PASSWORD, and its certificate, signed by itself."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "worker")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    locked = serialization.BestAvailableEncryption(KEY_PASSWORD.encode())
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(pem, form, locked))
    return folder


def test_a_client_certificate_lets_in_and_none_does_not(own_certificate: Path, topic_prefix: str) -> None:
    """TLS on both sides, with a key that has a password; librdkafka and aiokafka."""
    settings = {
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SSL",
        "listener.name.secure.ssl.client.auth": "required",
        "listener.name.secure.ssl.truststore.type": "PEM",
        "listener.name.secure.ssl.truststore.location": str(own_certificate / "certificate.pem"),
    }
    with LocalKafka(users=USERS, settings=settings) as kafka:
        common = {
            "CREDIT_STREAM_BROKERS": kafka.secure_bootstrap,
            "CREDIT_STREAM_TOPIC_PREFIX": topic_prefix,
            "CREDIT_STREAM_SECURITY_PROTOCOL": "SSL",
            "CREDIT_STREAM_TLS_CA_FILE": str(kafka.certificate),
        }
        ours = {
            "CREDIT_STREAM_TLS_CERTIFICATE_FILE": str(own_certificate / "certificate.pem"),
            "CREDIT_STREAM_TLS_KEY_FILE": str(own_certificate / "key.pem"),
            "CREDIT_STREAM_TLS_KEY_PASSWORD": KEY_PASSWORD,
        }
        connection = read_connection(None, common | ours)
        create(connection, partitions=1)
        assert written_by_librdkafka(connection, connection.topic(ORDERS), b"x") is None
        assert asyncio.run(read_by_aiokafka(connection.aiokafka(), connection.topic(ORDERS), 1)) == [b"x"]
        with pytest.raises(Unreachable):
            ClusterAdmin(read_connection(None, common), seconds_max=2).brokers()
        with pytest.raises(KafkaFailure, match="tls_key_password if the key has one"):
            read_connection(None, common | ours | {"CREDIT_STREAM_TLS_KEY_PASSWORD": "guessed"})


# --- the rights of each role --------------------------------------------------------------------------------------


def cli(*words: str) -> Result:
    """A command."""
    return CliRunner().invoke(credit_stream, words)


def test_every_role_can_do_its_work_and_nothing_else(
    secure_kafka: LocalKafka, topic_prefix: str, tokens: TokenServer, tmp_path: Path
) -> None:
    """From topics made by the operator over events from upstream and a real worker to a decision that is read."""
    mechanisms = dict.fromkeys(ROLES, "OAUTHBEARER") | {"worker": "SCRAM-SHA-512"}
    files, connections = {}, {}
    for role, mechanism in mechanisms.items():
        granted(secure_kafka, role, topic_prefix)
        found = values(secure_kafka, topic_prefix, role, mechanism, tokens)
        files[role], connections[role] = str(as_file(tmp_path, found)), connected(found)
    made = cli("topics", "create", "--connection", files["operator"], "--partitions", "2")
    assert made.exit_code == 0, made.stderr
    with worker(files["worker"], tmp_path):
        events = tmp_path / "events.jsonl"
        events.write_text("\n".join(LINES))
        sent = cli("send", str(events), "--connection", files["upstream"])
        assert (sent.exit_code, sent.stderr) == (0, "")
        assert first_of(DECISIONS, files["reader"])["verdict"] == "released"
        events.write_text("rubbish")
        assert cli("send", str(events), "--connection", files["operator"]).exit_code == 0
        assert first_of(DEAD_LETTERS, files["console"])["reason"] == "unreadable"
    for role, connection in connections.items():
        assert rights_found(connection) == {stream: rights_of(role, stream) for stream in TOPICS}, role
    transactional_id = connections["worker"].transactional_id(0)
    assert [role for role in ROLES if may_begin(connections[role], transactional_id)] == ["worker"]
    assert not may_begin(connections["worker"], "another-application-0")
    assert denied(connections["reader"], DECISIONS)
    assert denied(connections["upstream"], COMMANDS)
    assert denied(connections["operator"], POSTINGS)


@contextmanager
def worker(connection_file: str, folder: Path, command: tuple[str, ...] = LIBRDKAFKA) -> Iterator[None]:
    """A real worker, for the time of a `with`; its end must be a good one."""
    log = folder / "worker.log"
    environment = {"CREDIT_STREAM_CONNECTION": connection_file, "CREDIT_STREAM_STATE": str(folder / "state")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, env=os.environ | environment, stdout=output, stderr=output
        )
    try:
        yield
    finally:
        process.terminate()
        status = process.wait(SECONDS_MAX)
        print(log.read_text(encoding="utf-8"))
    assert status == 0
    assert not re.search(r"secret|authorization", log.read_text(encoding="utf-8"))


def test_a_worker_on_faust_needs_no_other_rights(
    secure_kafka: LocalKafka, topics: Connection, tokens: TokenServer, tmp_path: Path
) -> None:
    """The same connection file, group, transactional ids and topics."""
    prefix = topics.topic_prefix
    granted(secure_kafka, "worker", prefix)
    file = str(as_file(tmp_path, values(secure_kafka, prefix, "worker", "OAUTHBEARER", tokens)))
    without_security = tmp_path / "plain.toml"
    without_security.write_text(f'brokers = "{topics.brokers}"\ntopic_prefix = "{prefix}"\n')
    with worker(file, tmp_path, FAUST):
        events = tmp_path / "events.jsonl"
        events.write_text("\n".join(LINES))
        assert cli("send", str(events), "--connection", str(without_security)).exit_code == 0
        assert first_of(DECISIONS, str(without_security))["verdict"] == "released"


def first_of(stream: str, connection_file: str) -> dict[str, Any]:
    """What a role sees first on a topic, when it comes; with a deadline, in a process of its own."""
    words = ["topics", "tail", stream, "--connection", connection_file, "--follow", "--count", "1"]
    command = [sys.executable, "-m", "credit_stream", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    assert done.returncode == 0, done.stderr
    value: dict[str, Any] = json.loads(done.stdout)["value"]
    return value


LOOK = {"DESCRIBE", "DESCRIBE_CONFIGS"}
FROM_UPSTREAM = {CUSTOMERS, GROUPS, INVOICES, ORDERS, PAYMENTS}
OF_WORKERS = {STATE, SEQUENCE}


def rights_of(role: str, stream: str) -> set[str]:
    """What a role may do with the topic of a stream: design section 1, read from there and not from the scripts."""
    is_input, is_internal = stream in INPUT_TOPICS, stream in INTERNAL_TOPICS
    of_roles = {
        "worker": LOOK
        | ({"READ"} if is_input or stream in OF_WORKERS else set())
        | ({"WRITE"} if not is_input or is_internal else set()),
        "upstream": {"DESCRIBE", "WRITE"} if stream in FROM_UPSTREAM else set(),
        "reader": {"DESCRIBE", "READ"} if stream in OUTPUT_TOPICS else set(),
        "operator": LOOK
        | {"CREATE", "ALTER_CONFIGS"}
        | ({"READ"} if stream not in OF_WORKERS else set())
        | ({"WRITE"} if is_input and not is_internal else set()),
        "console": ({"DESCRIBE", "READ"} if stream in (*OUTPUT_TOPICS, SETTINGS) else set())
        | ({"DESCRIBE", "WRITE"} if stream == COMMANDS else set()),
    }
    return of_roles[role]


def rights_found(connection: Connection) -> dict[str, set[str]]:
    """What the broker says that this user may do, by stream."""
    admin = AdminClient(connection.client())
    names = TopicCollection([connection.topic(stream) for stream in TOPICS])
    found: dict[str, set[str]] = {}
    for topic, asked in admin.describe_topics(names, include_authorized_operations=True).items():
        error = asked.exception(SECONDS_MAX)
        if error is None:
            found[connection.stream(topic)] = {each.name for each in asked.result().authorized_operations}
        else:
            assert error.args[0].name() == "TOPIC_AUTHORIZATION_FAILED"
            found[connection.stream(topic)] = set()
    return found


def may_begin(connection: Connection, transactional_id: str) -> bool:
    """Whether a producer can fence others under this name."""
    producer = Producer({**connection.client(), "transactional.id": transactional_id}, logger=QUIET)
    try:
        producer.init_transactions(SECONDS_MAX)
    except KafkaException as error:
        assert error.args[0].name() == "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"
        # Nothing is left to close: this was fatal.
        return False
    producer.close()
    return True


def denied(connection: Connection, stream: str) -> bool:
    """Whether a record is refused, and not only said to be."""
    return written_by_librdkafka(connection, connection.topic(stream), b"x") == "TOPIC_AUTHORIZATION_FAILED"


def test_who_has_no_rights_is_told_where_they_are(
    secure_kafka: LocalKafka, topics: Connection, tokens: TokenServer
) -> None:
    """Topics that a user may not see are not taken for missing ones."""
    connection = connected(values(secure_kafka, topics.topic_prefix, "stranger", "PLAIN", tokens))
    with pytest.raises(NotAuthorized, match="do not allow that to stranger; give it the rights of its role: deploy/a"):
        check(connection)


def test_the_scripts_know_every_topic() -> None:
    """A new stream gets its rights: each name in the scripts is a stream, and each stream is in the scripts."""
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "deploy" / "acls").glob("*.sh"))
    named = {name for name in re.findall(r"credit\.[a-z-]+", text) if name != "credit.toml"}
    assert named == set(TOPICS)
