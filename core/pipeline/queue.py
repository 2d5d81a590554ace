"""Handing work to whichever process runs workflows. Every process enqueues the same way."""

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing

from dbos import DBOS, DBOSClient

from core.errors import StoreUnavailable

__all__ = ["APP", "APP_VERSION", "NUDGE", "QUEUE", "WORKFLOW", "JobQueue", "workflow_database_url"]

APP = "parsedeck"
# Pinned: with a version that changes with the code, jobs in flight would stay PENDING for ever.
APP_VERSION = "1"
QUEUE = "parse"
WORKFLOW = "parse_job"
NUDGE = "nudge"
_SCHEMA = "dbos"
_LIVE = {"ENQUEUED", "PENDING", "DELAYED"}


class JobQueue:
    """Enqueues jobs and nudges their workflows; runs none of them. Thread-safe."""

    def __init__(self, url: str) -> None:
        """Connect, creating DBOS's tables when they are missing. Raises ``StoreUnavailable``."""
        logging.getLogger("dbos").setLevel(logging.ERROR)
        try:
            DBOS.migrate(url, schema=_SCHEMA)
            if url.startswith("sqlite"):
                _use_wal(url)
            self._client = DBOSClient(system_database_url=url, application_name=APP)
        except Exception as error:  # DBOS passes on whatever the database driver raises
            raise StoreUnavailable(
                f"The workflow database cannot be used ({type(error).__name__}).",
                "Check PARSEDECK_DATABASE_URL and that there is room on the disk.",
            ) from error

    def enqueue(self, workflow_id: str, job_id: str, generation: int) -> None:
        """Have the job parsed; the same workflow id again changes nothing."""
        self._client.enqueue(
            {
                "workflow_name": WORKFLOW,
                "queue_name": QUEUE,
                "workflow_id": workflow_id,
                "app_version": APP_VERSION,
            },
            job_id,
            generation,
        )

    def nudge(self, workflow_id: str) -> bool:
        """Wake a waiting workflow. Only a hint: false when there is no such workflow (yet)."""
        try:
            self._client.send(workflow_id, "look", topic=NUDGE)
        except Exception:  # a hint may be lost; the row is the truth and the sweep looks at it
            return False
        return True

    def take_over(self, executor_ids: list[str]) -> int:
        """Enqueue again what dead processes left unfinished; how many workflows that were."""
        left = self._client.list_workflows(
            status="PENDING", executor_id=executor_ids, load_input=False
        )
        ids = [workflow.workflow_id for workflow in left]
        if ids:
            self._client.resume_workflows(ids, queue_name=QUEUE)
        return len(ids)

    def alive(self, workflow_ids: Sequence[str]) -> dict[str, bool]:
        """Of each of these workflows that exists: whether it will still run on."""
        found = self._client.list_workflows(
            workflow_ids=list(workflow_ids), load_input=False, load_output=False
        )
        return {workflow.workflow_id: workflow.status in _LIVE for workflow in found}

    def check(self) -> None:
        """One round trip. Raises ``StoreUnavailable``."""
        try:
            self._client.check_connection()
        except Exception as error:  # DBOS passes on whatever the database driver raises
            raise StoreUnavailable(
                "The workflow database does not answer.", "Check that the database runs."
            ) from error

    def close(self) -> None:
        """Let go of the connections."""
        self._client.destroy()


def workflow_database_url(database_url: str) -> str:
    """Where DBOS keeps its tables: a second file beside ours, or a second schema."""
    if database_url.startswith("sqlite:///"):
        return database_url.removesuffix(".sqlite") + "-workflows.sqlite"
    return database_url


def _use_wal(url: str) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
