"""One configuration for every client: where it is read, what is refused, and that no secret gets out."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import re
import ssl
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import msgspec
import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient

from credit_stream.hosts.kafka.configuration import ENVIRONMENT_PREFIX, read_connection
from credit_stream.hosts.kafka.connection import KEYS, SECRET_KEYS, Connection
from credit_stream.hosts.kafka.failures import BadConnection, Unreachable
from credit_stream.hosts.kafka.secret import Secret
from credit_stream.hosts.kafka.tokens import ClientCredentials
from tests.kafka.token_server import TokenServer

DOCS = Path(__file__).resolve().parents[2] / "docs"
B = "kafka-1:9093"
SCRAM = {
    "CREDIT_STREAM_BROKERS": B,
    "CREDIT_STREAM_SECURITY_PROTOCOL": "SASL_SSL",
    "CREDIT_STREAM_SASL_MECHANISM": "SCRAM-SHA-512",
    "CREDIT_STREAM_SASL_USERNAME": "worker",
    "CREDIT_STREAM_SASL_PASSWORD": "open sesame",
}
SECRETS = {key: f"the-{key}-itself" for key in SECRET_KEYS}
EVERYTHING = Connection(
    brokers=B,
    security_protocol="SASL_SSL",
    sasl_mechanism="PLAIN",
    sasl_username="worker",
    schema_registry="https://registry:8081",
    schema_registry_user="worker",
    **{key: Secret(text) for key, text in SECRETS.items()},  # type: ignore[arg-type]
)


def written(folder: Path, text: str) -> Path:
    """A connection file with that text."""
    file = folder / "kafka.toml"
    file.write_text(text)
    return file


def faults(environment: Mapping[str, str], file: Path | None = None) -> str:
    """What is said of a configuration that is refused."""
    with pytest.raises(BadConnection) as raised:
        read_connection(file, environment)
    return "\n".join(raised.value.faults)


# --- where it is read -------------------------------------------------------------------------------------------


def test_an_option_goes_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    """The nearer to the person who calls, the more it counts; what is said nowhere has its default."""
    file = written(tmp_path, 'brokers = "file:1"\napplication_id = "file"\ntopic_prefix = "file."\nclient_rack = "f"\n')
    environment = {"CREDIT_STREAM_APPLICATION_ID": "environment", "CREDIT_STREAM_TOPIC_PREFIX": "environment."}
    found = read_connection(file, environment, {"topic_prefix": "option.", "brokers": None})
    assert found == Connection(brokers="file:1", application_id="environment", topic_prefix="option.", client_rack="f")


def test_the_environment_can_name_the_file_and_an_option_names_another(tmp_path: Path) -> None:
    """CREDIT_STREAM_CONNECTION, for containers."""
    named = written(tmp_path, 'brokers = "named:1"')
    other = tmp_path / "other.toml"
    other.write_text('brokers = "other:1"')
    environment = {"CREDIT_STREAM_CONNECTION": str(named)}
    assert read_connection(None, environment).brokers == "named:1"
    assert read_connection(other, environment).brokers == "other:1"


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    """A compose file leaves `${CREDIT_STREAM_TOPIC_PREFIX:-}` behind as an empty text."""
    file = written(tmp_path, 'brokers = "file:1"\ntopic_prefix = "file."')
    found = read_connection(file, {"CREDIT_STREAM_TOPIC_PREFIX": "", "CREDIT_STREAM_SASL_PASSWORD_FILE": ""})
    assert found.topic_prefix == "file."


def test_a_secret_can_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    """As Docker and Kubernetes hand it over: one line end is taken off, nothing else."""
    secret = tmp_path / "password"
    secret.write_text(" open sesame \n")
    environment = {**SCRAM, "CREDIT_STREAM_SASL_PASSWORD_FILE": str(secret)}
    del environment["CREDIT_STREAM_SASL_PASSWORD"]
    assert read_connection(None, environment).sasl_password == Secret(" open sesame ")


def test_paths_in_a_connection_file_begin_at_its_folder(tmp_path: Path) -> None:
    """So that the folder with file, certificates and secrets can be put anywhere."""
    (tmp_path / "password").write_text("open sesame")
    lines = [
        'brokers = "b:1"',
        'security_protocol = "SASL_PLAINTEXT"',
        'sasl_mechanism = "PLAIN"',
        'sasl_username = "worker"',
        'sasl_password_file = "password"',
    ]
    assert read_connection(written(tmp_path, "\n".join(lines)), {}).sasl_password == Secret("open sesame")


def test_a_secret_of_the_environment_goes_before_one_of_the_file_in_whichever_form(tmp_path: Path) -> None:
    """The form does not matter, the source does."""
    (tmp_path / "password").write_text("of the file")
    file = written(tmp_path, 'sasl_password_file = "password"')
    assert read_connection(file, SCRAM).sasl_password == Secret("open sesame")


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('broker = "b:1"', "there is no key 'broker'; did you mean 'brokers'?"),
        ('brokers = "b:1"\nsasl_pasword = "x"', "did you mean 'sasl_password'?"),
        ('brokers = "b:1"\nxyzzy = "x"', "known are: brokers, "),
        ("brokers = 9092", "brokers must be text in quotes"),
        ('brokers = "b:1"\n[sasl]\nmechanism = "PLAIN"', "there is no key 'sasl'"),
        ("brokers =", "is no TOML"),
        ('brokers = "b:1"\nsasl_password_file = "nowhere"', "nowhere cannot be read (No such file or directory)"),
        ('brokers = "b:1"\nsasl_password = "x"\nsasl_password_file = "kafka.toml"', "are both given"),
    ],
)
def test_a_file_that_cannot_be_meant_so_is_refused(text: str, said: str, tmp_path: Path) -> None:
    """With the file, the key and the nearest known name."""
    file = written(tmp_path, text)
    found = faults({}, file)
    assert str(file) in found
    assert said in found


def test_a_file_that_is_not_there_is_named() -> None:
    """Not passed over: the environment alone may be another cluster."""
    assert "/nowhere.toml cannot be read" in faults(SCRAM, Path("/nowhere.toml"))


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("CREDIT_STREAM_SASL_PASWORD", "CREDIT_STREAM_SASL_PASSWORD"),
        ("CREDIT_STREAM_BROKER", "CREDIT_STREAM_BROKERS"),
        ("CREDIT_STREAM_TOPIC_PREFX", "CREDIT_STREAM_TOPIC_PREFIX"),
    ],
)
def test_a_mistyped_variable_is_refused_and_one_of_something_else_is_not(variable: str, meant: str) -> None:
    """Other parts of the project have variables of that name too, and must not stop this one."""
    assert f"{variable} is not known; did you mean {meant}?" in faults({**SCRAM, variable: "x"})
    others = ("SEED", "REQUIRE_ALL", "STATE", "SESSION_SECONDS", "PROBE_HOST", "PROBE_PORT", "FAILPOINT")
    assert read_connection(None, {**SCRAM, **{ENVIRONMENT_PREFIX + name: "1" for name in others}})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"BROKERS": ""}, "No brokers are named: give --brokers"),
        ({"BROKERS": "kafka://b:1"}, "has a scheme"),
        ({"BROKERS": "b"}, "'b' is no HOST:PORT"),
        ({"BROKERS": "b:1,,c:1"}, "'' is no HOST:PORT"),
        ({"BROKERS": "b:70000"}, "'b:70000' is no HOST:PORT"),
        ({"TOPIC_PREFIX": "a/"}, "not '/'"),
        ({"APPLICATION_ID": "x" * 201}, "at most 200"),
        ({"SECURITY_PROTOCOL": "SASL-SSL"}, "did you mean SASL_SSL?"),
        ({"SECURITY_PROTOCOL": "tls"}, "give one of: PLAINTEXT, SSL"),
        ({"SASL_MECHANISM": "scram-sha-512"}, "did you mean SCRAM-SHA-512?"),
        ({"SASL_MECHANISM": "GSSAPI"}, "give one of: PLAIN, SCRAM-SHA-256"),
        ({"SECURITY_PROTOCOL": "SSL"}, "sasl_mechanism is set, but with security_protocol SSL nobody logs in"),
        ({"SECURITY_PROTOCOL": ""}, "set that to SASL_PLAINTEXT or SASL_SSL"),
        ({"SASL_MECHANISM": ""}, "security_protocol is SASL_SSL, so set sasl_mechanism: PLAIN, "),
        ({"SASL_PASSWORD": ""}, "set CREDIT_STREAM_SASL_PASSWORD or CREDIT_STREAM_SASL_PASSWORD_FILE"),
        ({"SASL_USERNAME": ""}, "needs sasl_username: set CREDIT_STREAM_SASL_USERNAME"),
        ({"OAUTH_SCOPE": "x"}, "sasl_mechanism SCRAM-SHA-512 does not use it"),
        ({"SASL_MECHANISM": "OAUTHBEARER"}, "sasl_username is set, but sasl_mechanism OAUTHBEARER does not use it"),
        ({"SASL_MECHANISM": "OAUTHBEARER"}, "needs oauth_client_secret: set CREDIT_STREAM_OAUTH_CLIENT_SECRET"),
        ({"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "TLS_CA_FILE": __file__}, "does not encrypt; set that to SASL_SSL"),
        ({"TLS_CA_FILE": "/nowhere.pem"}, "tls_ca_file: /nowhere.pem is no file that can be read"),
        ({"TLS_CA_FILE": __file__}, "cannot be used"),
        ({"TLS_KEY_FILE": __file__}, "tls_key_file is set without tls_certificate_file"),
        ({"TLS_KEY_PASSWORD": "x"}, "tls_key_password is set without tls_key_file"),
        ({"SCHEMA_REGISTRY": "registry:8081"}, "schema_registry is no address"),
        ({"SCHEMA_REGISTRY": "https://u:p@registry:8081"}, "schema_registry has a user in its address"),
        ({"SCHEMA_REGISTRY_USER": "u"}, "schema_registry_user is set, but no schema_registry"),
        ({"SCHEMA_REGISTRY": "https://r", "SCHEMA_REGISTRY_USER": "u"}, "schema_registry_password is missing"),
        ({"SCHEMA_REGISTRY": "http://r", "SCHEMA_REGISTRY_CA_FILE": __file__}, "schema_registry is not https"),
        ({"SCHEMA_REGISTRY": "http://r", "SCHEMA_REGISTRY_USER": "a:b"}, "schema_registry_user has a colon"),
        ({"OAUTH_TOKEN_ENDPOINT": "x"}, "oauth_token_endpoint is no address"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused_with_what_to_do(changed: dict[str, str], said: str) -> None:
    """Before a client is made of it: what librdkafka says comes later and says less."""
    assert said in faults({**SCRAM, **{ENVIRONMENT_PREFIX + name: value for name, value in changed.items()}})


def test_all_faults_are_told_at_once() -> None:
    """They can be mended at once."""
    assert len(faults({"CREDIT_STREAM_BROKERS": "b", "CREDIT_STREAM_SECURITY_PROTOCOL": "x"}).splitlines()) == 2


def test_the_command_line_takes_no_secret() -> None:
    """Every process of the machine can read it there."""
    names = {option for each in kafka_options() for option in each.opts}
    assert "--brokers" in names
    assert not {name for name in names if re.search("password|secret|user", name)}


def kafka_options() -> Iterator[click.Option]:
    """Every option of a command that talks to Kafka."""
    from credit_stream.cli import dead_letters, send, topics

    for command in (*topics.command.commands.values(), *dead_letters.command.commands.values(), send.command):
        yield from (parameter for parameter in command.params if isinstance(parameter, click.Option))


# --- secrets ----------------------------------------------------------------------------------------------------


def shown(connection: Connection, caplog: pytest.LogCaptureFixture) -> str:
    """Everything that a program could carelessly do with it."""
    logging.getLogger("test").warning("%s %r", connection, connection)
    try:
        raise ValueError(connection)
    except ValueError:
        trace = traceback.format_exc()
    fields = [getattr(connection, key) for key in KEYS]
    return "\n".join(
        [
            str(connection),
            repr(connection),
            f"{connection}",
            "%s %r" % (connection.sasl_password, connection.sasl_password),  # noqa: UP031
            "".join(map(str, fields)) + "".join(map(repr, fields)),
            json.dumps(connection.shown()),
            json.dumps(msgspec.to_builtins(connection)),
            msgspec.json.encode(connection).decode(),
            str(dataclasses.asdict(connection.sasl_password)),
            caplog.text,
            trace,
            repr(connection.token_provider()),
        ]
    )


def test_no_secret_shows_wherever_a_connection_is_printed(caplog: pytest.LogCaptureFixture) -> None:
    """repr, str, format, logs, JSON, a traceback: a mask each time, and what is no secret is readable."""
    text = shown(EVERYTHING, caplog)
    assert "********" in text
    assert B in text
    assert [key for key, secret in SECRETS.items() if secret in text] == []


def test_the_check_of_masks_is_able_to_fail(caplog: pytest.LogCaptureFixture) -> None:
    """A secret in a field that is not masked would be found."""
    assert "open sesame" in shown(Connection(brokers=B, sasl_username="open sesame"), caplog)


def test_every_key_that_is_a_secret_is_known_to_be_one() -> None:
    """By its name, so that a new one is not forgotten."""
    assert {key for key in KEYS if "password" in key or "secret" in key} == SECRET_KEYS


def test_a_fault_does_not_tell_the_secret() -> None:
    """Nor does a contradiction with it."""
    text = faults({**SCRAM, "CREDIT_STREAM_SECURITY_PROTOCOL": "PLAINTEXT"})
    assert "sasl_password is set" in text
    assert "open sesame" not in text


# --- what each library gets -------------------------------------------------------------------------------------


def test_what_librdkafka_gets_is_known_to_it() -> None:
    """A producer is made of every kind of configuration: librdkafka refuses an unknown or impossible property."""
    kinds = [
        Connection(brokers=B, client_rack="a"),
        Connection(brokers=B, security_protocol="SSL"),
        Connection(
            brokers=B,
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="PLAIN",
            sasl_username="u",
            sasl_password=Secret("p"),
        ),
        read_connection(None, SCRAM),
        Connection(
            brokers=B,
            security_protocol="SASL_SSL",
            sasl_mechanism="OAUTHBEARER",
            oauth_token_endpoint="http://127.0.0.1:1/token",
            oauth_client_id="c",
            oauth_client_secret=Secret("s"),
            oauth_scope="credit",
        ),
    ]
    for connection in kinds:
        settings = {**connection.client(), "bootstrap.servers": "127.0.0.1:1"}
        Producer(settings, logger=logging.getLogger("test")).close()
    assert {"client.rack", "bootstrap.servers", "security.protocol"} == set(kinds[0].client())
    assert kinds[3].client()["sasl.password"] == "open sesame"


def test_aiokafka_gets_a_context_that_checks_the_host() -> None:
    """TLS without `tls_ca_file` believes the system's certificates, and nobody under another name."""
    arguments = read_connection(None, SCRAM).aiokafka()
    context = arguments.pop("ssl_context")
    assert isinstance(context, ssl.SSLContext)
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert arguments == {
        "bootstrap_servers": B,
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "worker",
        "sasl_plain_password": "open sesame",
    }


