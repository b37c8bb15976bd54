"""Folders go into the store and come back, with the folders in them; what is not there is said to be missing."""

from pathlib import Path

import pytest

from app.storage import Store


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(f"memory://{tmp_path}/kept" if request.param == "memory" else f"file://{tmp_path}/kept")


def test_a_folder_comes_back_with_the_folders_in_it(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "inner" / "deep").mkdir(parents=True)
    (source / "config.json").write_text("{}")
    (source / "inner" / "deep" / "weights").write_bytes(b"\x00\x01")
    store.put_folder(source, "models/1/2-1")
    store.get_folder("models/1/2-1", tmp_path / "back" / "2-1")
    found = {
        path.relative_to(tmp_path / "back").as_posix(): path.read_bytes()
        for path in (tmp_path / "back").rglob("*")
        if path.is_file()
    }
    assert found == {"2-1/config.json": b"{}", "2-1/inner/deep/weights": b"\x00\x01"}


def test_what_was_put_before_is_replaced_and_what_is_removed_is_missing(store: Store, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
        store.put_folder(tmp_path / name, "models/1")
    store.get_folder("models/1", tmp_path / "back")
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["second"]
    store.remove("models/1")
    with pytest.raises(FileNotFoundError):
        store.get_folder("models/1", tmp_path / "again")
    assert not (tmp_path / "again").exists()
