"""Settings of where data is kept: pictures, and Redis."""

import os
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import BaseModel, Field, SecretStr

from flask_detector.errors import SettingsError
from flask_detector.settings.values import HomePath
from flask_detector.settings.web import conventional


def _default_data_dir() -> Path:
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "flask-detector"


class StorageSettings(BaseModel):
    """Data."""

    data_dir: HomePath = Field(
        default_factory=_default_data_dir,
        description="Folder for pictures, model weights, and the data of the Redis that `serve` starts.",
    )
    storage_url: SecretStr | None = Field(
        default=None,
        description="Where pictures are stored if several machines share them: `s3://bucket/prefix` or "
        "`file:///folder`, see docs/deploy/machines.md. Unset: in the data folder.",
    )
    storage_ca: HomePath | None = Field(
        default=None, description="File with the CA certificate (PEM) of the bucket's server."
    )
    collections_gb: float = Field(
        default=20,
        ge=0,
        le=1_000_000,
        description="Disk space in GB that all collections together may take; 0 for no collections.",
    )
    owner_collections_gb: float = Field(
        default=5,
        ge=0,
        le=1_000_000,
        description="Disk space in GB that the collections of one browser, or of one API key, may take.",
    )
    sync_writes: bool = Field(
        default=False,
        description="Confirm an upload only after the picture, and the log of the Redis that `serve` starts, "
        "are flushed to disk: protects against power cuts, see docs/faults.md.",
    )


class RedisSettings(BaseModel):
    """Redis."""

    redis_url: str | None = Field(
        default=None,
        repr=False,  # it can contain a password
        validation_alias=conventional("REDIS_URL"),
        description="Redis to use (redis://, rediss://, unix:// or redis+sentinel://). Unset: `serve` starts "
        "one, see docs/redis.md.",
    )
    redis_ca: HomePath | None = Field(
        default=None, description="File with the CA certificate (PEM) of Redis, for TLS."
    )
    redis_verify: bool = Field(
        default=True, description="Verify the certificate of Redis; self-signed ones (Heroku) need `false`."
    )

    @property
    def required_redis_url(self) -> str:
        """The Redis to use, with the options for TLS; raises SettingsError if none is set."""
        if self.redis_url is None:
            raise SettingsError(
                "This command needs a Redis.",
                hint="Set REDIS_URL, or use 'flask-detector serve', which starts its own.",
            )
        if not self.redis_url.startswith("rediss"):
            return self.redis_url
        if self.redis_ca is not None and not self.redis_ca.is_file():
            raise SettingsError(
                f"DETECTOR_REDIS_CA: there is no file {self.redis_ca}.", hint="Correct the path."
            )
        tls = {"ssl_ca_certs": str(self.redis_ca)} if self.redis_ca else {}
        if not self.redis_verify:
            tls |= {"ssl_cert_reqs": "none", "ssl_check_hostname": "false"}
        given = parse_qs(urlsplit(self.redis_url).query)
        added = urlencode({name: value for name, value in tls.items() if name not in given})
        separator = "&" if given else "?"
        return f"{self.redis_url}{separator}{added}" if added else self.redis_url
