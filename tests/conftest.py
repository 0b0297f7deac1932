"""What several test modules share."""

import os
import subprocess
from pathlib import Path

import pytest

from colorlib import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """No test depends on what the shell that calls pytest has set."""
    for name in settings.FIELDS:
        monkeypatch.delenv(settings.variable(name), raising=False)


@pytest.fixture(scope="session")
def shared():
    """The material beside the checkout: real photos, weights, references. Skips where it is not there."""
    if not (SHARED / "README.md").exists():
        pytest.skip("needs the folder ../shared beside the checkout (real photos, weights and references)")
    return SHARED


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("needs the right to mount a small file system")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)
