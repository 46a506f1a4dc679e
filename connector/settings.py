"""The environment, read by the doors only: `QDRANT_URL`, `QDRANT_API_KEY`, and `CONNECTOR_…` for the rest.

The library itself takes arguments; an option on the command line beats the variable, the variable beats the default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from connector.errors import DataError

DEFAULT_FOLDER = "connector.qdrant"


class Settings(BaseSettings):
    """What the environment says.

    Attributes:
        qdrant: `QDRANT_URL` (or `CONNECTOR_QDRANT`): a folder, ":memory:" or a server's URL.
        api_key: `QDRANT_API_KEY`.
        collection, model, handler: `CONNECTOR_COLLECTION`, `CONNECTOR_MODEL`, `CONNECTOR_HANDLER`.
        grpc: `CONNECTOR_GRPC=true` sends bulk writes over gRPC.
        roots: `CONNECTOR_ROOTS='["/data/pictures"]'`: more folders that rows may name pictures in.
        allow_private_addresses: `CONNECTOR_ALLOW_PRIVATE_ADDRESSES=true` lets rows name hosts of your own network.
        object_prefixes: `CONNECTOR_OBJECT_PREFIXES='["s3://shop-pictures/"]'`.
        max_bytes, max_pixels: `CONNECTOR_MAX_BYTES`, `CONNECTOR_MAX_PIXELS`, for one picture.
        read_keys, write_keys: `CONNECTOR_READ_KEYS='["…"]'`, `CONNECTOR_WRITE_KEYS='["…"]'`: who may ask a server.
        cors_origins: `CONNECTOR_CORS_ORIGINS='["https://shop.example"]'`: web pages that may call a server.
        server_models: `CONNECTOR_SERVER_MODELS='["demo"]'`: the models that a server's jobs API offers; all by default.
        remote_key: `CONNECTOR_REMOTE_KEY`: what another server asks for, of `search --url` and of remote models.
    """

    model_config = SettingsConfigDict(env_prefix="CONNECTOR_", extra="ignore", populate_by_name=True)

    qdrant: str = Field(
        default=DEFAULT_FOLDER, validation_alias=AliasChoices("QDRANT_URL", "CONNECTOR_QDRANT")
    )
    api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("QDRANT_API_KEY", "CONNECTOR_API_KEY")
    )
    collection: str | None = None
    model: str | None = None
    handler: str | None = None
    grpc: bool = False
    roots: tuple[Path, ...] = ()
    allow_private_addresses: bool = False
    object_prefixes: tuple[str, ...] = ()
    max_bytes: int | None = Field(default=None, gt=0)
    max_pixels: int | None = Field(default=None, gt=0)
    read_keys: tuple[SecretStr, ...] = ()
    write_keys: tuple[SecretStr, ...] = ()
    cors_origins: tuple[str, ...] = ()
    server_models: tuple[str, ...] = ()
    remote_key: SecretStr | None = None

    @property
    def blob_limits(self) -> dict[str, Any]:
        """What the environment says of one picture's size, as arguments of a `BlobPolicy`."""
        limits = {"max_bytes": self.max_bytes, "max_pixels": self.max_pixels}
        return {name: limit for name, limit in limits.items() if limit is not None}

    @property
    def key(self) -> str | None:
        """The API key in the clear, for the one place that sends it."""
        return None if self.api_key is None else self.api_key.get_secret_value()


def read_settings() -> Settings:
    """The environment.

    Raises:
        DataError: a variable holds what does not fit.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "a setting"
        raise DataError(
            f"The environment sets {name} to something that does not fit: {first['msg']}. Correct the variable."
        ) from error
    except SettingsError as error:  # it names the field, and does not show what is in it
        raise DataError(
            f'The environment cannot be read: {error}. Write a list as JSON, such as \'["a", "b"]\'.'
        ) from error
