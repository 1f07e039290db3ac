"""`docker-compose.yml` is right as far as that can be known without Docker.

By the schema of the Compose specification, the program's own command line and configuration, Kafka's own check of its
settings, and by running what the health checks run.
"""

from __future__ import annotations

import http.server
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import click
import pytest

from credit_stream.hosts.kafka.configuration import ENVIRONMENT_PREFIX, read_connection
from credit_stream.local_kafka import LocalKafkaUnavailable, LocalRegistry
from credit_stream.local_kafka.java import find_java
from credit_stream.local_kafka.packages import KAFKA, REGISTRY, kafka_class_path

from .conftest import ROOT, Image, parse

CHECK_SECONDS_MAX = 60


def check_schema(file: Path) -> subprocess.CompletedProcess[str]:
    """By the schema of the Compose specification, which the package check-jsonschema brings."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=CHECK_SECONDS_MAX, check=False)


def test_the_compose_file_keeps_to_the_schema_of_the_compose_specification() -> None:
    """No key is misspelt and no value has another shape."""
    done = check_schema(ROOT / "docker-compose.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_misspelt_key_would_be_found(tmp_path: Path) -> None:
    """The check above is able to fail."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    (tmp_path / "bad.yml").write_text(text.replace("    restart: unless-stopped", "    restrat: unless-stopped", 1))
    done = check_schema(tmp_path / "bad.yml")
    assert done.returncode == 1
    assert "restrat" in done.stdout


