"""Every setting, read once from the environment."""

import ipaddress
import os
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from flask_detector.errors import SettingsError

MEGABYTE = 1_000_000

DEFAULT_QUEUE = "detections"

_RATE = r"^(off|[1-9][0-9]{0,8}/(second|minute|hour|day))$"
# Whose clients can be answered, see docs/clients.md.
CLIENTS = ("deepstack", "doods", "kserve", "label-studio", "cvat", "roboflow", "huggingface")


def _default_data_dir() -> Path:
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "flask-detector"


def _conventional(name: str) -> AliasChoices:
    """Name a variable that every hosting platform sets, and so has no prefix of ours."""
    return AliasChoices(name, name.lower())


class Settings(BaseSettings):
    """The settings of one process; a field's variable is its name in capitals behind ``DETECTOR_``."""

    model_config = SettingsConfigDict(
        env_prefix="DETECTOR_", env_ignore_empty=True, extra="forbid", frozen=True
    )

    secret_key: Annotated[
        SecretStr | None,
        Field(
            validation_alias=_conventional("SECRET_KEY"),
            description="Signs cookies and form tokens. Unset: made once and kept in the data folder. Give "
            "all web processes of one site the same.",
        ),
    ] = None
    secret_key_fallbacks: Annotated[
        SecretStr | None,
        Field(
            validation_alias=_conventional("SECRET_KEY_FALLBACKS"),
            description="What SECRET_KEY was before, with commas between several; what that signed still "
            "holds.",
        ),
    ] = None
    port: Annotated[
        int,
        Field(validation_alias=_conventional("PORT"), ge=1, le=65535, description="The web server's port."),
    ] = 5000
    redis_url: Annotated[
        str | None,
        Field(
            repr=False,  # it can hold a password
            validation_alias=_conventional("REDIS_URL"),
            description="The Redis to use (redis://, rediss://, unix:// or redis+sentinel://). Unset: one is "
            "started, see docs/redis.md.",
        ),
    ] = None
    redis_ca: Annotated[
        Path | None,
        Field(
            description="A file with the certificate of the authority that Redis's own comes from, for TLS."
        ),
    ] = None
    redis_verify: Annotated[
        bool,
        Field(
            description="Whether Redis's certificate is verified; self-signed ones (Heroku's) need `false`."
        ),
    ] = True
    host: Annotated[
        str, Field(description="The address that the web server listens on; 0.0.0.0 for every network.")
    ] = "127.0.0.1"
    require_keys: Annotated[
        bool,
        Field(
            description="Answer API requests only with a key (`flask-detector keys create`). Pages need none."
        ),
    ] = False
    rate_limit: Annotated[
        str,
        Field(
            pattern=_RATE,
            description="API requests of one address without a key, as `number/second`, `/minute`, `/hour` "
            "or `/day`; `off` for no limit.",
        ),
    ] = "12000/minute"
    key_rate_limit: Annotated[
        str, Field(pattern=_RATE, description="API requests of one key, written in the same way.")
    ] = "12000/minute"
    max_wait: Annotated[
        int, Field(ge=0, le=600, description="Seconds that an API request may wait for its detection's end.")
    ] = 60
    max_batch: Annotated[int, Field(ge=1, le=900, description="Pictures that one API request may bring.")] = (
        100
    )
    max_batch_mb: Annotated[
        float, Field(gt=0, le=100_000, description="All pictures of one API request together, in megabytes.")
    ] = 250
    pictures_by_url: Annotated[
        bool, Field(description="Fetch pictures from addresses that API requests name.")
    ] = False
    allow_private_addresses: Annotated[
        bool,
        Field(
            description="Let webhooks and pictures by address go to private networks and this machine itself."
        ),
    ] = False
    trusted_hosts: Annotated[
        str | None,
        Field(
            description="Host names that requests may ask for, with commas between; `*` for any. Unset: "
            "those of this machine while the server listens for it alone, else any."
        ),
    ] = None
    trusted_proxies: Annotated[
        int,
        Field(
            ge=0,
            le=8,
            description="How many reverse proxies stand before the web server; that many entries of the "
            "X-Forwarded headers are believed, see docs/deploy/nginx.md.",
        ),
    ] = 0
    cors_origins: Annotated[
        str | None,
        Field(
            pattern=r"^(?i:(\*|null|https?://[^/,?#\s@*]+)/?\s*(,\s*|$))*$",
            description="Sites whose pages' scripts may use the API and what DETECTOR_COMPAT answers, as "
            "`https://app.example,http://localhost:8080`; `*` for any. Pages of this installation, which "
            "know a visitor by a cookie, are never among it.",
        ),
    ] = None
    metrics: Annotated[
        Literal["auto", "open", "admin"],
        Field(
            description="Who may read /metrics: `open` anybody, `admin` holders of an administrator's key; "
            "`auto` is open on this machine alone."
        ),
    ] = "auto"
    log_format: Annotated[
        Literal["auto", "text", "json"],
        Field(description="How log lines look; `auto` is text on a terminal and JSON elsewhere."),
    ] = "auto"
    data_dir: Annotated[
        Path,
        Field(
            default_factory=_default_data_dir,
            description="The folder for pictures, model weights and the Redis that is started here.",
        ),
    ]
    storage_url: Annotated[
        SecretStr | None,
        Field(
            description="Where pictures lie when several machines share them: `s3://bucket/prefix` or "
            "`file:///folder`, see docs/deploy/machines.md. Unset: in the data folder.",
        ),
    ] = None
    storage_ca: Annotated[
        Path | None,
        Field(description="A file with the certificate of the authority that the bucket's own comes from."),
    ] = None
    sync_writes: Annotated[
        bool,
        Field(
            description="Answer an upload only when its picture, and the log of the Redis that is started "
            "here, are on the disk and not only with the system: for power cuts, see docs/faults.md.",
        ),
    ] = False
    models_dir: Annotated[
        Path | None,
        Field(description="The folder for model weights. Unset: `models` in the data folder."),
    ] = None
    model: Annotated[
        str, Field(description="The model to use; `auto` is the most accurate one that is quick here.")
    ] = "auto"
    threads: Annotated[
        int, Field(ge=0, le=256, description="Threads of one worker's model; 0 lets the model choose.")
    ] = 0
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Field(description="In which numbers models compute; `auto` is bfloat16 where the CPU has it."),
    ] = "auto"
    fetch: Annotated[
        str,
        Field(
            description="Models that `serve` fetches in the background, in this order, separated by commas; "
            "empty for none."
        ),
    ] = "rtmdet-ins-s,mask-rcnn-r50-fpn"
    offline: Annotated[bool, Field(description="Never fetch model weights without being asked.")] = False
    mirror_url: Annotated[
        str | None,
        Field(
            description="Fetch model weights from this address (it holds the files by their names) instead."
        ),
    ] = None
    queue: Annotated[
        str, Field(pattern=r"^[a-z0-9-]{1,32}$", description="The queue that workers take pictures from.")
    ] = DEFAULT_QUEUE
    routes: Annotated[
        str | None,
        Field(
            pattern=r"^([\w.-]+=[a-z0-9-]{1,32}(,|$))*$",
            description="Models whose pictures have a queue of their own, as "
            "`mask-rcnn-r50-fpn=gpu,auto=cpu`; others go to `detections`. The same for all processes.",
        ),
    ] = None
    workers: Annotated[int, Field(ge=1, le=64, description="Worker processes that `serve` starts.")] = 1
    web_threads: Annotated[
        int,
        Field(
            ge=2,
            le=512,
            description="Requests of one client that the web process answers at once; it has a quarter more "
            "threads for the others.",
        ),
    ] = 32
    max_upload_mb: Annotated[
        float, Field(gt=0, le=10_000, description="The largest accepted file, in megabytes (10^6 bytes).")
    ] = 25
    max_megapixels: Annotated[
        float, Field(gt=0, le=1_000, description="The largest accepted picture, in millions of pixels.")
    ] = 50
    max_queue: Annotated[
        int, Field(ge=1, description="Pictures that may wait; more are turned away until some are done.")
    ] = 1000
    max_queue_per_client: Annotated[
        int,
        Field(
            ge=1,
            description="Pictures of one client (an API key, or else a network address) that may wait or be "
            "in work.",
        ),
    ] = 250
    job_timeout: Annotated[
        int, Field(ge=1, description="Seconds that one detection may take before it counts as failed.")
    ] = 180
    worker_memory_mb: Annotated[
        int,
        Field(
            ge=0,
            description="Megabytes (10^6 bytes) of writable memory that one worker may have; a picture that "
            "needs more fails. 0: what its model takes and the largest accepted picture may, as far as the "
            "container has it.",
        ),
    ] = 0
    worker_recycle_mb: Annotated[
        int,
        Field(
            ge=0,
            description="Megabytes (10^6 bytes) of resident memory over which a worker ends after a picture, "
            "to be started anew by `serve` or what else runs it. 0: never.",
        ),
    ] = 1500
    retention_hours: Annotated[
        float, Field(gt=0, le=100_000, description="Hours until a picture and its result are deleted.")
    ] = 24

    compat: Annotated[
        str,
        Field(
            description="Whose clients are answered beside the API: some of deepstack, doods, kserve, "
            "label-studio, cvat, roboflow and huggingface with commas between them, `all` or `none`; see "
            "docs/clients.md."
        ),
    ] = "all"
    compat_models: Annotated[
        str,
        Field(
            pattern=r"^([\w.*?-]+=[\w.-]+\s*(,\s*|$))*$",
            description="Models by the names that such clients ask for, as `ipcam-*=auto,my-dogs=nanodet-g`; "
            "the first that fits counts, and `*` stands for any letters.",
        ),
    ] = "ipcam-*=auto"
    compat_timeout: Annotated[
        float, Field(gt=0, le=3600, description="Seconds that such a client waits for its detection at most.")
    ] = 60
    label_studio_url: Annotated[
        str | None,
        Field(
            description="The address of the Label Studio from which its tasks' pictures may be fetched. "
            "Unset: they must be in the tasks."
        ),
    ] = None
    label_studio_key: Annotated[
        SecretStr | None, Field(description="The access token that Label Studio asks for.")
    ] = None

    @field_validator("data_dir", "models_dir", "redis_ca", "storage_ca")
    @classmethod
    def _find_home(cls, path: Path | None) -> Path | None:
        """Write the home folder for ``~``, which shells do and files of variables don't."""
        return path and path.expanduser()

    @field_validator("compat")
    @classmethod
    def _know_all_clients(cls, text: str) -> str:
        unknown = _names_in(text) - {*CLIENTS, "all", "none"}
        if unknown:
            raise ValueError(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(CLIENTS)}")
        return text

    @property
    def clients(self) -> tuple[str, ...]:
        """Those of CLIENTS that are answered."""
        names = _names_in(self.compat)
        return tuple(name for name in CLIENTS if "none" not in names and names & {name, "all"})

    @property
    def old_secret_keys(self) -> list[str]:
        """What SECRET_KEY was before."""
        text = "" if self.secret_key_fallbacks is None else self.secret_key_fallbacks.get_secret_value()
        return [key.strip() for key in text.split(",") if key.strip()]

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine reach the web server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def allowed_hosts(self) -> list[str] | None:
        """The host names that requests may ask for; None for any.

        A page of a foreign site could otherwise have its own name resolved to this machine and read on.
        """
        if self.trusted_hosts is not None:
            names = [name.strip() for name in self.trusted_hosts.split(",") if name.strip()]
            return None if "*" in names else names or ["localhost"]
        if not self.is_local:
            return None
        return ["localhost", "127.0.0.1", "[::1]", f"[{self.host}]" if ":" in self.host else self.host]

    @property
    def allowed_origins(self) -> set[str]:
        """The origins whose scripts may use the API, in lower case; `*` among them for any."""
        names = (self.cors_origins or "").split(",")
        return {name.strip().rstrip("/").lower() for name in names if name.strip()}

    def model_for(self, name: str) -> str:
        """Return the model that another program means by a name; the name itself unless the settings say."""
        pairs = [pair.strip().partition("=") for pair in self.compat_models.split(",") if pair.strip()]
        return next((model for known, _, model in pairs if fnmatchcase(name, known)), name)

    @property
    def max_upload_bytes(self) -> int:
        """The largest accepted file, in bytes."""
        return int(self.max_upload_mb * MEGABYTE)

    @property
    def max_batch_bytes(self) -> int:
        """All pictures of one request together, in bytes."""
        return int(self.max_batch_mb * MEGABYTE)

    @property
    def max_pixels(self) -> int:
        """The largest accepted picture, in pixels."""
        return int(self.max_megapixels * 1_000_000)

    @property
    def worker_memory_bytes(self) -> int:
        """The writable memory that one worker may have, in bytes; 0 where it is to find out itself."""
        return self.worker_memory_mb * MEGABYTE

    @property
    def worker_recycle_bytes(self) -> int:
        """The resident memory over which a worker ends after a picture, in bytes; 0 for never."""
        return self.worker_recycle_mb * MEGABYTE

    @property
    def retention_seconds(self) -> int:
        """How long a picture and its result are kept, in seconds."""
        return int(self.retention_hours * 3600)

    @property
    def models_to_fetch(self) -> list[str]:
        """The models that are fetched in the background, in that order."""
        names = [name.strip() for name in self.fetch.split(",")]
        return [] if self.offline else [name for name in names if name]

    def queue_of(self, model: str) -> str:
        """Return the queue that pictures for a model go to; `auto` is a model here, too."""
        return self._queues_by_model.get(model, DEFAULT_QUEUE)

    @property
    def queues(self) -> list[str]:
        """All queues that pictures may be in."""
        return list(dict.fromkeys([DEFAULT_QUEUE, *self._queues_by_model.values(), self.queue]))

    @property
    def _queues_by_model(self) -> dict[str, str]:
        pairs = [route.partition("=") for route in (self.routes or "").split(",") if route]
        return {model: queue for model, _, queue in pairs}

    @property
    def required_redis_url(self) -> str:
        """The Redis to use and how its certificate is verified; raises SettingsError where none is named."""
        if self.redis_url is None:
            raise SettingsError(
                "This command needs a Redis.",
                hint="Set REDIS_URL, or use 'flask-detector serve', which starts one of its own.",
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
        joint = "&" if given else "?"
        return f"{self.redis_url}{joint}{added}" if added else self.redis_url

    @classmethod
    def from_environment(cls, **overrides: object) -> Self:
        """Return the settings of the environment, with `overrides` (by field name) before it.

        Raises SettingsError that names the variable and what is wrong with it.
        """
        try:
            return cls(**overrides)  # type: ignore[arg-type]  # pydantic checks the values
        except ValidationError as error:
            problems = "; ".join(f"{variable_of(str(e['loc'][0]))}: {e['msg']}" for e in error.errors())
            raise SettingsError(
                f"A setting can't be used: {problems}.",
                hint="Correct the environment variable and start again.",
            ) from error


def _names_in(text: str) -> set[str]:
    return {name.strip().lower() for name in text.split(",") if name.strip()}


def variable_of(field: str) -> str:
    """Return the name of the environment variable of a field."""
    name = field.upper()
    return name if name in {"SECRET_KEY", "SECRET_KEY_FALLBACKS", "PORT", "REDIS_URL"} else f"DETECTOR_{name}"


def unknown_variables() -> list[tuple[str, str]]:
    """Return the variables of the environment that look like settings and are none, each with a hint."""
    known = [*map(variable_of, Settings.model_fields), "DETECTOR_API_KEY"]
    unknown = sorted(name for name in os.environ if name.startswith("DETECTOR_") and name not in known)
    close = [get_close_matches(name, known, n=1) for name in unknown]
    hints = [f"Did you mean {names[0]}?" if names else "docs/settings.md lists them." for names in close]
    return list(zip(unknown, hints, strict=True))
