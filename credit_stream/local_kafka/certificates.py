"""The TLS certificate of a local Kafka, made by the Java runtime's own keytool."""

from __future__ import annotations

import subprocess
from pathlib import Path

from credit_stream.local_kafka.failures import LocalKafkaUnavailable
from credit_stream.local_kafka.java import Java
from credit_stream.local_kafka.settings import KEY_STORE_PASSWORD

VALID_DAYS = 3650
KEYTOOL_SECONDS_MAX = 60


def make_certificate(java: Java, key_store: Path, certificate: Path) -> None:
    """A key with a certificate for this machine's loopback address, in a PKCS #12 store and, without the key, as PEM.

    The certificate is signed by its own key: clients take the PEM file as their certificate authority.
    """
    keytool = java.program("keytool")
    store = ["-alias", "broker", "-keystore", str(key_store), "-storetype", "PKCS12", "-storepass", KEY_STORE_PASSWORD]
    names = ["-dname", "CN=localhost", "-ext", "san=dns:localhost,ip:127.0.0.1"]
    key = ["-keyalg", "EC", "-groupname", "secp256r1", "-validity", str(VALID_DAYS)]
    _run([keytool, "-genkeypair", *store, *names, *key])
    _run([keytool, "-exportcert", "-rfc", *store, "-file", str(certificate)])


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=KEYTOOL_SECONDS_MAX, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LocalKafkaUnavailable(
            f"the TLS certificate cannot be made: {error}. A Java runtime with keytool is needed; "
            "pip install 'credit-stream[local-kafka]' brings one."
        ) from error
    if done.returncode:
        raise LocalKafkaUnavailable(f"the TLS certificate cannot be made: keytool: {done.stdout}{done.stderr}")
