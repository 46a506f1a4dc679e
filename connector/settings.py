"""The environment, read by the doors only: `QDRANT_URL`, `QDRANT_API_KEY`, and `CONNECTOR_…` for the rest.

The library itself takes arguments; an option on the command line beats the variable, the variable beats the default.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

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

    @property
    def key(self) -> str | None:
        """The API key in the clear, for the one place that sends it."""
        return None if self.api_key is None else self.api_key.get_secret_value()
