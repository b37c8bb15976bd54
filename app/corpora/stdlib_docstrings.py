"""The demo's corpus: sentences of the standard library's own docstrings, read when they are wanted."""

import ast
import re
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SHORTEST_CHARACTERS: Final = 20
LONGEST_CHARACTERS: Final = 280

# Not the library itself, or not prose about it.
_SKIPPED_FOLDERS: Final = frozenset(
    {
        "__pycache__",
        "dist-packages",
        "encodings",
        "idlelib",
        "lib2to3",
        "pydoc_data",
        "site-packages",
        "test",
        "tests",
        "turtledemo",
    }
)

# What lists, headings, markup, examples and descriptions of parameters begin with.
_NO_PROSE_LINE: Final = re.compile(r"\s|[-*+@#|=~:>.]|[0-9]+[.)]\s|\w+\s*(?:--?|:|=|->)\s|\w+\(.*\)\s*(?:->|:|$)")
# What code and tables hold, and prose does not.
_NO_PROSE: Final = re.compile(r">>>|::|->|==|:\w+:`|\.\. |[{}<>|\\=~^%$\t]|__|   |\\n|[^\W\d_]\(self")

_SENTENCE_END: Final = re.compile(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!cf\.)(?<!vs\.)(?<!etc\.)\s+(?=[A-Z\"'`(])")
_SENTENCE: Final = re.compile(r"[A-Z][\w'\"`]*,?(?: [^\s]+){2,}[a-z0-9)'\"`]\.")
_PAIRS: Final = (("(", ")"), ("[", "]"), ("“", "”"))


def sentences() -> Iterator[str]:
    """Sentences of prose, each once, in an order that depends on the library alone.

    None where Python came without its sources. Nothing of what is read is imported or run.
    """
    library = Path(sysconfig.get_path("stdlib"))
    seen: set[str] = set()
    for path in sorted(library.rglob("*.py")):
        if _SKIPPED_FOLDERS.isdisjoint(path.relative_to(library).parts):
            for docstring in _docstrings(path):
                for sentence in sentences_in(docstring):
                    if sentence not in seen:
                        seen.add(sentence)
                        yield sentence


def sentences_in(docstring: str) -> Iterator[str]:
    """The whole sentences of its paragraphs of prose, each in one line."""
    for paragraph in re.split(r"\n\s*\n", docstring.strip()):
        if not _is_prose(paragraph):
            continue
        for sentence in _SENTENCE_END.split(" ".join(paragraph.split())):
            if _is_whole(sentence):
                yield sentence


def _docstrings(path: Path) -> list[str]:
    try:
        with warnings.catch_warnings():
            # Old escapes in somebody's string are not ours to report.
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        # Some files of the library are broken on purpose, and a system may keep some from us: the others suffice.
        return []
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, documented)]


def _is_prose(paragraph: str) -> bool:
    """Flush lines of words: an indented block is code, a table or a list of parameters."""
    return not any(_NO_PROSE_LINE.match(line) for line in paragraph.split("\n")) and not _NO_PROSE.search(paragraph)


def _is_whole(sentence: str) -> bool:
    return (
        SHORTEST_CHARACTERS <= len(sentence) <= LONGEST_CHARACTERS
        and sentence.isascii()
        and _SENTENCE.fullmatch(sentence) is not None
        and sentence.count('"') % 2 == 0
        and sentence.count("`") % 2 == 0
        and all(sentence.count(opening) == sentence.count(closing) for opening, closing in _PAIRS)
    )
