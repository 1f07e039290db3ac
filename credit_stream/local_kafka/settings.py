"""The configuration of the brokers of a local Kafka: small, quick to start, and as careful as a real cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

PLAIN_TEXT = re.compile(r"[A-Za-z0-9._-]{1,100}")
"""What a name or password of a user may be made of: it is written into a file with three ways to quote."""
KEY_STORE_PASSWORD = "local-kafka"
"""Java wants one. The key beside it is worth nothing: it is made for one cluster of one machine."""


class Node(Struct, frozen=True):
    """One broker, which is a controller too."""

    number: int
    directory: Path
    port: int
    controller_port: int
    secure_port: int | None

    @property
    def address(self) -> str:
        """Where clients of this machine reach it without security."""
        return f"127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        """Its topics."""
        return self.directory / "data"

    @property
    def settings_file(self) -> Path:
        """What it is started with."""
        return self.directory / "server.properties"

    @property
    def log(self) -> Path:
        """What it says."""
        return self.directory / "broker.log"


class Security(Struct, frozen=True):
    """A listener with TLS and SASL beside the plain one: `users` are names with passwords, for PLAIN and SCRAM.

    With `acls` these users may do only what an ACL allows them. Whoever comes through the plain listener may do all.
    """

    users: Mapping[str, str]
    key_store: Path
    acls: bool = False


def broker_settings(
    node: Node, nodes: Sequence[Node], security: Security | None, changed: Mapping[str, str]
) -> dict[str, str]:
    """Of one broker. `changed` are the caller's own, which go first."""
    settings = _listeners(node, nodes) | _replication(len(nodes)) | _small_and_quick()
    if security is not None:
        settings |= _security(node, security)
    return settings | dict(changed)


def write_settings(path: Path, settings: Mapping[str, str]) -> None:
    """As Java reads them; for this user only, since there may be passwords among them."""
    lines = "".join(f"{name}={value}\n" for name, value in settings.items())
    path.touch(mode=0o600)
    path.write_text(lines.replace("\\", "\\\\"), encoding="ascii")


def _listeners(node: Node, nodes: Sequence[Node]) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.number),
        "controller.quorum.voters": ",".join(f"{each.number}@127.0.0.1:{each.controller_port}" for each in nodes),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listeners": _plain_listeners(node),
        "log.dirs": str(node.data),
    }


def _replication(nodes: int) -> dict[str, str]:
    """Three copies of everything where there are three nodes, of which one may be lost."""
    copies, in_sync = str(min(nodes, 3)), str(min(nodes, 2))
    return {
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
    }


def _small_and_quick() -> dict[str, str]:
    return {
        # Topics are made by `topics create`. One that a misspelt name brings up with one partition hides the mistake.
        "auto.create.topics.enable": "false",
        # 50 each by default: on a small machine the first transaction waited for a hundred logs to be made.
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        # 6 s by default: so long a test would wait for the partitions of every worker that it kills.
        "group.min.session.timeout.ms": "1000",
        "num.network.threads": "2",
        "num.io.threads": "4",
        # 128 MB by default, a third of the heap of such a broker.
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        # A broker that was killed may come back under its number when its session is over: after 9 s by default.
        "broker.session.timeout.ms": "6000",
        "broker.heartbeat.interval.ms": "500",
    }


def _security(node: Node, security: Security) -> dict[str, str]:
    listener = "listener.name.secure"
    plain_users = " ".join(f'user_{name}="{password}"' for name, password in security.users.items())
    login = "org.apache.kafka.common.security"
    settings = {
        "listeners": f"{_plain_listeners(node)},SECURE://127.0.0.1:{node.secure_port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
        f"{listener}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        f"{listener}.plain.sasl.jaas.config": f"{login}.plain.PlainLoginModule required {plain_users};",
        f"{listener}.scram-sha-256.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
        f"{listener}.scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
        # Tokens without a signature, which Kafka has for development: the name in the token is believed.
        f"{listener}.oauthbearer.sasl.jaas.config": (
            f'{login}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'
        ),
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.location": str(security.key_store),
        "ssl.keystore.password": KEY_STORE_PASSWORD,
    }
    if security.acls:
        settings["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
        settings["super.users"] = "User:ANONYMOUS"
    return settings


def _plain_listeners(node: Node) -> str:
    return f"PLAINTEXT://{node.address},CONTROLLER://127.0.0.1:{node.controller_port}"
