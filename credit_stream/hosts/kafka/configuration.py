"""Where the connection to Kafka is read: command line, environment, file, in that order of precedence.

The one place for both hosts and every command. Secrets are never taken from the command line, where every process of
the machine can read them; each may stand in a file of its own instead (`sasl_password_file`), as Docker and Kubernetes
hand them over. All faults are told at once.
"""

from __future__ import annotations

import os
import ssl
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

from credit_stream.hosts.kafka.connection import (
    KEYS,
    OAUTHBEARER,
    PATH_KEYS,
    SECRET_KEYS,
    Connection,
    SaslMechanism,
    SecurityProtocol,
)
from credit_stream.hosts.kafka.failures import BadConnection
from credit_stream.hosts.kafka.secret import Secret

ENVIRONMENT_PREFIX = "CREDIT_STREAM_"
FILE_VARIABLE = "CREDIT_STREAM_CONNECTION"
"""The environment variable that names the file."""
FILE_BYTES_MAX = 64 * 1024
"""Of a connection file, and of the file of one secret."""
TOPIC_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
TOPIC_PREFIX_CHARS_MAX = 200
"""A topic has at most 249, and the longest name of ours is below 30."""
NEAR = 0.85
"""Other variables begin with CREDIT_STREAM_ too; one that is so close to one of ours is a mistyped one."""

_FILE_ENDING = "_file"
_NAMES = KEYS + tuple(key + _FILE_ENDING for key in KEYS if key in SECRET_KEYS)
_LOGIN = ("sasl_username", "sasl_password")
_OAUTH = ("oauth_token_endpoint", "oauth_client_id", "oauth_client_secret", "oauth_scope", "oauth_ca_file")
_TLS = ("tls_ca_file", "tls_certificate_file", "tls_key_file", "tls_key_password")
_REGISTRY = ("schema_registry_user", "schema_registry_password", "schema_registry_ca_file")


def read_connection(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, str | None] | None = None,
) -> Connection:
    """The connection that these say together. Raises BadConnection with every fault.

    `environment` is that of the process if it is not given, and names the file if `file` does not.
    """
    environment = os.environ if environment is None else environment
    named = environment.get(FILE_VARIABLE)
    if file is None and named:
        file = Path(named)
    faults: list[str] = []
    found: dict[str, str] = {}
    sources = [
        {} if file is None else _from_file(file, faults),
        _from_environment(environment, faults),
        {key: value for key, value in (options or {}).items() if value is not None},
    ]
    for source in sources:
        found |= source
    if faults:
        raise BadConnection(faults)
    return _connection(found)


def is_configured(environment: Mapping[str, str] | None = None) -> bool:
    """Whether the environment alone says which cluster is meant."""
    environment = os.environ if environment is None else environment
    return bool(environment.get(FILE_VARIABLE) or environment.get(ENVIRONMENT_PREFIX + "BROKERS"))


def _connection(found: Mapping[str, str]) -> Connection:
    values: dict[str, object] = {key: Secret(value) if key in SECRET_KEYS else value for key, value in found.items()}
    values["brokers"] = ",".join(part.strip() for part in found.get("brokers", "").split(","))
    # What a value may be is looked at below, with sentences that say more than a decoder can.
    connection = Connection(**values)  # type: ignore[arg-type]
    faults = list(_faults(connection))
    if faults:
        raise BadConnection(faults)
    return connection


# --- the sources ------------------------------------------------------------------------------------------------


def _from_file(file: Path, faults: list[str]) -> dict[str, str]:
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            faults.append(f"{file} is larger than {FILE_BYTES_MAX:,} bytes; is it a connection file?")
            return {}
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        faults.append(f"{file} cannot be read ({error.strerror}); name a connection file (TOML).")
        return {}
    except ValueError as error:
        faults.append(f"{file} is no TOML: {error}.")
        return {}
    given: dict[str, str] = {}
    for name, value in document.items():
        if name not in _NAMES:
            faults.append(f"{file}: there is no key '{name}'; {_nearest(name, _NAMES)}")
        elif not isinstance(value, str):
            faults.append(f'{file}: {name} must be text in quotes, such as {name} = "...".')
        elif value:
            given[name] = _beside(file, value) if name.endswith(_FILE_ENDING) else value
    return _with_secrets(given, f"{file}: ", faults)


