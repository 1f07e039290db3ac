"""How Faust is set up here. Each setting that is not a matter of taste names the trap behind it (design section 4)."""

from __future__ import annotations

from typing import Any

import faust
from mode.supervisors import CrashingSupervisor

from credit_stream.hosts.faust.log_lines import Worker
from credit_stream.hosts.faust.stream import PromptStream
from credit_stream.hosts.kafka.connection import Connection

REBALANCE_SECONDS = 60.0
"""So long the group waits for a worker that gives its partitions up: longer than `Partitions.close` may take."""
REQUEST_SECONDS = 70.0
"""Joining is one request that takes as long as the slowest member."""
MAX_POLL_SECONDS = 86_400.0
"""aiokafka leaves the group when nothing was asked of it for so long, which is so while partitions are restored.
Whether a worker still gets on is told by its health."""
POLL_RECORDS_MAX = 500
"""Records in one round of Faust's; between two rounds it looks whether it may go on."""
BATCH_RECORDS_MAX = 500
"""Events that an agent hands over at once."""
BUFFER_RECORDS_MAX = 4_096
"""Of one agent's queue. It is emptied as fast as it fills: an agent never waits, because Faust's one fetching loop
would in the end wait for it, and with it the streams that a task is waiting for."""


class Settings(faust.Settings):
    """Faust's settings, from our own configuration alone.

    Faust lets environment variables such as PROCESSING_GUARANTEE, BROKER_URL or AGENT_SUPERVISOR win over what the
    application says.
    """

    def getenv(self, env_name: str) -> None:
        """Not set, whatever the environment says."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Trap: `faust worker` turns the web server on unless --without-web is given. It has no password and listens on
        all addresses."""
        super().__setattr__(name, False if name == "web_enabled" else value)


def settings(connection: Connection, session_seconds: int) -> dict[str, Any]:
    """The arguments of `faust.App`, but for its id.

    `session_seconds` after a worker was killed its partitions are given to others.
    """
    return {
        "broker": connection.faust_brokers(),
        "broker_credentials": connection.faust_credentials(),
        "broker_client_id": connection.application_id,
        "broker_session_timeout": float(session_seconds),
        "broker_heartbeat_interval": session_seconds / 4,
        "broker_rebalance_timeout": REBALANCE_SECONDS,
        "broker_request_timeout": max(REQUEST_SECONDS, session_seconds + 10.0),
        "broker_max_poll_interval": MAX_POLL_SECONDS,
        "broker_max_poll_records": POLL_RECORDS_MAX,
        "stream_buffer_maxsize": BUFFER_RECORDS_MAX,
        "Stream": PromptStream,
        "Worker": Worker,
        # Trap: an agent that raises is started again and the event behind it counts as done. Here the process ends.
        "agent_supervisor": CrashingSupervisor,
        # Trap: at the end and at a rebalance Faust waits for acknowledgements, and commits what has them.
        "stream_wait_empty": False,
        # Trap: topics that Faust makes have a number of partitions of their own.
        "topic_allow_declare": False,
        # Trap: the topic of Faust's leader would be subscribed, and the other workers of the group do not know it.
        "topic_disable_leader": True,
        "reply_create_topic": False,
        "web_enabled": False,
        # Faust would send the standard streams through its own log, and ours is written to them.
        "worker_redirect_stdouts": False,
        "autodiscover": False,
        # Trap: Faust's own exactly-once loses and doubles. `processing_guarantee` is left alone: at_least_once, and
        # since nothing is acknowledged, nothing is committed.
    }
