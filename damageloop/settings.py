"""Where things are: read from the environment only, once, by entry points and bootstrap. Secrets are files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from damageloop.errors import InvalidInputError


class Settings(BaseSettings):
    """Environment of one process. Every default is the embedded one: files below `DAMAGELOOP_HOME`."""

    model_config = SettingsConfigDict(env_prefix="DAMAGELOOP_", frozen=True, extra="ignore")

    home: Path = Path("var")
    database_url: str = ""
    broker_url: str = ""
    image_store_url: str = ""
    feature_store_url: str = ""
    release_store_url: str = ""
    dvc_remote_url: str = ""
    mlflow_uri: str = ""
    label_studio_url: str = ""
    label_studio_token_file: Path | None = None
    # Where a person's browser reaches Label Studio, when that is not where the platform does.
    label_studio_public_url: str = ""
    weights_dir: Path | None = None
    environments: Path | None = None
    api_port: int = 8000
    label_studio_port: int = 8080
    ml_backend_port: int = 9090
    mlflow_port: int = 5000
    console_port: int = 8501
    # Where other processes reach the API; in containers that is not localhost.
    api_address: str = Field("", alias="DAMAGELOOP_API_URL")
    # Where Label Studio sends its events, when the two surfaces run apart.
    operations_address: str = Field("", alias="DAMAGELOOP_OPERATIONS_URL")
    api_surface: Literal["pricing", "operations", "all"] = "all"
    # What runs the model where photos are answered: openvino, onnxruntime, or torch on a GPU.
    engine: Literal["openvino", "onnxruntime", "torch"] = "openvino"
    batch_store_url: str = ""
    production_store_url: str = ""
    log_level: str = "INFO"

    def __init__(self, **values: Any) -> None:
        """Read the environment.

        Raises:
            InvalidInputError: If a variable has a value that it cannot have; the sentence names it.
        """
        try:
            super().__init__(**values)
        except ValidationError as exc:
            first = exc.errors()[0]
            name = "_".join(str(part) for part in first["loc"]).upper()
            raise InvalidInputError(f"DAMAGELOOP_{name}: {first['msg']}.") from exc

    @model_validator(mode="before")
    @classmethod
    def _ignore_empty(cls, values: dict[str, object]) -> dict[str, object]:
        return {key: value for key, value in values.items() if value != ""}

    @property
    def root(self) -> Path:
        """Return `DAMAGELOOP_HOME` as an absolute path."""
        return self.home.expanduser().resolve()

    @property
    def secrets_dir(self) -> Path:
        return self.root / "secrets"

    @property
    def examples_dir(self) -> Path:
        """Pictures for the annotators' instruction, named by class."""
        return self.root / "examples"

    @property
    def workspace_dir(self) -> Path:
        return self.root / "workspace"

    @property
    def params_file(self) -> Path:
        return self.workspace_dir / "params.yaml"

    @property
    def logs_dir(self) -> Path:
        return self.root / "logs"

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.root / 'damageloop.sqlite'}"

    @property
    def image_store(self) -> str:
        return self.image_store_url or str(self.root / "images")

    @property
    def image_folder(self) -> Path | None:
        """Return the folder of the image store, or None when it lies in a bucket."""
        path = self.image_store.removeprefix("file://")
        return None if "://" in path else Path(path)

    @property
    def feature_store(self) -> str:
        return self.feature_store_url or str(self.root / "features")

    @property
    def map_cache(self) -> str:
        """Return where embedding maps are kept: worth nothing but the minutes to make them again."""
        return str(self.root / "cache")

    @property
    def release_store(self) -> str:
        return self.release_store_url or str(self.root / "releases")

    @property
    def batch_store(self) -> str:
        """Return where photos of batches are kept until they are answered."""
        return self.batch_store_url or str(self.root / "batches")

    @property
    def production_store(self) -> str:
        """Return where kept photos of production are until they are in the pool."""
        return self.production_store_url or str(self.root / "production")

    @property
    def dvc_remote(self) -> str:
        return self.dvc_remote_url or str(self.root / "dvc-remote")

    @property
    def mlflow(self) -> str:
        return self.mlflow_uri or f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def label_studio(self) -> str:
        return self.label_studio_url or f"http://localhost:{self.label_studio_port}"

    @property
    def label_studio_for_people(self) -> str:
        """Return the address that links to Label Studio begin with."""
        return self.label_studio_public_url or self.label_studio

    @property
    def label_studio_token(self) -> Path:
        return self.label_studio_token_file or self.secrets_dir / "label-studio-token"

    @property
    def api_url(self) -> str:
        return self.api_address or f"http://localhost:{self.api_port}"

    @property
    def operations_url(self) -> str:
        """Return where the operations surface is: with the other one, unless said otherwise."""
        return self.operations_address or self.api_url

    @property
    def console_url(self) -> str:
        return f"http://localhost:{self.console_port}"

    @property
    def ml_backend_url(self) -> str:
        return f"http://localhost:{self.ml_backend_port}"