def _beside(file: Path, value: str) -> str:
    """A relative path in a connection file begins at its folder, so that the folder can be moved as a whole."""
    return str(file.parent / value)


def _from_environment(environment: Mapping[str, str], faults: list[str]) -> dict[str, str]:
    """An empty variable counts as not set: that is what `${NAME:-}` in a compose file leaves behind."""
    given: dict[str, str] = {}
    for variable, value in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable == FILE_VARIABLE:
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if name in _NAMES and value:
            given[name] = value
        elif name not in _NAMES and (near := get_close_matches(name, _NAMES, n=1, cutoff=NEAR)):
            known = ENVIRONMENT_PREFIX + near[0].upper()
            faults.append(f"The environment variable {variable} is not known; did you mean {known}?")
    return _with_secrets(given, f"environment, {ENVIRONMENT_PREFIX}* of ", faults)


def _with_secrets(given: dict[str, str], place: str, faults: list[str]) -> dict[str, str]:
    """Puts the content of its file in the place of every `..._file` of a secret."""
    for key in sorted(SECRET_KEYS):
        path = given.pop(key + _FILE_ENDING, None)
        if path is None:
            continue
        if key in given:
            faults.append(f"{place}{key}: the secret and its file are both given; take one of them out.")
            continue
        try:
            with Path(path).open(encoding="utf-8") as file:
                text = file.read(FILE_BYTES_MAX).removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            faults.append(f"{place}{key + _FILE_ENDING}: {path} cannot be read ({reason}).")
            continue
        if not text:
            faults.append(f"{place}{key + _FILE_ENDING}: {path} is empty; put the secret into it.")
        given[key] = text
    return given


