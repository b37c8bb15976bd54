"""Which kinds of systems can be measured, and the measuring of one."""

from importlib import import_module
from typing import Final

from ml.bench.row import Measure, Row, Task

# Imported when one runs: torch takes a second and more, and the package of a peer may not be there.
MODULES: Final = {
    "preset": "ml.bench.trained",
    "n-gram": "ml.bench.counted",
    "plain-lstm": "ml.bench.peers.plain_lstm",
    "char-rnn": "ml.bench.peers.char_rnn",
    "markov-chain": "ml.bench.peers.markov_chain",
    "kenlm": "ml.bench.peers.kenlm_scores",
    "ppmd": "ml.bench.peers.ppmd",
}


def measure(kind: str, task: Task) -> Row:
    """Measure one system; a row that says so where its package is not installed. Raises MlError."""
    try:
        run: Measure = import_module(MODULES[kind]).measure
        return run(task)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "ml":
            raise
        note = f"not measured: the package {error.name} is missing; `make bench` installs it"
        return Row(system=task.system, note=note)
