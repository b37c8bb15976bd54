"""ServedModels: loaded model versions, least recently used out. A new promotion is another version: found at once."""

import asyncio
import os
import shutil
from collections import OrderedDict, defaultdict
from pathlib import Path

from app.sampling.errors import ModelUnavailable
from app.storage import Store
from app.training.models import ModelVersion
from ml import artifact
from ml.errors import ArtifactError

MOST_LOADED = 8


class ServedModels:
    """One a process. Artifacts are fetched from the store into `directory` and loaded from there."""

    def __init__(self, store: Store, directory: Path) -> None:
        self._store = store
        self._directory = directory
        self._loaded: OrderedDict[int, artifact.Artifact] = OrderedDict()
        self._loading: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        # Sampling computes: more threads than cores would only take turns. The others wait here.
        self.seats = asyncio.Semaphore(os.cpu_count() or 1)

    async def get(self, version: ModelVersion) -> artifact.Artifact:
        """Model and tokenizer of a version. Raises ModelUnavailable."""
        # The lock: of two requests for the same version one loads it and the other waits.
        async with self._loading[version.id]:
            if version.id not in self._loaded:
                self._loaded[version.id] = await asyncio.to_thread(self._load, version)
                self._evict()
            self._loaded.move_to_end(version.id)
            return self._loaded[version.id]

    def _load(self, version: ModelVersion) -> artifact.Artifact:
        folder = self._directory / version.artifact_key.replace("/", "-")
        try:
            self._store.get_folder(version.artifact_key, folder)
            try:
                return artifact.load(folder)
            except ArtifactError:
                # Our copy may be what is damaged: fetch it once more before giving up.
                shutil.rmtree(folder, ignore_errors=True)
                self._store.get_folder(version.artifact_key, folder)
                return artifact.load(folder)
        except (ArtifactError, FileNotFoundError) as error:
            raise ModelUnavailable(
                f"Model {version.number} is missing from the store or damaged ({error}). Train this persona again."
            ) from error

    def _evict(self) -> None:
        while len(self._loaded) > MOST_LOADED:
            evicted, _ = self._loaded.popitem(last=False)
            self._loading.pop(evicted, None)
