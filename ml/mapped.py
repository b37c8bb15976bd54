"""Arrays of a safetensors file as read-only views of a memory map: loaded at once, and shared by all who map the file.

Files are only ever replaced whole (`write`), so that whoever has the old one mapped keeps it. One that is cut short in
place while it is mapped ends the process that reads on (SIGBUS); against that nothing here helps.

Source: the safetensors format, https://github.com/huggingface/safetensors#format
"""

import json
import math
import mmap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

_PREFIX: Final = 8  # bytes of the header's length
_LONGEST_HEADER: Final = 100_000_000  # what safetensors' own reader takes
_METADATA: Final = "__metadata__"
_DTYPES: Final = {
    "BOOL": np.dtype("?"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "I16": np.dtype("<i2"),
    "U16": np.dtype("<u2"),
    "F16": np.dtype("<f2"),
    "I32": np.dtype("<i4"),
    "U32": np.dtype("<u4"),
    "F32": np.dtype("<f4"),
    "I64": np.dtype("<i8"),
    "U64": np.dtype("<u8"),
    "F64": np.dtype("<f8"),
}


@dataclass(frozen=True, slots=True)
class _Described:
    """What a header says of an array. begin, end: bytes, counted from the end of the header."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


def read(path: Path) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """Metadata and arrays of a file. The arrays can't be written to; one that lies unaligned in the file is a copy.

    Raises OSError where there is no such file, ValueError where it is no whole safetensors file of types numpy has.
    """
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # ValueError for an empty file
    try:
        start, header = _header(content)
        metadata = _metadata(header.pop(_METADATA, {}))
        described = [_described(name, entry) for name, entry in header.items()]
        _check_bounds(described, size=len(content) - start)
        return metadata, {one.name: _view(content, one, start=start) for one in described}
    except (OverflowError, RecursionError, TypeError) as error:
        raise ValueError(f"its header makes no sense: {error}") from error


def let_go(arrays: Iterable[NDArray[Any]]) -> None:
    """Give back the memory of mapped arrays that were read for once, as a check does; what is needed comes back."""
    for content in {id(array.base): array.base for array in arrays}.values():
        if isinstance(content, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            content.madvise(mmap.MADV_DONTNEED)


def write(arrays: Mapping[str, NDArray[Any]], path: Path, *, metadata: dict[str, str]) -> None:
    """Write a safetensors file, replacing one that others, or these very arrays, may have mapped."""
    arriving = path.with_name(f".{path.name}.arriving")
    save_file(dict(arrays), arriving, metadata=metadata)
    arriving.replace(path)


def _header(content: mmap.mmap) -> tuple[int, dict[str, Any]]:
    """Where the data starts, and what stands before it."""
    length = int.from_bytes(content[:_PREFIX], "little")
    start = _PREFIX + length
    if start > len(content) or length > _LONGEST_HEADER:
        raise ValueError(f"its header would be {length} bytes long, and the file has {len(content)}")
    text = content[_PREFIX:start].decode()
    if not text.startswith("{"):
        raise ValueError("its header is no JSON object")
    header: dict[str, Any] = json.loads(text, object_pairs_hook=_once_each)
    return start, header


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("its header says something twice")
    return found


def _metadata(entry: object) -> dict[str, str]:
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise ValueError("its metadata are no strings by name")
    return entry


def _described(name: str, entry: object) -> _Described:
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [begin, end]} if dtype in _DTYPES and all(
            type(size) is int and size >= 0 for size in (*shape, begin, end)
        ):
            return _Described(name, _DTYPES[dtype], tuple(shape), begin=begin, end=end)
    raise ValueError(f"{name!r} is not described as an array of numbers that numpy has")


def _check_bounds(described: list[_Described], *, size: int) -> None:
    """Raises ValueError unless the arrays fill the file, one after the other. size: bytes after the header."""
    end = 0
    for one in sorted(described, key=lambda one: (one.begin, one.end)):
        if one.begin != end or one.end - one.begin != one.dtype.itemsize * math.prod(one.shape):
            raise ValueError(f"{one.name!r} does not lie where it has to, or is not as long as its shape")
        end = one.end
    if end != size:
        raise ValueError(f"its arrays are {end} bytes long, and it has {size}")


def _view(content: mmap.mmap, one: _Described, *, start: int) -> NDArray[Any]:
    if one.begin == one.end:
        view: NDArray[Any] = np.empty(one.shape, dtype=one.dtype)
    else:
        view = np.ndarray(one.shape, dtype=one.dtype, buffer=content, offset=start + one.begin)
    if not view.flags.aligned:
        view = view.copy()
    view.flags.writeable = False
    return view
