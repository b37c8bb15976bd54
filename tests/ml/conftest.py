"""What tests of ml share: where the benchmark corpora lie, and a small corpus that anyone may read."""

import os
import random
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def benchmark_data() -> Path:
    """The directory of the benchmark corpora (ptb, trump …), which are not part of the repository."""
    directory = os.environ.get("MYNAH_BENCHMARK_DATA")
    if not directory:
        pytest.skip("MYNAH_BENCHMARK_DATA is not set; it names the directory in which ptb/ and the others lie")
    return Path(directory)


@pytest.fixture(scope="session")
def small_corpus() -> list[str]:
    """Three hundred made-up posts over a small grammar, with hashtags, emoji and line breaks. Always the same."""
    random_source = random.Random(7)
    subjects = ["the mynah", "our gardener", "a small boat", "the old radio", "my neighbour", "this city"]
    verbs = ["sings", "waits", "remembers", "falls asleep", "keeps talking", "laughs"]
    places = ["in the rain", "by the harbour", "at night", "under the bridge", "before breakfast", "again and again"]
    endings = ["!", ".", " …", " 🐦", " #birds", "\nwho knew?", " ¿no?"]
    parts = (subjects, verbs, places, endings)
    return ["{} {} {}{}".format(*(random_source.choice(part) for part in parts)) for _ in range(300)]
