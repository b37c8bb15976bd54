"""What can go wrong with sources and the files that they come from.

Problem
├── NotFound
│   └── SourceNotFound     404  no such source
└── Unusable
    ├── UnknownFormat      415  none of the formats that can be read
    ├── EmptyCorpus        422  nothing to learn from
    ├── BrokenEncoding     422  bytes that are no text
    ├── MalformedFile      422  text that breaks the rules of its format
    ├── LineTooLong        422  a line or a record that no post fills
    ├── CorruptArchive     422  an archive that cannot be opened or read to its end
    └── ArchiveTooLarge    413  an archive that unpacks to more than is accepted
"""

from app.errors import NotFound, Unusable


class SourceNotFound(NotFound):
    """No source of that number."""

    type = "source-not-found"
    title = "There is no such source"


class UnknownFormat(Unusable):
    """None of the formats that can be read."""

    type = "unknown-format"
    title = "The format of this file is not known"
    status = 415


class EmptyCorpus(Unusable):
    """Nothing to learn from."""

    type = "empty-corpus"
    title = "There is nothing to learn from"


class BrokenEncoding(Unusable):
    """Bytes that are no text. Extensions: `line`, `byte_offset`."""

    type = "broken-encoding"
    title = "The file is not text in UTF-8"


class MalformedFile(Unusable):
    """Text that breaks the rules of its format. Extensions: `position`; `columns` where a column is missing."""

    type = "malformed-file"
    title = "The file breaks the rules of its format"


class LineTooLong(Unusable):
    """A line or a record that no post fills. Extensions: `position`, `limit_characters`."""

    type = "line-too-long"
    title = "A line of the file is too long"


class CorruptArchive(Unusable):
    """An archive that cannot be opened or read to its end."""

    type = "corrupt-archive"
    title = "The archive cannot be read"


class ArchiveTooLarge(Unusable):
    """An archive that unpacks to more than is accepted. Extensions: `limit`."""

    type = "archive-too-large"
    title = "The archive is too large"
    status = 413
