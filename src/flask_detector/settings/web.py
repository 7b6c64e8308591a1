"""Settings of the web process: pages, API, and other programs' protocols."""

import ipaddress
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator

from flask_detector.settings.values import MEGABYTE, MustBe, OptionalHttpUrl, listed, pairs

# The protocols of other programs' clients, see docs/clients.md.
CLIENTS = ("deepstack", "doods", "kserve", "label-studio", "cvat", "roboflow", "huggingface")

_RateLimit = Annotated[
    str,
    Field(pattern=r"^(off|[1-9][0-9]{0,8}/(second|minute|hour|day))$"),
    MustBe("off, or a number per second, minute, hour or day, such as 100/minute"),
]
_Origins = Annotated[
    str | None,
    Field(pattern=r"^(?i:(\*|null|https?://[^/,?#\s@*]+)/?\s*(,\s*|$))*$"),
    MustBe("*, or origins separated by commas, such as https://app.example,http://localhost:8080"),
]
_Hosts = Annotated[
    str | None,
    Field(pattern=r"^[^/@]*$"),
    MustBe("host names separated by commas, such as pictures.example, without http://"),
]
_Protocols = Annotated[str, MustBe(f"all, none, or some of {', '.join(CLIENTS)}, separated by commas")]
_ModelNames = Annotated[
    str,
    Field(pattern=r"^([\w.*?-]+=[\w.-]+\s*(,\s*|$))*$"),
    MustBe("NAME=MODEL pairs separated by commas, such as ipcam-*=auto"),
]


def conventional(name: str) -> AliasChoices:
    """Return the alias of a variable that hosting platforms set, and that has no prefix of ours."""
    return AliasChoices(name, name.lower())


class WebSettings(BaseModel):
    """Web server."""

    host: str = Field(
        default="127.0.0.1", description="IP address to listen on; 0.0.0.0 for all network interfaces."
    )
    port: int = Field(
        default=5000, validation_alias=conventional("PORT"), ge=1, le=65535, description="Port to listen on."
    )
    secret_key: SecretStr | None = Field(
        default=None,
        validation_alias=conventional("SECRET_KEY"),
        description="Signs cookies and form tokens; must be the same for all web processes of a site. Unset: "
        "generated once and kept in the data folder.",
    )
    secret_key_fallbacks: SecretStr | None = Field(
        default=None,
        validation_alias=conventional("SECRET_KEY_FALLBACKS"),
        description="Previous values of SECRET_KEY, separated by commas; what they signed remains valid.",
    )
    web_threads: int = Field(
        default=32,
        ge=2,
        le=512,
        description="Requests of one client that are handled at the same time; a quarter more threads "
        "are for other clients.",
    )
    trusted_hosts: _Hosts = Field(
        default=None,
        description="Host names of this site, separated by commas; requests for others are rejected. `*` "
        "allows any. Unset: the names of this machine if the server listens on a loopback address, else any.",
    )
    trusted_proxies: int = Field(
        default=0,
        ge=0,
        le=8,
        description="Number of reverse proxies in front of the web server; as many entries of the "
        "X-Forwarded headers are trusted, see docs/deploy/nginx.md.",
    )
    cors_origins: _Origins = Field(
        default=None,
        description="Origins whose scripts may use the API and the protocols of DETECTOR_COMPAT, such as "
        "`https://app.example,http://localhost:8080`; `*` for any. Pages, which identify visitors by a "
        "cookie, are always excluded.",
    )
    metrics: Literal["auto", "open", "admin"] = Field(
        default="auto",
        description="Who may read /metrics: `open` anyone, `admin` holders of an admin key; `auto` is open "
        "if the server listens on a loopback address, else admin.",
    )
    log_format: Literal["auto", "text", "json"] = Field(
        default="auto",
        description="Format of log lines on standard error: `auto` is text on a terminal and JSON elsewhere. "
        "Commands that end by themselves, such as `detect`, write text unless it is `json`.",
    )

    @property
    def old_secret_keys(self) -> list[str]:
        """Previous values of SECRET_KEY."""
        return listed(self.secret_key_fallbacks.get_secret_value()) if self.secret_key_fallbacks else []

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine can reach the web server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def allowed_hosts(self) -> list[str] | None:
        """The host names that requests may ask for; None for any.

        Otherwise a page of a foreign site could have its own name resolved to this machine (DNS rebinding).
        """
        if self.trusted_hosts is not None:
            names = listed(self.trusted_hosts)
            return None if "*" in names else names or ["localhost"]
        if not self.is_local:
            return None
        return ["localhost", "127.0.0.1", "[::1]", f"[{self.host}]" if ":" in self.host else self.host]

    @property
    def allowed_origins(self) -> set[str]:
        """The origins whose scripts may use the API, in lower case; includes `*` for any."""
        return {origin.rstrip("/").lower() for origin in listed(self.cors_origins)}


