"""The database server of the test run: the very PostgreSQL that `make run` starts."""

from pathlib import Path

from config.runner.postgres import EmbeddedPostgres


def start_for_tests(folder: Path) -> EmbeddedPostgres:
    """Started, fast and forgetful; the caller stops it. It ends with the test run in any case."""
    server = EmbeddedPostgres(folder, port=None, log=folder / "postgres.log", durable=False)
    server.start()
    return server