def _nearest(name: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else f"known are: {', '.join(known)}."


# --- whether it can be used -------------------------------------------------------------------------------------


def _faults(connection: Connection) -> Iterator[str]:
    faults = [
        *_faults_of_names(connection),
        *_faults_of_choices(connection),
        *_faults_of_addresses(connection),
        *_faults_of_files(connection),
    ]
    yield from faults
    if not faults:
        yield from _contradictions(connection)
        yield from _faults_of_certificates(connection)


def _faults_of_names(connection: Connection) -> Iterator[str]:
    if not connection.brokers:
        yield (
            "No brokers are named: give --brokers HOST:PORT,..., set CREDIT_STREAM_BROKERS, or put brokers into the "
            "file that --connection or CREDIT_STREAM_CONNECTION names."
        )
    for key in ("application_id", "topic_prefix"):
        value: str = getattr(connection, key)
        wrong = sorted(set(value) - TOPIC_CHARACTERS)
        if wrong:
            yield f"{key} is '{value}'; only letters, digits, '.', '_' and '-' may stand in it, not {wrong[0]!r}."
        if len(value) > TOPIC_PREFIX_CHARS_MAX:
            yield f"{key} has {len(value)} characters; at most {TOPIC_PREFIX_CHARS_MAX} are taken."
    if not connection.application_id:
        yield "application_id is empty; leave it out, or give the name of the consumer group."


def _faults_of_choices(connection: Connection) -> Iterator[str]:
    choices = {
        "security_protocol": get_args(SecurityProtocol),
        "sasl_mechanism": tuple(choice for choice in get_args(SaslMechanism) if choice),
    }
    for key, known in choices.items():
        value: str = getattr(connection, key)
        if value and value not in known:
            near = get_close_matches(value.upper().replace("_", "-"), [each.replace("_", "-") for each in known], n=1)
            meant = next((each for each in known if near and each.replace("_", "-") == near[0]), None)
            hint = f"did you mean {meant}?" if meant else f"give one of: {', '.join(known)}."
            yield f"{key} is '{value}'; {hint}"


def _faults_of_addresses(connection: Connection) -> Iterator[str]:
    for broker in connection.brokers.split(",") if connection.brokers else ():
        if fault := _fault_of_broker(broker):
            yield f"brokers: '{broker}' {fault}"
    for key in ("oauth_token_endpoint", "schema_registry"):
        value: str = getattr(connection, key)
        # The client of the registry takes several addresses with commas between.
        for address in filter(None, value.split(",")):
            yield from _faults_of_url(key, address.strip())


def _fault_of_broker(broker: str) -> str | None:
    if "://" in broker:
        return "has a scheme; give HOST:PORT alone, and the protocol as security_protocol."
    host, colon, port = broker.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        return "is no HOST:PORT; give such as kafka-1.example.com:9092."
    return None


def _faults_of_url(key: str, address: str) -> Iterator[str]:
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield f"{key} is no address; give such as https://registry.example.com:8081."
    elif parts.username is not None or parts.password is not None:
        yield f"{key} has a user in its address, which logs would show; give user and password as keys of their own."


def _faults_of_files(connection: Connection) -> Iterator[str]:
    for key in sorted(PATH_KEYS):
        path: str = getattr(connection, key)
        if path and not (Path(path).is_file() and os.access(path, os.R_OK)):
            yield f"{key}: {path} is no file that can be read."


def _contradictions(connection: Connection) -> Iterator[str]:
    protocol, mechanism = connection.security_protocol, connection.sasl_mechanism
    if not connection.uses_sasl:
        secure = "SASL_SSL" if connection.uses_tls else "SASL_PLAINTEXT or SASL_SSL"
        for key in _given(connection, ("sasl_mechanism", *_LOGIN, *_OAUTH)):
            yield f"{key} is set, but with security_protocol {protocol} nobody logs in; set that to {secure}."
    elif not mechanism:
        yield f"security_protocol is {protocol}, so set sasl_mechanism: {', '.join(get_args(SaslMechanism)[1:])}."
    else:
        unused = _LOGIN if mechanism == OAUTHBEARER else _OAUTH
        needed = _OAUTH[:3] if mechanism == OAUTHBEARER else _LOGIN
        for key in _given(connection, unused):
            yield f"{key} is set, but sasl_mechanism {mechanism} does not use it; take it out."
        for key in needed:
            if not getattr(connection, key):
                yield f"sasl_mechanism {mechanism} needs {key}: {_ways(key)}."
    if not connection.uses_tls:
        secure = "SASL_SSL" if connection.uses_sasl else "SSL"
        for key in _given(connection, _TLS):
            yield f"{key} is set, but security_protocol {protocol} does not encrypt; set that to {secure}."
    for key in ("oauth_client_id", "schema_registry_user"):
        if ":" in getattr(connection, key):
            yield f"{key} has a colon, which basic authentication cannot carry."
    yield from _contradictions_of_key(connection)
    yield from _contradictions_of_registry(connection)


def _contradictions_of_key(connection: Connection) -> Iterator[str]:
    if bool(connection.tls_certificate_file) != bool(connection.tls_key_file):
        given = "tls_certificate_file" if connection.tls_certificate_file else "tls_key_file"
        lacking = "tls_key_file" if connection.tls_certificate_file else "tls_certificate_file"
        yield f"{given} is set without {lacking}; a client certificate needs both (they may be the same file)."
    if connection.tls_key_password and not connection.tls_key_file:
        yield "tls_key_password is set without tls_key_file, the key that it opens."


def _contradictions_of_registry(connection: Connection) -> Iterator[str]:
    if not connection.schema_registry:
        for key in _given(connection, _REGISTRY):
            yield f"{key} is set, but no schema_registry; give its address."
        return
    if bool(connection.schema_registry_user) != bool(connection.schema_registry_password):
        lacking = "schema_registry_password" if connection.schema_registry_user else "schema_registry_user"
        yield f"The schema registry has a login of which {lacking} is missing: {_ways(lacking)}."
    if connection.schema_registry_ca_file and "https://" not in connection.schema_registry:
        yield "schema_registry_ca_file is set, but schema_registry is not https; give its https address."


def _faults_of_certificates(connection: Connection) -> Iterator[str]:
    """Whether the certificates can be used at all: an OpenSSL message at the first connection says less."""
    if not connection.uses_tls:
        return
    try:
        connection.ssl_context()
    except (ssl.SSLError, OSError) as error:
        files = ", ".join(_given(connection, ("tls_ca_file", "tls_certificate_file", "tls_key_file")))
        yield (
            f"{files} cannot be used ({error}): give PEM files, the key that belongs to the certificate, and "
            "tls_key_password if the key has one."
        )


def _given(connection: Connection, keys: tuple[str, ...]) -> list[str]:
    return [key for key in keys if getattr(connection, key)]


def _ways(key: str) -> str:
    variable = ENVIRONMENT_PREFIX + key.upper()
    if key in SECRET_KEYS:
        return f"set {variable} or {variable}_FILE, or {key} or {key}_file in the connection file"
    return f"set {variable}, or {key} in the connection file"