class ApiSettings(BaseModel):
    """HTTP API."""

    require_keys: bool = Field(
        default=False,
        description="Require a key (`flask-detector keys create`) for API requests. Pages need none.",
    )
    rate_limit: _RateLimit = Field(
        default="12000/minute",
        description="API requests per IP address without a key, as `number/second`, `/minute`, `/hour` or "
        "`/day`; `off` for no limit.",
    )
    key_rate_limit: _RateLimit = Field(
        default="12000/minute", description="API requests per key, in the same notation."
    )
    max_batch: int = Field(
        default=100, ge=1, le=900, description="Maximum number of pictures in one request."
    )
    max_batch_mb: float = Field(
        default=250, gt=0, le=100_000, description="Maximum size of one request with all its pictures, in MB."
    )
    pictures_by_url: bool = Field(
        default=False,
        description="Let API requests and visitors name URLs of pictures, which the server then fetches.",
    )
    allow_private_addresses: bool = Field(
        default=False,
        description="Let webhooks and pictures by URL reach private networks and this machine itself.",
    )

    @property
    def max_batch_bytes(self) -> int:
        """Maximum size of one request with all its pictures, in bytes."""
        return int(self.max_batch_mb * MEGABYTE)


class CompatSettings(BaseModel):
    """Other programs' protocols."""

    compat: _Protocols = Field(
        default="all",
        description="Protocols to serve next to the API: some of deepstack, doods, kserve, label-studio, "
        "cvat, roboflow and huggingface, separated by commas, `all` or `none`; see docs/clients.md.",
    )
    compat_models: _ModelNames = Field(
        default="ipcam-*=auto",
        description="Models for the names that such clients ask for, such as "
        "`ipcam-*=auto,my-dogs=nanodet-g`; the first match counts, and `*` matches any characters.",
    )
    compat_timeout: float = Field(
        default=60,
        gt=0,
        le=3600,
        description="Seconds after which such a client gets an error instead of a result.",
    )
    label_studio_url: OptionalHttpUrl = Field(
        default=None,
        description="URL of the Label Studio from which pictures of tasks may be fetched. Unset: tasks must "
        "contain their pictures.",
    )
    label_studio_key: SecretStr | None = Field(
        default=None, description="Access token for that Label Studio."
    )

    @field_validator("compat")
    @classmethod
    def _check_clients(cls, text: str) -> str:
        if {name.lower() for name in listed(text)} - {*CLIENTS, "all", "none"}:
            raise ValueError("unknown protocol")
        return text

    @property
    def clients(self) -> tuple[str, ...]:
        """Those of CLIENTS that are served."""
        names = {name.lower() for name in listed(self.compat)}
        return tuple(name for name in CLIENTS if "none" not in names and names & {name, "all"})

    def model_for(self, name: str) -> str:
        """Return the model for a name that another program asks for; by default the name itself."""
        return next((model for known, model in pairs(self.compat_models) if fnmatchcase(name, known)), name)
