"""Where links stand in a text, as X and Mastodon see them when they count.

Source: what twitter-text 3.1 finds in the texts of its conformance suite; Mastodon builds on the same rules. The
top-level domains are those of the Public Suffix List, not the older list that twitter-text carries. Of host names with
an underscore, twitter-text finds some without a scheme that are not found here.
"""

from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Final

import regex

_LATIN: Final = r"À-ÖØ-öø-ɏɓɔɖɗəɛɣɨɯɲʉʻ\u0300-\u036fḀ-ỿ"
_CYRILLIC: Final = r"\u0400-\u04ff"
_NO_CHARACTERS: Final = r"\ufffe\ufeff\uffff"

# A host name is made of anything but these; labels may hold - and _ inside.
_NO_LETTER: Final = (
    rf"!'#%&()*+,\\\-./:;<=>?@\[\]\^_{{|}}~$\s\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069{_NO_CHARACTERS}"
)
_LETTERS: Final = rf"[^{_NO_LETTER}]"
_LABELS: Final = regex.compile(rf"(?:{_LETTERS}(?:(?:{_LETTERS}|[-_])*{_LETTERS})?\.)+")
_LAST_LABEL: Final = regex.compile(rf"(?:{_LETTERS}|-)+")

_SCHEME: Final = regex.compile(rf"(?<![A-Za-z0-9@＠$#＃{_NO_CHARACTERS}])https?://", regex.IGNORECASE)
_LATIN_LABELS: Final = regex.compile(
    rf"(?<![A-Za-z0-9@＠$#＃\-_./{_NO_CHARACTERS}{_LATIN}])"
    rf"(?:[A-Za-z0-9{_LATIN}](?:[A-Za-z0-9{_LATIN}-]*[A-Za-z0-9{_LATIN}])?\.)+"
)

_IN_PATH: Final = rf"[A-Za-z0-9!*';:=+,.$/%#\[\]\-–_~@|&{_CYRILLIC}{_LATIN}]"
_PATH: Final = regex.compile(rf"/(?:{_IN_PATH}|\((?:{_IN_PATH}|\({_IN_PATH}+\))+\))*")
_NO_PATH_END: Final = regex.compile(rf"[^A-Za-z0-9+\-=_#/){_CYRILLIC}{_LATIN}]+$")
_QUERY: Final = regex.compile(r"\?[A-Za-z0-9!?*'@();:&=+$/%#\[\]\-_.,~|]*[A-Za-z0-9\-_&=#/]")
_PORT: Final = regex.compile(r":[0-9]+")

_SHORTENER: Final = "t.co"
_SHORT_PATH: Final = regex.compile(r"/([A-Za-z0-9]+)")
_LONGEST_SHORT_PATH: Final = 40

# Characters of the longest name of a top-level domain; twitter-text takes any name in punycode for one.
_LONGEST_DOMAIN: Final = 24
_PUNYCODE: Final = regex.compile(r"xn--[0-9a-z-]+", regex.IGNORECASE)
_GOES_ON: Final = regex.compile(r"[0-9A-Za-z@+-]")


def link_spans(text: str, *, without_scheme: bool) -> list[tuple[int, int]]:
    """Begin and end of each link, from left to right. without_scheme: whether `example.com` is one too.

    No link holds a blank, and what stands behind a blank never changes what stands before it.
    """
    if "." not in text:
        return []
    spans: list[tuple[int, int]] = []
    place = 0
    for begin, host_begin, labels_end in sorted(_candidates(text, without_scheme=without_scheme)):
        end = _link_end(text, host_begin, labels_end, with_scheme=host_begin > begin) if begin >= place else None
        if end is not None:
            spans.append((begin, end))
            place = end
    return spans


def _candidates(text: str, *, without_scheme: bool) -> Iterator[tuple[int, int, int]]:
    """Where a link may begin, where its host name does, and where its labels end: behind the last dot."""
    for scheme in _SCHEME.finditer(text):
        labels = _LABELS.match(text, scheme.end())
        if labels:
            yield scheme.start(), scheme.end(), labels.end()
    if without_scheme:
        for labels in _LATIN_LABELS.finditer(text):
            yield labels.start(), labels.start(), labels.end()


def _host_end(text: str, begin: int, labels_end: int, *, underscores: bool) -> int | None:
    """Where the longest host name that ends in a top-level domain ends. underscores: allowed in subdomains."""
    last = labels_end
    while last > begin:
        domain_end = _domain_end(text, last)
        if domain_end and _is_host(text[begin:domain_end], text[begin : last - 1], underscores=underscores):
            return domain_end
        last = text.rfind(".", begin, last - 1) + 1
    return None


def _domain_end(text: str, begin: int) -> int | None:
    """Where the longest top-level domain that begins at a place ends."""
    label = _LAST_LABEL.match(text, begin)
    if label is None:
        return None
    punycode = _PUNYCODE.match(text, begin)
    if punycode:
        return punycode.end()
    for end in range(min(label.end(), begin + _LONGEST_DOMAIN), begin, -1):
        if not _GOES_ON.match(text, end) and text[begin:end].lower() in _top_level_domains():
            return end
    return None


def _link_end(text: str, host_begin: int, labels_end: int, *, with_scheme: bool) -> int | None:
    """Where host, port, path and query end; None where they are no link."""
    host_end = _host_end(text, host_begin, labels_end, underscores=with_scheme)
    if host_end is None:
        return None
    port = _PORT.match(text, host_end)
    end = port.end() if port else host_end
    if with_scheme and text[host_begin:host_end].lower() == _SHORTENER:
        short = _SHORT_PATH.match(text, end)
        if short:
            return _query_end(text, short.end()) if len(short[1]) <= _LONGEST_SHORT_PATH else None
    path = _PATH.match(text, end)
    if path is None:
        return _query_end(text, end)
    left_out = _NO_PATH_END.search(path.group())
    return path.end() - len(left_out.group()) if left_out else _query_end(text, path.end())


def _query_end(text: str, begin: int) -> int:
    query = _QUERY.match(text, begin)
    return query.end() if query else begin


def _is_host(host: str, below: str, *, underscores: bool) -> bool:
    """Whether the domain name system could hold it: no label of more than 63 bytes. below: without the last label."""
    if "_" in (below.rpartition(".")[2] if underscores else host):
        return False
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


@cache
def _top_level_domains() -> frozenset[str]:
    rules = resources.files("publicsuffixlist").joinpath("public_suffix_list.dat").read_text(encoding="utf-8")
    official = rules.partition("===END ICANN DOMAINS===")[0].splitlines()
    return frozenset(rule.rpartition(".")[2].strip() for rule in official if rule and not rule.startswith("//"))
