"""What `make test` does on a machine without a Chromium: as a process, with an apt-get and a download of our own."""

import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.serving import Served

SCRIPT = Path(__file__).with_name("ensure_browser.py").read_text(encoding="utf-8")
NOBODY = 65534
# the script as another user, and with a Python that has no Playwright
START = """
import os, shutil, subprocess, sys
if sys.argv[1]:
    os.setuid(int(sys.argv[1]))
if sys.argv[2]:
    sys.executable = sys.argv[2]
exec(compile(sys.stdin.read(), "ensure_browser.py", "exec"))
"""
RECORDING = """#!/bin/sh
echo "$0 $*" >> "$(dirname "$0")/calls"
"""
BRINGS_IT = 'case "$*" in *install*) : > "$HERE/chromium"; chmod +x "$HERE/chromium";; esac\n'


@pytest.fixture
def path() -> Iterator[Path]:
    """A folder that is the whole PATH, and that every user of this machine may write to."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder)
        found.chmod(0o777)
        for name in ("dirname", "chmod"):
            (found / name).symlink_to(str(shutil.which(name)))
        yield found


def _has(path: Path, name: str, does: str) -> None:
    """A command of that name on the PATH, that records its calls and then does this."""
    command = path / name
    command.write_text(f"{RECORDING}HERE={path}\n{does}")
    command.chmod(0o755)


def _calls(path: Path) -> list[str]:
    written = path / "calls"
    return written.read_text().replace(f"{path}/", "").splitlines() if written.exists() else []


def _ensure(
    path: Path, user: int | None = None, python: str = "/bin/false", **variables: str
) -> tuple[int, list[str]]:
    """Its exit code, and the lines that it printed."""
    done = subprocess.run(
        [sys.executable, "-c", START, "" if user is None else str(user), python],
        input=SCRIPT,
        cwd=path,
        env={"PATH": str(path), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become others")


def test_a_browser_that_is_there_is_taken(path: Path) -> None:
    """Nothing is installed where nothing is missing."""
    _has(path, "apt-get", "exit 1")
    _has(path, "google-chrome", "")
    assert _ensure(path) == (0, [])
    assert _calls(path) == []


@as_root
def test_root_gets_debian_s_package(path: Path) -> None:
    """The lists are renewed, then the package is installed without a question."""
    _has(path, "apt-get", BRINGS_IT)
    assert _ensure(path) == (0, [])
    assert _calls(path) == [
        "apt-get update",
        "apt-get install -y --no-install-recommends chromium fonts-dejavu-core",
    ]


@as_root
def test_a_broken_list_of_another_package_is_no_obstacle(path: Path) -> None:
    """An update that fails in part leaves lists that may do."""
    _has(path, "apt-get", f'{BRINGS_IT}[ "$1" != update ]')
    assert _ensure(path) == (0, [])


@as_root
def test_others_use_sudo_where_it_asks_nothing(path: Path) -> None:
    """Without root the package comes through sudo, which must not wait for a password."""
    _has(path, "apt-get", BRINGS_IT)
    _has(path, "sudo", 'shift; exec "$@"')
    assert _ensure(path, user=NOBODY) == (0, [])
    assert [call for call in _calls(path) if call.startswith("sudo")] == [
        "sudo -n apt-get update",
        "sudo -n apt-get install -y --no-install-recommends chromium fonts-dejavu-core",
    ]


def test_without_any_way_one_line_says_what_to_install(path: Path) -> None:
    """Neither apt-get nor Playwright: the name of the package, and the command to run after it."""
    code, said = _ensure(path)
    assert (code, len(said)) == (1, 1)
    assert "there is no apt-get" in said[0]
    assert said[0].endswith("install the package `chromium` as root, then run make test.")


@as_root
@pytest.mark.parametrize("sudo", ["", "exit 1"])
def test_who_may_not_install_is_told_why(path: Path, sudo: str) -> None:
    """No sudo, or one that would ask for a password: one line with the reason, and no wait."""
    _has(path, "apt-get", BRINGS_IT)
    if sudo:
        _has(path, "sudo", sudo)
    code, said = _ensure(path, user=NOBODY)
    assert (code, len(said)) == (1, 1)
    assert ("sudo -n apt-get failed" if sudo else "there is no sudo") in said[0]
    assert "install the package `chromium`" in said[0]
    assert "apt-get" not in [call.split()[0] for call in _calls(path)]


def _downloads(asked: list[str], *, works: bool) -> Starlette:
    """Where Playwright fetches from: an archive with something to run, or nothing."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as found:
        # all that this version makes executable once it is unpacked
        for name in (
            "chrome-linux64/chrome",
            "chrome-headless-shell-linux64/chrome-headless-shell",
            "ffmpeg-linux",
        ):
            found.writestr(name, "#!/bin/sh\n")

    async def answer(request: Request) -> Response:
        asked.append(request.url.path)
        return Response(archive.getvalue() if works else b"", 200 if works else 404)

    return Starlette(routes=[Route("/{path:path}", answer)])


@pytest.mark.parametrize("works", [True, False])
def test_playwright_s_own_download_is_the_second_way(path: Path, works: bool) -> None:
    """Where no package can be had its own browser is fetched; where that fails too, the line says so."""
    asked: list[str] = []
    with Served(_downloads(asked, works=works)) as served:
        code, said = _ensure(
            path,
            python="",
            HOME=str(path),
            PLAYWRIGHT_BROWSERS_PATH=str(path / "browsers"),
            PLAYWRIGHT_DOWNLOAD_HOST=served.url,
        )
    assert any("chrom" in each for each in asked)
    if works:
        assert (code, said) == (0, [])
        assert list((path / "browsers").rglob("chrome"))
    else:
        assert (code, len(said)) == (1, 1)
        assert "Playwright could not fetch its own" in said[0]
