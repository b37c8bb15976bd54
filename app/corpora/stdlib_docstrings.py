"""The demo's corpus: sentences of the standard library's own docstrings, read when they are wanted."""

import ast
import re
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

# Not prose, or not about Python's library.
SKIPPED_FOLDERS = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "encodings", "__pycache__"}
SHORTEST, LONGEST = 25, 280

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_PROSE = re.compile(r"[A-Z][^\n]*[a-z][^\n]*[.!?]")
# Code, tables, doctests and markup are told by what prose does not hold.
_NOT_PROSE = re.compile(r">>>|\.\.\.|::|[{}<>|\\=_]{2}|^\W*$|\s{3}|\t")


def sentences() -> Iterator[str]:
    """Sentences of prose, each once, in an order that depends on the library alone."""
    seen: set[str] = set()
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if SKIPPED_FOLDERS.isdisjoint(path.parts):
            for sentence in _sentences_of(path):
                if sentence not in seen:
                    seen.add(sentence)
                    yield sentence


def _sentences_of(path: Path) -> Iterator[str]:
    try:
        with warnings.catch_warnings():
            # Old escapes in somebody's string are not ours to report.
            warnings.simplefilter("ignore", SyntaxWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        # Some files of the library are broken on purpose, and a system may keep some from us: the others suffice.
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _sentences_in(ast.get_docstring(node) or "")


def _sentences_in(docstring: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", docstring):
        if _is_prose(paragraph):
            text = re.sub(r"\s+", " ", paragraph).strip()
            for sentence in _SENTENCE_END.split(text):
                if SHORTEST <= len(sentence) <= LONGEST and _PROSE.fullmatch(sentence):
                    yield sentence


def _is_prose(paragraph: str) -> bool:
    """Flush lines of words: an indented block is code, a table or a list of parameters."""
    lines = paragraph.strip("\n").split("\n")
    return not any(line.startswith((" ", "-", "*", "@", "#")) or _NOT_PROSE.search(line) for line in lines)
