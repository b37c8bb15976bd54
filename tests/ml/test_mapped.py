"""Mapped arrays are those that safetensors' own reader gives; a file that lies is refused, never followed."""

import json
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ml import mapped

Header: TypeAlias = dict[str, Any]
Arrays: TypeAlias = dict[str, NDArray[Any]]

DTYPES = ["?", "i1", "u1", "<i2", "<u2", "<f2", "<i4", "<u4", "<f4", "<i8", "<u8", "<f8"]
ARRAYS: Arrays = {
    "odd": np.arange(3, dtype=np.uint8),
    "words": np.arange(5, dtype=np.uint16),
    "starts": np.arange(7, dtype=np.int32).reshape(7, 1),
    "weights": np.arange(6, dtype=np.float32).reshape(2, 3),
    "sums": np.arange(2, dtype=np.float64),
    "nothing": np.zeros((0, 4), dtype=np.float32),
}


def written(path: Path, content: bytes) -> Path:
    """A file of its own each time: one that is mapped must not be written into."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return path


def parted(content: bytes) -> tuple[Header, bytes]:
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def joined(header: object, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def is_mapped(array: NDArray[Any]) -> bool:
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap.mmap)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrays=st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=6).filter(lambda name: name != "__metadata__"),
        st.sampled_from(DTYPES).flatmap(
            lambda dtype: numpy_st.arrays(dtype, numpy_st.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
        ),
        max_size=5,
    ),
    metadata=st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4), st.text(st.characters(codec="utf-8"))),
)
def test_mapped_arrays_are_those_of_the_usual_reader(arrays: Arrays, metadata: dict[str, str], tmp_path: Path) -> None:
    content = save(arrays, metadata=metadata or None)
    told, found = mapped.read(written(tmp_path / "file", content))
    assert told == metadata
    expected = load(content)
    assert found.keys() == expected.keys() == arrays.keys()
    for name, array in found.items():
        assert (array.dtype, array.shape) == (expected[name].dtype, expected[name].shape)
        assert array.tobytes() == expected[name].tobytes() == arrays[name].tobytes()
        assert array.flags.aligned
        assert not array.flags.writeable
        assert is_mapped(array) == (array.size > 0)


def test_what_lies_unaligned_is_copied(tmp_path: Path) -> None:
    header, data = parted(save(ARRAYS))
    for spaces in range(8):
        text = json.dumps(header).encode()
        content = joined(text + b" " * (-len(text) % 8 + spaces), data)
        _, found = mapped.read(written(tmp_path / "file", content))
        for name, array in found.items():
            assert array.flags.aligned
            assert not array.flags.writeable
            np.testing.assert_array_equal(array, ARRAYS[name], strict=True)
        assert is_mapped(found["odd"])
        assert is_mapped(found["sums"]) == (spaces == 0)
        assert is_mapped(found["weights"]) == (spaces in {0, 4})


def test_a_file_that_is_mapped_can_be_replaced_by_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "file"
    mapped.write(ARRAYS, path, metadata={"format": "1"})
    _, before = mapped.read(path)
    mapped.write({name: array for name, array in before.items() if name != "odd"}, path, metadata={"format": "2"})
    metadata, after = mapped.read(path)
    assert (metadata, set(after)) == ({"format": "2"}, ARRAYS.keys() - {"odd"})
    for name, array in before.items():
        np.testing.assert_array_equal(array, ARRAYS[name], strict=True)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def entry(name: str, **changes: object) -> Callable[[Header, bytes], bytes]:
    return lambda header, data: joined({**header, name: {**header[name], **changes}}, data)


def first_begins_at(place: int) -> Callable[[Header, bytes], bytes]:
    """`sums` stands first; 16 bytes of float64."""
    return entry("sums", data_offsets=[place, 16])


LIES: dict[str, Callable[[Header, bytes], bytes]] = {
    "nothing": lambda _header, _data: b"",
    "less than a length": lambda _header, _data: b"\x02\0\0",
    "a length and no header": lambda _header, _data: b"\x02\0\0\0\0\0\0\0",
    "a header longer than the file": lambda header, data: (10**6).to_bytes(8, "little") + joined(header, data)[8:],
    "a header longer than any": lambda _header, _data: b"\xff" * 64,
    "no JSON": lambda _header, data: joined(b"{not JSON", data),
    "no UTF-8": lambda _header, data: joined(b'{"\xff\xfe": 1}', data),
    "JSON without end": lambda _header, data: joined(b'{"a":' * 100_000, data),
    "a list": lambda header, data: joined([header], data),
    "a list with no end": lambda _header, data: joined(b"[" * 100_000, data),
    "a space before the header": lambda header, data: joined(b" " + json.dumps(header).encode(), data),
    "an array described twice": lambda header, data: joined(
        json.dumps(header).encode()[:-1] + b', "odd": ' + json.dumps(header["odd"]).encode() + b"}", data
    ),
    "metadata that are no strings": lambda header, data: joined({**header, "__metadata__": {"format": 2}}, data),
    "metadata that are a list": lambda header, data: joined({**header, "__metadata__": ["format"]}, data),
    "an array that is a number": lambda header, data: joined({**header, "odd": 3}, data),
    "an array without a shape": lambda header, data: joined({**header, "odd": {"dtype": "U8"}}, data),
    "a type that does not exist": entry("words", dtype="U17"),
    "a type that is a list": entry("words", dtype=["U16"]),
    "a wider type": entry("words", dtype="U32"),
    "a shape below 0": entry("words", shape=[-5]),
    "a shape of two negatives": entry("words", shape=[-5, -1]),
    "a shape of fractions": entry("words", shape=[5.0]),
    "a shape of truths": entry("odd", shape=[3, True]),
    "a shape that is a word": entry("words", shape="5"),
    "a shape too large": entry("words", shape=[6]),
    "a shape absurdly large": entry("words", shape=[2**62, 2**62]),
    "a shape that wraps around": entry("words", shape=[2**63 + 5]),
    "no numbers in absurdly many columns": entry("nothing", shape=[0, 10**30]),
    "no numbers in too many columns": entry("nothing", shape=[0, 2**62, 2**62]),
    "more dimensions than numpy has": entry("words", shape=[5] + [1] * 100),
    "offsets below 0": first_begins_at(-16),
    "offsets that leave a hole": first_begins_at(8),
    "offsets backwards": entry("sums", data_offsets=[16, 0]),
    "offsets beyond the file": entry("sums", data_offsets=[10**9, 10**9 + 16]),
    "offsets beyond all": entry("sums", data_offsets=[10**400, 10**400 + 16]),
    "three offsets": entry("sums", data_offsets=[0, 8, 16]),
    "offsets that are fractions": entry("sums", data_offsets=[0.0, 16.0]),
    "two arrays in one place": lambda header, data: joined({**header, "starts": header["weights"]}, data),
    "data cut short": lambda header, data: joined(header, data[:-1]),
    "no data": lambda header, _data: joined(header, b""),
    "data left over": lambda header, data: joined(header, data + b"\0"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_lies_is_refused(lie: str, tmp_path: Path) -> None:
    content = LIES[lie](*parted(save(ARRAYS, metadata={"format": "1"})))
    with pytest.raises(ValueError, match=r"."):
        mapped.read(written(tmp_path / "file", content))


def test_the_lies_are_told_of_a_file_that_is_read_when_true(tmp_path: Path) -> None:
    header, data = parted(save(ARRAYS, metadata={"format": "1"}))
    assert header["sums"]["data_offsets"] == [0, 16]
    metadata, found = mapped.read(written(tmp_path / "file", joined(header, data)))
    assert (metadata, found.keys()) == ({"format": "1"}, ARRAYS.keys())


def test_a_file_without_arrays_is_read(tmp_path: Path) -> None:
    assert mapped.read(written(tmp_path / "file", joined({}, b""))) == ({}, {})


@pytest.mark.parametrize("name", [".", "missing"])
def test_what_is_no_file_is_an_error_of_the_system(name: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=name):
        mapped.read(tmp_path / name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
@given(data=st.data())
def test_what_the_usual_reader_refuses_is_refused(data: st.DataObject, tmp_path: Path) -> None:
    """Bytes of a good file changed at random: either both readers give the same, or ours gives an error."""
    content = bytearray(save(ARRAYS, metadata={"format": "1"}))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(
            st.sampled_from(b'019-"[]{},: \xff\0') | st.integers(0, 255)
        )
    content = content[: data.draw(st.just(len(content)) | st.integers(0, len(content)))]
    try:
        _, found = mapped.read(written(tmp_path / "file", bytes(content)))
    except ValueError:
        return
    try:
        expected = load(bytes(content))
    except SafetensorError as error:
        raise AssertionError("read what safetensors refuses") from error
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert array.tobytes() == expected[name].tobytes()


def test_pages_that_were_let_go_come_back(tmp_path: Path) -> None:
    """Memory in use falls when they go, and what is read afterwards is what it was."""
    path = tmp_path / "file"
    mapped.write({"numbers": np.arange(4_000_000, dtype=np.int64)}, path, metadata={})
    _, arrays = mapped.read(path)
    numbers = arrays["numbers"]
    total = int(numbers.sum())
    before = psutil.Process().memory_info().rss
    mapped.let_go(arrays.values())
    if hasattr(mmap, "MADV_DONTNEED"):
        assert psutil.Process().memory_info().rss < before - numbers.nbytes // 2
    assert int(numbers.sum()) == total
    mapped.let_go([np.zeros(3)])
