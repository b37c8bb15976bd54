"""A zip file from a stranger → the bytes of its members, in memory and time that its sender does not decide.

Nothing is written to disk, so the names of members are never paths.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from app.corpora.errors import ArchiveTooLarge, CorruptArchive
from app.corpora.importers.decoded_text import CHUNK_BYTES

SIGNATURES: Final = (b"PK\x03\x04", b"PK\x05\x06")

MEMBERS_LIMIT: Final = 10_000
DIRECTORY_LIMIT_BYTES: Final = 2 * 2**20
UNPACKED_LIMIT_BYTES: Final = 2**30
# Archives of tweets unpack to 10 to 20 times their size, zeros to 1,000 times; small ones may do as they like.
RATIO_LIMIT: Final = 100
RATIO_FREE_BYTES: Final = 16 * 2**20

_FLAG_ENCRYPTED: Final = 0x1

# The record at the end: signature, four numbers that do not matter here, size and offset of the directory, comment.
_END_SIGNATURE: Final = b"PK\x05\x06"
_END_RECORD: Final = struct.Struct("<4s4H2LH")
_COMMENT_LIMIT_BYTES: Final = 2**16
_ZIP64_LOCATOR_SIGNATURE: Final = b"PK\x06\x07"
_ZIP64_LOCATOR_BYTES: Final = 20

# What zipfile and zlib let out for bytes that are no zip.
_BROKEN: Final = (BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OverflowError, struct.error, OSError)


class ZipMembers:
    """An open archive, and how much of it has been unpacked."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        self._unpacked_bytes = 0
        # Where a name comes twice, the later entry replaces the earlier one.
        self.by_name: dict[str, ZipInfo] = {member.filename: member for member in archive.infolist()}

    def chunks(self, member: ZipInfo) -> Iterator[bytes]:
        """The unpacked bytes in pieces. Raises CorruptArchive, ArchiveTooLarge."""
        _check_readable(member)
        with _told_as_corrupt("a member"), self._archive.open(member) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                self._unpacked_bytes += len(chunk)
                if self._unpacked_bytes > UNPACKED_LIMIT_BYTES:
                    raise _too_large(f"it unpacks to more than {UNPACKED_LIMIT_BYTES} bytes", UNPACKED_LIMIT_BYTES)
                yield chunk


@contextmanager
def open_zip(path: Path) -> Iterator[ZipMembers]:
    """The archive, when what it declares is within bounds. Raises CorruptArchive, ArchiveTooLarge."""
    with path.open("rb") as stream:
        with _told_as_corrupt("its directory"):
            _check_directory(stream)
            archive = ZipFile(stream)
        with archive:
            _check_declared(archive.infolist(), packed_bytes=path.stat().st_size)
            yield ZipMembers(archive)


def _check_directory(stream: BinaryIO) -> None:
    """Refuse a directory that zipfile would read into memory however long it is."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _COMMENT_LIMIT_BYTES - _END_RECORD.size - _ZIP64_LOCATOR_BYTES))
    tail = stream.read()
    stream.seek(0)
    end = tail.rfind(_END_SIGNATURE)
    if end < 0 or len(tail) - end < _END_RECORD.size:
        raise _corrupt("its end is missing, so it was cut short")
    directory_bytes = _END_RECORD.unpack_from(tail, end)[5]
    # The larger kind of zip may declare its directory a second time; no export of tweets needs that kind.
    locator = tail[max(0, end - _ZIP64_LOCATOR_BYTES) : end]
    if directory_bytes > DIRECTORY_LIMIT_BYTES or locator.startswith(_ZIP64_LOCATOR_SIGNATURE):
        raise _too_large(f"its directory has more than {DIRECTORY_LIMIT_BYTES} bytes", DIRECTORY_LIMIT_BYTES)


def _check_declared(members: list[ZipInfo], *, packed_bytes: int) -> None:
    if len(members) > MEMBERS_LIMIT:
        raise _too_large(f"it has more than {MEMBERS_LIMIT} members", MEMBERS_LIMIT)
    unpacked_bytes = sum(member.file_size for member in members)
    if unpacked_bytes > UNPACKED_LIMIT_BYTES:
        raise _too_large(f"it unpacks to {unpacked_bytes} bytes", UNPACKED_LIMIT_BYTES)
    if unpacked_bytes > max(RATIO_FREE_BYTES, RATIO_LIMIT * packed_bytes):
        raise _too_large(f"it unpacks to more than {RATIO_LIMIT} times its size", RATIO_LIMIT)


def _check_readable(member: ZipInfo) -> None:
    if member.flag_bits & _FLAG_ENCRYPTED:
        raise _corrupt("it is encrypted; unpack it with its password and pack it again without one")
    # Others (LZMA) let the sender choose how much memory unpacking takes.
    if member.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
        raise _corrupt("it is compressed in a way that is not supported; pack it again with an ordinary zip program")


@contextmanager
def _told_as_corrupt(part: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise _corrupt(f"{part} is damaged ({error})") from error


def _corrupt(reason: str) -> CorruptArchive:
    return CorruptArchive(f"The archive cannot be read: {reason}. If it was downloaded, download it again.")


def _too_large(what: str, limit: int) -> ArchiveTooLarge:
    return ArchiveTooLarge(
        f"The archive is refused: {what}, where at most {limit} is accepted. "
        "Unpack it and upload the files of posts themselves.",
        limit=limit,
    )
