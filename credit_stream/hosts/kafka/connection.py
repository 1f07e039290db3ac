"""How to reach a Kafka cluster, for every client in the project: one configuration, read in one place.

The names of the fields are the keys of the file and, in capitals behind `CREDIT_STREAM_`, the environment variables
(`configuration` reads them). Here they become what each library wants: librdkafka, aiokafka, Faust, the client of the
schema registry. What those get holds secrets in the clear, so it is made when it is needed and never logged.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from credit_stream.hosts.kafka.secret import NO_SECRET, Secret

if TYPE_CHECKING:
    from faust.auth import Credentials

    from credit_stream.hosts.kafka.tokens import ClientCredentials

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]

OAUTHBEARER = "OAUTHBEARER"


class Connection(Struct, frozen=True, kw_only=True):
    """Where the brokers are, how to log in there, and what this application is called. Empty text: not set.

    `application_id` is the consumer group, and with the partition the transactional id (`credit-stream-3`).
    `topic_prefix` stands before every topic name, for several systems on one cluster. Files are paths.
    """

    brokers: str
    application_id: str = "credit-stream"
    topic_prefix: str = ""
    client_rack: str = ""
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism = ""
    sasl_username: str = ""
    sasl_password: Secret = NO_SECRET
    oauth_token_endpoint: str = ""
    oauth_client_id: str = ""
    oauth_client_secret: Secret = NO_SECRET
    oauth_scope: str = ""
    oauth_ca_file: str = ""
    tls_ca_file: str = ""
    tls_certificate_file: str = ""
    tls_key_file: str = ""
    tls_key_password: Secret = NO_SECRET
    schema_registry: str = ""
    schema_registry_user: str = ""
    schema_registry_password: Secret = NO_SECRET
    schema_registry_ca_file: str = ""

    def topic(self, name: str) -> str:
        """The topic on the cluster of a stream (`credit.orders`)."""
        return self.topic_prefix + name

    def stream(self, topic: str) -> str:
        """The stream that a topic on the cluster is."""
        return topic.removeprefix(self.topic_prefix)

    def transactional_id(self, partition: int) -> str:
        """Whoever has it last fences all that had it before (design section 3)."""
        return f"{self.application_id}-{partition}"

    @property
    def uses_sasl(self) -> bool:
        """Whether a user logs in."""
        return self.security_protocol.startswith("SASL_")

    @property
    def uses_tls(self) -> bool:
        """Whether the bytes between us and the brokers are encrypted."""
        return self.security_protocol.endswith("SSL")

    def shown(self) -> dict[str, str]:
        """What is set, for people and logs: secrets are masked."""
        values = {name: str(getattr(self, name)) for name in self.__struct_fields__}
        return {name: value for name, value in values.items() if value}

    # --- what each library wants; secrets in the clear ---------------------------------------------------------------

    def client(self) -> dict[str, object]:
        """librdkafka's settings to reach the cluster, the same for producers, consumers and administration.

        Without `tls_ca_file` librdkafka takes the certificates of the system, and it checks the name of the host.
        """
        settings: dict[str, object] = {
            "bootstrap.servers": self.brokers,
            "security.protocol": self.security_protocol,
            "client.rack": self.client_rack,
        }
        if self.uses_tls:
            settings |= {
                "ssl.ca.location": self.tls_ca_file,
                "ssl.certificate.location": self.tls_certificate_file,
                "ssl.key.location": self.tls_key_file,
                "ssl.key.password": self.tls_key_password.reveal(),
            }
        if self.uses_sasl:
            settings |= self._librdkafka_login()
        return {name: value for name, value in settings.items() if value}

    def _librdkafka_login(self) -> dict[str, object]:
        if self.sasl_mechanism != OAUTHBEARER:
            return {
                "sasl.mechanism": self.sasl_mechanism,
                "sasl.username": self.sasl_username,
                "sasl.password": self.sasl_password.reveal(),
            }
        return {
            "sasl.mechanism": OAUTHBEARER,
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": self.oauth_token_endpoint,
            "sasl.oauthbearer.client.id": self.oauth_client_id,
            "sasl.oauthbearer.client.secret": self.oauth_client_secret.reveal(),
            "sasl.oauthbearer.scope": self.oauth_scope,
            "https.ca.location": self.oauth_ca_file,
        }

    def aiokafka(self) -> dict[str, object]:
        """Keyword arguments for a consumer or producer of aiokafka."""
        arguments: dict[str, object] = {
            "bootstrap_servers": self.brokers,
            "security_protocol": self.security_protocol,
        }
        if self.uses_tls:
            arguments["ssl_context"] = self.ssl_context()
        if self.uses_sasl:
            arguments["sasl_mechanism"] = self.sasl_mechanism
        if self.uses_sasl and self.sasl_mechanism == OAUTHBEARER:
            arguments["sasl_oauth_token_provider"] = self.token_provider()
        elif self.uses_sasl:
            arguments["sasl_plain_username"] = self.sasl_username
            arguments["sasl_plain_password"] = self.sasl_password.reveal()
        return arguments

    def faust_brokers(self) -> list[str]:
        """Faust's setting `broker`: one URL for each."""
        return [f"kafka://{address.strip()}" for address in self.brokers.split(",")]

    def faust_credentials(self) -> Credentials | None:
        """Faust's setting `broker_credentials`; None where nothing is encrypted and nobody logs in."""
        from faust import auth

        context = self.ssl_context() if self.uses_tls else None
        if not self.uses_sasl:
            return None if context is None else auth.SSLCredentials(context)
        if self.sasl_mechanism == OAUTHBEARER:
            return auth.OAuthCredentials(oauth_cb=self.token_provider(), ssl_context=context)
        return auth.SASLCredentials(
            mechanism=self.sasl_mechanism,
            username=self.sasl_username,
            password=self.sasl_password.reveal(),
            ssl_context=context,
        )

    def ssl_context(self) -> ssl.SSLContext:
        """For aiokafka and Faust: the certificates that are believed, and our own. The name of the host is checked."""
        context = ssl.create_default_context(cafile=self.tls_ca_file or None)
        if self.tls_certificate_file:
            # A password of None would have OpenSSL ask at the terminal of a worker that has none.
            context.load_cert_chain(self.tls_certificate_file, self.tls_key_file, self.tls_key_password.reveal())
        return context

    def token_provider(self) -> ClientCredentials:
        """For aiokafka and Faust: gets tokens as librdkafka does by itself."""
        from credit_stream.hosts.kafka.tokens import ClientCredentials

        return ClientCredentials(
            endpoint=self.oauth_token_endpoint,
            client_id=self.oauth_client_id,
            secret=self.oauth_client_secret,
            scope=self.oauth_scope,
            ca_file=self.oauth_ca_file,
        )

    def registry(self) -> dict[str, object] | None:
        """Settings for confluent_kafka's `SchemaRegistryClient`; None when no schema registry is configured."""
        if not self.schema_registry:
            return None
        settings: dict[str, object] = {"url": self.schema_registry}
        if self.schema_registry_user:
            settings["basic.auth.user.info"] = f"{self.schema_registry_user}:{self.schema_registry_password.reveal()}"
        ca_location = self.schema_registry_ca_file or _system_certificates()
        if ca_location is not None:
            settings["ssl.ca.location"] = ca_location
        return settings


KEYS: tuple[str, ...] = tuple(field.name for field in msgspec.structs.fields(Connection))
"""The keys of a connection file."""
SECRET_KEYS: frozenset[str] = frozenset(
    field.name for field in msgspec.structs.fields(Connection) if isinstance(field.default, Secret)
)
"""Those that no log shows, that no command line takes, and that may stand in a file of their own (`..._file`)."""
PATH_KEYS: frozenset[str] = frozenset(key for key in KEYS if key.endswith("_file"))
"""Those that name a file."""


def _system_certificates() -> str | None:
    """Where the certificates of the system are; the registry's client would take those of a package instead."""
    paths = ssl.get_default_verify_paths()
    return next((path for path in (paths.cafile, paths.capath) if path and Path(path).exists()), None)
