"""A Kafka cluster of this machine: one broker, or three of which one may be lost."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._scram import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from credit_stream.local_kafka.archive import archive_options
from credit_stream.local_kafka.certificates import make_certificate
from credit_stream.local_kafka.failures import LocalKafkaFailed
from credit_stream.local_kafka.java import Java, find_java
from credit_stream.local_kafka.packages import kafka_class_path, note_in_log
from credit_stream.local_kafka.processes import Guard, GuardedProcess, check_port, free_ports, is_open
from credit_stream.local_kafka.settings import PLAIN_TEXT, Node, Security, broker_settings, write_settings

START_SECONDS_MAX = 240.0
"""A broker needs 3 s; 28 s were seen on two cores with twenty processes that wanted them."""
ANSWER_SECONDS_MAX = 2.0
"""For one question to a broker that may not be up yet."""
SCRAM_SECONDS_MAX = 30.0
SCRAM_ROUNDS = 4096
"""The least that Kafka takes."""
HEAP_MB = 384
QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Compiles lightly: a broker is up in half the time (3 s, not 6) but does less a second. Benchmarks pass `()`."""

_LOG_SETTINGS = Path(__file__).parent / "log4j2.xml"
_NOTHING: Mapping[str, str] = MappingProxyType({})


class LocalKafka:
    """Kafka in KRaft mode on free ports of the loopback address, from `start` to `stop` or in a `with`.

    `nodes` are numbered from 1; each is broker and controller. Topics are not made by themselves. The brokers end with
    this process, however it ends. Without `directory` they work in a temporary one, which goes with them; a given one
    keeps topics and logs and can be started again. A single node can be given its `port`.

    `users` (names and passwords of letters, digits, `.`, `_`, `-`) opens a second listener with TLS and SASL (PLAIN,
    SCRAM-SHA-256, SCRAM-SHA-512, and OAUTHBEARER with unsigned tokens) at `secure_bootstrap`, its certificate authority
    in `certificate`. With `acls` the users may do only what an ACL allows; the plain listener may do everything.

    `settings` are the brokers' own, `jvm_options` their Java's, `say` gets a sentence before packages are fetched.
    """

    def __init__(
        self,
        nodes: int = 1,
        *,
        directory: Path | None = None,
        port: int = 0,
        users: Mapping[str, str] = _NOTHING,
        acls: bool = False,
        settings: Mapping[str, str] = _NOTHING,
        heap_mb: int = HEAP_MB,
        jvm_options: Sequence[str] = QUICK_START,
        say: Callable[[str], None] = note_in_log,
    ) -> None:
        """Starts nothing yet. Raises ValueError for fewer than one node and for users that cannot be."""
        if nodes < 1:
            raise ValueError(f"a cluster of {nodes} nodes cannot be; give 1 or more")
        if port and nodes > 1:
            raise ValueError(f"one port cannot be that of {nodes} nodes; leave it out")
        for text in (*users, *users.values()):
            if not PLAIN_TEXT.fullmatch(text):
                raise ValueError("names and passwords of users are 1 to 100 letters, digits, '.', '_' or '-'")
        self._count = nodes
        self._given = directory
        self._port = port
        self._users = users
        self._acls = acls
        self._settings = settings
        self._jvm_options = (f"-Xmx{heap_mb}m", *jvm_options)
        self._say = say
        self._guard: Guard | None = None
        self._nodes: dict[int, Node] = {}
        self._brokers: dict[int, GuardedProcess] = {}
        self._directory = Path()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """The addresses of all nodes, for `bootstrap.servers`, without security."""
        self._check_started()
        return ",".join(node.address for node in self._nodes.values())

    @property
    def secure_bootstrap(self) -> str:
        """The addresses of all nodes with TLS and SASL. Raises LocalKafkaFailed if the cluster has no users."""
        self._check_started()
        if not self._users:
            raise LocalKafkaFailed("this Kafka has no secure listener: give it users")
        return ",".join(f"127.0.0.1:{node.secure_port}" for node in self._nodes.values())

    @property
    def certificate(self) -> Path:
        """The certificate authority of the secure listener, PEM (`ssl.ca.location`)."""
        return self.directory / "certificate.pem"

    @property
    def directory(self) -> Path:
        """Where settings, topics and logs of the brokers are: `node-1` and so on."""
        self._check_started()
        return self._directory

    @property
    def running(self) -> set[int]:
        """The numbers of the nodes whose process lives and is not paused."""
        return {number for number, broker in self._brokers.items() if broker.pid is not None and not broker.paused}

    def pid(self, node: int = 1) -> int | None:
        """The number of a node's process, None if it does not run."""
        return self._broker(node).pid

    def last_lines(self, node: int = 1) -> str:
        """The end of what a node has said, and where the whole is."""
        return self._broker(node).last_lines()

    def start(self) -> None:
        """Starts all nodes and returns when each of them answers and knows of all.

        Raises `LocalKafkaUnavailable` if a part is missing on this machine, `LocalKafkaFailed` if a broker does not
        come up, or its port is taken.
        """
        if self._guard is not None:
            raise LocalKafkaFailed("this Kafka runs already")
        java, class_path = find_java(), kafka_class_path(self._say)
        if self._port:
            check_port(self._port)
        self._guard = Guard()
        try:
            self._prepare(java, class_path, self._guard)
            deadline = time.monotonic() + START_SECONDS_MAX
            for broker in self._brokers.values():
                broker.start()
            for number in self._nodes:
                self._wait_for(number, deadline)
            self._make_scram_users()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends all nodes and removes a temporary directory. Does nothing if nothing runs."""
        if self._guard is None:
            return
        if self._given is not None:
            # At once: a node that stops alone waits for a controller, of which soon there is none.
            with ThreadPoolExecutor(self._count) as threads:
                list(threads.map(GuardedProcess.stop, self._brokers.values()))
        for broker in self._brokers.values():
            broker.kill()
        self._guard.close()
        self._guard = None
        self._brokers = {}

    def start_node(self, node: int = 1) -> None:
        """Starts a node that was stopped or killed, on its port and with its data, and waits until it answers.

        Of three nodes two must run for one to answer.
        """
        self._broker(node).start()
        self._wait_for(node, time.monotonic() + START_SECONDS_MAX)

    def stop_node(self, node: int = 1) -> None:
        """In order: its partitions get other leaders first, if there are other nodes."""
        self._broker(node).stop()

    def restart(self, node: int = 1) -> None:
        """`stop_node`, then `start_node`."""
        self.stop_node(node)
        self.start_node(node)

    def kill(self, node: int = 1) -> None:
        """SIGKILL."""
        self._broker(node).kill()

    def pause(self, node: int = 1) -> None:
        """SIGSTOP: connections stay open and nothing is answered."""
        self._broker(node).pause()

    def resume(self, node: int = 1) -> None:
        """SIGCONT."""
        self._broker(node).resume()

    def _check_started(self) -> None:
        if self._guard is None:
            raise LocalKafkaFailed("this Kafka does not run; start it first")

    def _broker(self, node: int) -> GuardedProcess:
        if node not in self._brokers:
            self._check_started()
            known = ", ".join(map(str, self._brokers))
            raise LocalKafkaFailed(f"this Kafka has no node {node}; its nodes: {known}")
        return self._brokers[node]

    def _prepare(self, java: Java, class_path: str, guard: Guard) -> None:
        """Directories, settings and formatted storage of every node."""
        self._directory = self._make_directory(guard)
        self._nodes = self._place_nodes(self._directory)
        security = self._make_security(java)
        kafka = [*archive_options(java, class_path), f"-Dlog4j2.configurationFile={_LOG_SETTINGS}", "-cp", class_path]
        for node in self._nodes.values():
            node.directory.mkdir(exist_ok=True)
            settings = broker_settings(node, list(self._nodes.values()), security, self._settings)
            write_settings(node.settings_file, settings)
            command = [java.program("java"), *self._jvm_options, *kafka, "kafka.Kafka", str(node.settings_file)]
            self._brokers[node.number] = GuardedProcess(f"broker {node.number}", command, node.log, guard)
        command = [java.program("java"), *QUICK_START, *kafka, "kafka.tools.StorageTool", "format"]
        _format_storage(command, list(self._nodes.values()))

    def _make_directory(self, guard: Guard) -> Path:
        if self._given is not None:
            self._given.mkdir(parents=True, exist_ok=True)
            return self._given.resolve()
        directory = Path(tempfile.mkdtemp(prefix="credit-stream-kafka-"))
        guard.remove(directory)
        return directory

    def _place_nodes(self, directory: Path) -> dict[int, Node]:
        ports = [port for port in free_ports(3 * self._count + 1) if port != self._port]
        return {
            number: Node(
                number=number,
                directory=directory / f"node-{number}",
                port=self._port or ports.pop(),
                controller_port=ports.pop(),
                secure_port=ports.pop() if self._users else None,
            )
            for number in range(1, self._count + 1)
        }

    def _make_security(self, java: Java) -> Security | None:
        if not self._users:
            return None
        key_store = self.directory / "broker.p12"
        if not key_store.exists():
            make_certificate(java, key_store, self.certificate)
        return Security(users=self._users, key_store=key_store, acls=self._acls)

    def _wait_for(self, number: int, deadline: float) -> None:
        """Until the node answers and knows of every node that runs."""
        node, broker = self._nodes[number], self._brokers[number]
        broker.wait_until(lambda: is_open(node.port), "it listened", deadline)
        admin = _admin(node.address)
        broker.wait_until(lambda: self.running <= _known_nodes(admin), "it knew of all nodes", deadline)

    def _make_scram_users(self) -> None:
        if not self._users:
            return
        admin = _admin(self.bootstrap)
        # In two requests: a broker refuses one that names a user twice.
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            credentials: list[UserScramCredentialAlteration] = [
                UserScramCredentialUpsertion(name, ScramCredentialInfo(mechanism, SCRAM_ROUNDS), password.encode())
                for name, password in self._users.items()
            ]
            for made in admin.alter_user_scram_credentials(credentials).values():
                try:
                    made.result(timeout=SCRAM_SECONDS_MAX)
                except (KafkaException, TimeoutError) as error:
                    raise LocalKafkaFailed(f"the users cannot be made: {error}") from error


def _admin(addresses: str) -> AdminClient:
    # Brokers that are not up yet are expected here; librdkafka would write about each try.
    return AdminClient({"bootstrap.servers": addresses, "log_level": 0})


def _known_nodes(admin: AdminClient) -> set[int]:
    try:
        return set(admin.list_topics(timeout=ANSWER_SECONDS_MAX).brokers)
    except KafkaException:
        return set()


def _format_storage(command: Sequence[str], nodes: Sequence[Node]) -> None:
    """Makes the storage of nodes that have none, all with the number of the cluster that is there or a new one."""
    new = [node for node in nodes if not (node.data / "meta.properties").exists()]
    if not new:
        return
    cluster = _cluster_number(nodes) or urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    with ThreadPoolExecutor(len(new)) as threads:
        list(threads.map(lambda node: _format_node(command, node, cluster), new))


def _format_node(command: Sequence[str], node: Node, cluster: str) -> None:
    # `--cluster-id=`, in one word: a number may begin with a dash.
    arguments = [f"--cluster-id={cluster}", "--config", str(node.settings_file)]
    try:
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=START_SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LocalKafkaFailed(f"the storage of node {node.number} was not made in {START_SECONDS_MAX} s") from error
    if done.returncode:
        shutil.rmtree(node.data, ignore_errors=True)
        raise LocalKafkaFailed(f"the storage of node {node.number} cannot be made:\n{done.stdout}{done.stderr}")


def _cluster_number(nodes: Sequence[Node]) -> str | None:
    for node in nodes:
        file = node.data / "meta.properties"
        if file.exists():
            values = dict(line.split("=", 1) for line in file.read_text("ascii").splitlines() if "=" in line)
            return values["cluster.id"]
    return None
