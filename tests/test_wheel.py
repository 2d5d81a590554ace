"""What is installed from a wheel is the whole product."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
_LOOK = """
import json
from dashboard import asgi
from core.store import Store
Store.open("sqlite:///wheel.sqlite").close()
print(json.dumps({"file": asgi.__file__, **asgi._options(7)}))
"""


def test_a_console_installed_from_a_wheel_has_its_look_and_its_migrations(tmp_path: Path) -> None:
    """Away from a checkout the theme, the upload cap and the database's migrations are there."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    subprocess.run([*build, str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "installed")
    told = subprocess.run(
        [sys.executable, "-P", "-c", _LOOK],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
        check=True,
        capture_output=True,
        text=True,
    )
    options = json.loads(told.stdout)
    assert Path(options["file"]).is_relative_to(tmp_path / "installed")
    assert options["theme.light.primaryColor"] == "#2F6FED"
    assert options["server.maxUploadSize"] == 7