def test_every_command_line_is_one_of_the_real_program(
    ours: Any, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each service runs what it is there for."""
    ran = {}
    for name, service in ours.items():
        environment = image.environment | service["environment"]
        ran[name] = parse(service["command"], environment, monkeypatch).command_path
    assert ran == {
        "topics": "credit-stream topics create",
        "worker-1": "credit-stream worker",
        "worker-2": "credit-stream worker",
    }


@pytest.mark.parametrize("wrong", [["worker", "--probe-prot", "8322"], ["topics", "crate"], ["wroker"]])
def test_a_wrong_command_line_would_be_found(wrong: list[str], image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above is able to fail."""
    with pytest.raises(click.UsageError):
        parse(wrong, image.environment, monkeypatch)


def test_every_environment_variable_is_one_that_the_program_reads(
    ours: Any, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And together they are a connection to the Kafka and the registry of the same file."""
    for service in ours.values():
        connection = read_connection(environment=service["environment"])
        assert connection.brokers == "kafka:19092"
        assert connection.schema_registry == "http://registry:8080/apis/ccompat/v7"
        environment = image.environment | service["environment"]
        context = parse(service["command"], environment, monkeypatch)
        options = {str(option.envvar) for option in context.command.params}
        for variable in service["environment"]:
            key = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
            assert key in connection.__struct_fields__ or variable in options, f"nobody reads {variable}"


def test_the_addresses_that_the_workers_are_given_are_those_that_listen(services: Any) -> None:
    """Kafka's listener for the inside, and the port of the registry's image."""
    kafka = services["kafka"]["environment"]
    assert "INSIDE://kafka:19092" in kafka["KAFKA_ADVERTISED_LISTENERS"]
    assert "INSIDE://:19092" in kafka["KAFKA_LISTENERS"]
    assert services["kafka"]["hostname"] == "kafka"
    assert services["registry"]["ports"] == ["127.0.0.1:8081:8080"]


def test_nothing_can_be_reached_from_outside_this_machine(services: Any) -> None:
    """Nobody has to log in here, so every published port is one of the loopback address."""
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_service_waits_for_what_it_needs(services: Any) -> None:
    """For a healthy one only if that has a health check, for the end of one only if it ends."""
    for name, service in services.items():
        for other, wanted in service.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy":
                assert "healthcheck" in services[other], f"{name} waits for {other}, which says nothing of its health"
            else:
                assert wanted["condition"] == "service_completed_successfully"
                assert services[other]["restart"] == "no"
    for worker in ("worker-1", "worker-2"):
        assert set(services[worker]["depends_on"]) == {"kafka", "registry", "topics"}


def test_every_worker_has_a_state_directory_of_its_own_that_outlives_it(compose: Any, ours: Any, image: Image) -> None:
    """Where the image says that the state is."""
    place = image.environment["CREDIT_STREAM_STATE"]
    volumes = [ours[worker]["volumes"] for worker in ("worker-1", "worker-2")]
    assert volumes == [[f"worker-1-state:{place}"], [f"worker-2-state:{place}"]]
    used = {volume.split(":")[0] for service in compose["services"].values() for volume in service.get("volumes", [])}
    assert used == set(compose["volumes"])


def test_the_versions_are_those_that_the_tests_run(services: Any) -> None:
    """What is in the compose file is what was tested."""
    assert services["kafka"]["image"] == f"apache/kafka:{KAFKA.removeprefix('kafka-')}"
    version = REGISTRY.removeprefix("apicurio-registry-")
    assert services["registry"]["image"] == f"apicurio/apicurio-registry-mem:{version}.Final"


def test_kafka_takes_its_settings(services: Any, tmp_path: Path) -> None:
    """Its own tool reads and checks them, the listeners and their protocols above all."""
    try:
        java, class_path = find_java(), kafka_class_path()
    except LocalKafkaUnavailable as error:
        pytest.skip(f"Kafka cannot be had on this machine: {error}")
    environment = dict(services["kafka"]["environment"])
    cluster = environment.pop("CLUSTER_ID")
    environment["KAFKA_LOG_DIRS"] = str(tmp_path / "data")
    # As the image does it: KAFKA_LOG_DIRS is log.dirs.
    lines = [f"{name.removeprefix('KAFKA_').lower().replace('_', '.')}={value}" for name, value in environment.items()]
    (tmp_path / "server.properties").write_text("\n".join(lines))
    tool = [java.program("java"), "-cp", class_path, "kafka.tools.StorageTool"]
    arguments = ["format", "--cluster-id", cluster, "--config", str(tmp_path / "server.properties")]
    done = subprocess.run([*tool, *arguments], capture_output=True, text=True, timeout=CHECK_SECONDS_MAX, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "data" / "meta.properties").exists()


# The health checks.


@contextmanager
def answering(status: HTTPStatus) -> Iterator[int]:
    """A worker's port for probes that answers with this."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def is_healthy(service: Any, change: Callable[[str], str]) -> bool:
    """Runs the health check of a service as Docker does, with its port changed."""
    how, *command = service["healthcheck"]["test"]
    assert how == "CMD"
    # Compose takes `$$` for `$`, and a single one for a variable of the shell that calls it.
    assert not any("$" in word for word in command)
    program = sys.executable if command[0] == "python" else shutil.which(command[0])
    if program is None:
        pytest.skip(f"this machine has no {command[0]}, with which the image looks after its health")
    arguments = [change(word) for word in command[1:]]
    done = subprocess.run([program, *arguments], capture_output=True, timeout=CHECK_SECONDS_MAX, check=False)
    return done.returncode == 0


@pytest.mark.parametrize(("status", "well"), [(HTTPStatus.OK, True), (HTTPStatus.SERVICE_UNAVAILABLE, False)])
def test_the_health_of_a_worker_is_what_it_answers(services: Any, status: HTTPStatus, well: bool) -> None:
    """On the port that its command names."""
    worker = services["worker-1"]
    port = worker["command"][worker["command"].index("--probe-port") + 1]
    assert f":{port}/health" in worker["healthcheck"]["test"][-1]
    with answering(status) as listening:
        assert is_healthy(worker, lambda word: word.replace(f":{port}/", f":{listening}/")) is well


def test_the_health_of_the_registry_is_what_a_real_one_answers(services: Any) -> None:
    """And one that is gone is not healthy."""
    registry = LocalRegistry()
    try:
        registry.start()
    except LocalKafkaUnavailable as error:
        pytest.skip(f"the registry cannot be had on this machine: {error}")
    port = registry.url.split("/")[2].split(":")[1]

    def changed(word: str) -> str:
        return word.replace("/8080", f"/{port}")

    assert is_healthy(services["registry"], changed)
    registry.stop()
    assert not is_healthy(services["registry"], changed)
