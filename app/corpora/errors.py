"""What can go wrong with a source. Each detail says what was found where, and what to do."""

from app.errors import NotFound, Unusable


class SourceNotFound(NotFound):
    """No source of that number."""

    type = "source-not-found"
    title = "There is no such source"


class UnknownFormat(Unusable):
    """A file of which no importer can make posts."""

    type = "unknown-format"
    title = "This file is in no format that is known here"
    status = 415


class EmptyCorpus(Unusable):
    """A file without a single post to learn from."""

    type = "empty-corpus"
    title = "There are no posts in this file"


class BrokenEncoding(Unusable):
    """Bytes that are not UTF-8."""

    type = "broken-encoding"
    title = "This file is not UTF-8"


class MalformedFile(Unusable):
    """A file that breaks the rules of its format."""

    type = "malformed-file"
    title = "This file breaks the rules of its format"


class LineTooLong(Unusable):
    """A line, or a record, beyond any post's length."""

    type = "line-too-long"
    title = "A line is too long to be a post"


class CorruptArchive(Unusable):
    """A zip that cannot be read to its end."""

    type = "corrupt-archive"
    title = "This archive is damaged"


class ArchiveTooLarge(Unusable):
    """A zip that would unpack to more than any archive of posts holds."""

    type = "archive-too-large"
    title = "This archive unpacks to too much"