def test_faust_gets_credentials_of_the_protocol_that_is_configured() -> None:
    """What its driver makes of them is what aiokafka would get from us."""
    from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

    oauth = {"oauth_token_endpoint": "http://t", "oauth_client_id": "c", "oauth_client_secret": Secret("s")}
    kinds = [
        Connection(brokers=B),
        Connection(brokers=B, security_protocol="SSL"),
        read_connection(None, SCRAM),
        read_connection(None, {**SCRAM, "CREDIT_STREAM_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}),
        Connection(brokers=B, security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER", **oauth),  # type: ignore[arg-type]
    ]
    for connection in kinds:
        made = credentials_to_aiokafka_auth(connection.faust_credentials())
        ours = {name: value for name, value in connection.aiokafka().items() if name != "bootstrap_servers"}
        # Contexts and token providers are made anew each time.
        comparable = [
            {name: value if isinstance(value, str) else type(value) for name, value in each.items() if value}
            for each in (made, ours)
        ]
        assert comparable[0] == comparable[1]


def test_faust_gets_one_url_for_each_broker() -> None:
    """Blanks round the commas do no harm."""
    connection = read_connection(None, {"CREDIT_STREAM_BROKERS": "a:1, b:2"})
    assert connection.faust_brokers() == ["kafka://a:1", "kafka://b:2"]
    assert connection.client()["bootstrap.servers"] == "a:1,b:2"


def test_the_client_of_the_registry_takes_what_it_gets() -> None:
    """Without a registry there is nothing; unknown properties would be refused by the client."""
    assert Connection(brokers=B).registry() is None
    settings = EVERYTHING.registry()
    assert settings is not None
    assert settings["basic.auth.user.info"] == f"worker:{SECRETS['schema_registry_password']}"
    assert SchemaRegistryClient(settings)


# --- tokens -----------------------------------------------------------------------------------------------------


def provider(server: TokenServer, secret: str = "s") -> ClientCredentials:
    """Of the client c."""
    return ClientCredentials(endpoint=server.url, client_id="c", secret=Secret(secret), scope="credit")


def test_a_token_is_kept_until_most_of_its_lifetime_is_over() -> None:
    """It is never shown to a broker when it may have ended on the way, and the endpoint is not asked each time."""
    with TokenServer({"c": "s"}).running() as server:
        kept = provider(server)
        assert [asyncio.run(kept.token()) for _ in range(3)] == server.given * 3
        # A token of no lifetime is over at once.
        server.lifetime_seconds = 0
        ended = provider(server)
        assert asyncio.run(ended.token()) != asyncio.run(ended.token())


def test_an_endpoint_that_fails_for_a_moment_is_asked_again() -> None:
    """A worker must not end because the authorization server restarts."""
    with TokenServer({"c": "s"}).running() as server:
        server.failures = 2
        assert asyncio.run(provider(server).token()) == server.given[0]


def test_a_client_that_is_refused_is_told_what_to_look_at_and_not_its_secret() -> None:
    """At once: asking again does not help."""
    with TokenServer({"c": "s"}).running() as server:
        with pytest.raises(Unreachable) as raised:
            asyncio.run(provider(server, "another secret").token())
        assert "401 invalid_client no such client as c" in str(raised.value)
        assert "oauth_client_secret" in str(raised.value)
        assert "another secret" not in str(raised.value)
        assert server.given == []


def test_one_provider_serves_several_event_loops() -> None:
    """Faust asks from the thread of its consumer and from that of its producer."""
    with TokenServer({"c": "s"}).running() as server:
        shared = provider(server)
        server.lifetime_seconds = 0

        async def both() -> list[str]:
            return [await shared.token(), await asyncio.to_thread(lambda: asyncio.run(shared.token()))]

        assert len(set(asyncio.run(both()))) == 2


# --- the docs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [*KEYS, *(f"{key}_file" for key in sorted(SECRET_KEYS))])
def test_every_key_of_a_connection_is_in_the_docs(key: str) -> None:
    """`docs/kafka.md`: with its environment variable."""
    text = (DOCS / "kafka.md").read_text(encoding="utf-8")
    assert f"`{key}`" in text
    assert f"`{ENVIRONMENT_PREFIX}{key.upper()}`" in text
