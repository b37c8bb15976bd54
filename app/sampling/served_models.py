"""ServedModels: loaded model versions, least recently used out. A new promotion is another version: found at once."""

import asyncio
import shutil
from collections import OrderedDict, defaultdict
from pathlib import Path

from app.sampling.errors import ModelUnavailable
from app.storage import Store
from app.training.models import ModelVersion
from ml.errors import ArtifactError
from ml.process import give_memory_back
from ml.serving.loading import Served, load


class ServedModels:
    """One a process. Artifacts are fetched from the store into `directory` and mapped from there.

    What is loaded stays below `max_bytes`, except that the version asked for last is always kept.
    """

    def __init__(self, store: Store, directory: Path, *, max_bytes: int) -> None:
        self._store = store
        self._directory = directory
        self._max_bytes = max_bytes
        self._loaded: OrderedDict[int, Served] = OrderedDict()
        self._loading: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def loaded_bytes(self) -> int:
        """What all loaded versions take up, about."""
        return sum(served.size_bytes for served in self._loaded.values())

    def __len__(self) -> int:
        return len(self._loaded)

    async def get(self, version: ModelVersion) -> Served:
        """A version, ready to speak. Raises ModelUnavailable."""
        if version.id not in self._loaded:
            # The lock: of two requests for the same version one loads it and the other waits.
            async with self._loading[version.id]:
                if version.id not in self._loaded:
                    # Before a model comes in, the others give back what they can do without.
                    for served in self._loaded.values():
                        served.voice.speaker.rest()
                    self._loaded[version.id] = await asyncio.to_thread(self._load, version)
                    await asyncio.to_thread(give_memory_back)
        # Nothing is awaited from here on, so that no other request evicts it meanwhile.
        self._loading.pop(version.id, None)
        self._loaded.move_to_end(version.id)
        self._evict()
        return self._loaded[version.id]

    def _load(self, version: ModelVersion) -> Served:
        folder = self._directory / version.artifact_key.replace("/", "-")
        try:
            self._store.get_folder(version.artifact_key, folder)
            try:
                return load(folder)
            except ArtifactError:
                # Our copy may be what is damaged: fetch it once more before giving up.
                shutil.rmtree(folder, ignore_errors=True)
                self._store.get_folder(version.artifact_key, folder)
                return load(folder)
        except (ArtifactError, FileNotFoundError) as error:
            raise ModelUnavailable(
                f"Model {version.number} is missing from the store or damaged ({error}). Train this persona again."
            ) from error

    def _evict(self) -> None:
        """Forget versions; rows that still speak with one keep it until they are done."""
        while len(self._loaded) > 1 and self.loaded_bytes > self._max_bytes:
            self._loaded.popitem(last=False)
