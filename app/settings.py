"""Settings: one frozen object, read from MYNAH_* environment variables by the entry point and passed in."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What an operator can set. Every field has a default that works."""

    model_config = SettingsConfigDict(env_prefix="MYNAH_", frozen=True, env_ignore_empty=True)

    database_url: Annotated[
        SecretStr | None,
        Field(description="PostgreSQL, as postgresql://user:password@host/name. Unset: one is run in the data folder."),
    ] = None
    data_dir: Annotated[
        Path,
        Field(description="Where everything that is kept on this machine lies."),
    ] = Path("mynah-data")
    artifacts_url: Annotated[
        str | None,
        Field(description="Where models and uploads lie: a folder, file:// or s3://. Unset: in the data folder."),
    ] = None
    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on.")] = 8000
    admin_key: Annotated[
        SecretStr | None,
        Field(
            min_length=16,
            description="The first admin key. Unset: one is made and kept in the data folder, readable by its owner.",
        ),
    ] = None
    max_upload_mb: Annotated[float, Field(gt=0, description="Largest file that is taken, in megabytes.")] = 512.0
    training_minutes: Annotated[
        float,
        Field(gt=0, le=24 * 60, description="Time that a training gets when nobody says otherwise."),
    ] = 10.0
    model_cache_mb: Annotated[
        float,
        Field(gt=0, description="How much the models may take up that are loaded to speak, in megabytes a process."),
    ] = 1024.0
    lookup_seconds: Annotated[
        float,
        Field(ge=0, le=60, description="How long a look-up of a key or of a persona's promoted model is remembered."),
    ] = 1.0
    blocklist: Annotated[
        Path | None,
        Field(description="A text file of words that no persona says: one a line, # for comments."),
    ] = None
    log_format: Annotated[
        Literal["auto", "console", "json"],
        Field(description="auto: console on a terminal, JSON elsewhere."),
    ] = "auto"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Field(description="Least level shown.")] = "info"

    @property
    def store_url(self) -> str:
        """Where models and uploads lie, given or in the data folder."""
        return self.artifacts_url or (self.data_dir.absolute() / "artifacts").as_uri()
