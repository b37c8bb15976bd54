"""Store: folders and files by key, on this machine or in a bucket, through fsspec."""

import shutil
import tempfile
from pathlib import Path

import fsspec


class Store:
    """Keeps uploads and model versions where every process of the service reaches them.

    A key is a relative path with forward slashes. The calls block: run them in a thread from async code.
    """

    def __init__(self, url: str) -> None:
        self._files, root = fsspec.core.url_to_fs(url)
        self._root = root.rstrip("/")

    def put_file(self, source: Path, key: str) -> None:
        """Store one file; it is there whole or not at all."""
        self._files.makedirs(self._path(key).rsplit("/", 1)[0], exist_ok=True)
        arriving = f"{self._path(key)}.arriving"
        self._files.put_file(str(source), arriving)
        self._files.mv(arriving, self._path(key))

    def get_file(self, key: str, target: Path) -> None:
        """Copy one file here. Raises FileNotFoundError."""
        self._files.get_file(self._path(key), str(target))

    def put_folder(self, source: Path, key: str) -> None:
        """Store a folder and those in it under a key, replacing what an interrupted attempt left there."""
        self.remove(key)
        for file in sorted(source.rglob("*")):
            if file.is_file():
                self.put_file(file, f"{key}/{file.relative_to(source).as_posix()}")

    def get_folder(self, key: str, target: Path) -> None:
        """Copy a folder here, whole or not at all; nothing to do where it already is. Raises FileNotFoundError."""
        if target.is_dir():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        arriving = Path(tempfile.mkdtemp(dir=target.parent, prefix=".arriving-"))
        try:
            root = self._path(key)
            if not (paths := self._files.find(root)):
                raise FileNotFoundError(root)
            for path in paths:
                file = arriving / path.split(f"{root}/", 1)[1]
                file.parent.mkdir(parents=True, exist_ok=True)
                self._files.get_file(path, str(file))
            try:
                arriving.rename(target)
            except OSError:
                # Somebody else's copy arrived first: it is the same.
                if not target.is_dir():
                    raise
        finally:
            shutil.rmtree(arriving, ignore_errors=True)

    def remove(self, key: str) -> None:
        """Remove what lies under a key, if anything."""
        if self._files.exists(self._path(key)):
            self._files.rm(self._path(key), recursive=True)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"
