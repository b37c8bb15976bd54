"""Files to import: written for a test, or found in the wild."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

BENCHMARK_DATA = "MYNAH_BENCHMARK_DATA"


@pytest.fixture
def written(tmp_path: Path) -> Callable[[bytes | str], Path]:
    """Makes a file with a content, and a name that says nothing."""

    def write(content: bytes | str) -> Path:
        path = tmp_path / f"upload-{len(list(tmp_path.iterdir()))}"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def benchmark_data() -> Path:
    """The folder of real archives and corpora, which are not ours to keep in the project."""
    folder = os.environ.get(BENCHMARK_DATA)
    if not folder:
        pytest.skip(f"{BENCHMARK_DATA} does not name the folder of the benchmark data")
    return Path(folder)
