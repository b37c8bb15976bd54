"""ServedModels: loaded model versions, least recently used out. A new promotion is another version: found at once."""

import asyncio
import shutil
from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path

from app.sampling.errors import ModelUnavailable, StoreUnavailable
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
        self._loading: dict[int, asyncio.Task[Served]] = {}

    @property
    def loaded_bytes(self) -> int:
        """What all loaded versions take up, about."""
        return sum(served.size_bytes for served in self._loaded.values())

    def __len__(self) -> int:
        return len(self._loaded)

    async def get(self, version: ModelVersion) -> Served:
        """A version, ready to speak. Raises ModelUnavailable, StoreUnavailable."""
        served = self._loaded.get(version.id)
        if served is None:
            # Shielded: of those that wait for the same version some may go away, and it is loaded all the same.
            return await asyncio.shield(self._arriving(version))
        self._loaded.move_to_end(version.id)
        return served

    def _arriving(self, version: ModelVersion) -> asyncio.Task[Served]:
        """The one load of a version for all who wait for it."""
        task = self._loading.get(version.id)
        if task is None:
            task = self._loading[version.id] = asyncio.create_task(self._bring(version))
            task.add_done_callback(lambda done: self._forget_load(version.id, done))
        return task

    def _forget_load(self, version_id: int, done: asyncio.Task[Served]) -> None:
        self._loading.pop(version_id, None)
        if not done.cancelled():
            _ = done.exception()  # looked at: those who waited have heard it, and may all have gone

    async def _bring(self, version: ModelVersion) -> Served:
        # Before a model comes in, the others give back what they can do without.
        for other in self._loaded.values():
            other.voice.speaker.rest()
        served = await asyncio.to_thread(self._load, version)
        await asyncio.to_thread(give_memory_back)
        self._loaded[version.id] = served
        self._evict()
        return served

    def tidy(self, kept: Collection[ModelVersion]) -> None:
        """Remove the copies of all other versions: of personas that are gone, and of models that no longer speak.

        What is mapped from them stays readable to whoever has it.
        """
        names = {self._folder(version).name for version in kept}
        for folder in self._directory.glob("[!.]*"):
            if folder.name not in names:
                shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, version: ModelVersion) -> Path:
        return self._directory / version.artifact_key.replace("/", "-")

    def _load(self, version: ModelVersion) -> Served:
        folder = self._folder(version)
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
        except Exception as error:  # each kind of store has errors of its own
            raise StoreUnavailable(
                f"Model {version.number} could not be fetched ({type(error).__name__}). Look at MYNAH_ARTIFACTS_URL "
                "and at the space that is left, and try again."
            ) from error

    def _evict(self) -> None:
        """Forget versions; rows that still speak with one keep it until they are done."""
        while len(self._loaded) > 1 and self.loaded_bytes > self._max_bytes:
            self._loaded.popitem(last=False)
