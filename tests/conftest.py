"""What several test modules share."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared():
    """The material beside the checkout: real photos, weights, references. Skips where it is not there."""
    if not (SHARED / "README.md").exists():
        pytest.skip("needs the folder ../shared beside the checkout (real photos, weights and references)")
    return SHARED
