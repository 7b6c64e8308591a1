import re
from pathlib import Path

import pytest

from flask_detector.errors import SettingsError
from flask_detector.settings import CLIENTS, Settings, variable_of

# Each variable, a text for it, the field and the value that it must become.
VARIABLES = [
    ("PORT", "8080", "port", 8080),
    ("REDIS_URL", "redis://cache:6379/1", "redis_url", "redis://cache:6379/1"),
    ("DETECTOR_REDIS_CA", "/etc/ca.pem", "redis_ca", Path("/etc/ca.pem")),
    ("DETECTOR_STORAGE_CA", "/etc/ca.pem", "storage_ca", Path("/etc/ca.pem")),
    ("DETECTOR_REDIS_VERIFY", "false", "redis_verify", False),
    ("DETECTOR_HOST", "0.0.0.0", "host", "0.0.0.0"),
    ("DETECTOR_REQUIRE_KEYS", "true", "require_keys", True),
    ("DETECTOR_MODELS_DIR", "/opt/models", "models_dir", Path("/opt/models")),
    ("DETECTOR_RATE_LIMIT", "5/second", "rate_limit", "5/second"),
    ("DETECTOR_KEY_RATE_LIMIT", "off", "key_rate_limit", "off"),
    ("DETECTOR_MAX_BATCH", "7", "max_batch", 7),
    ("DETECTOR_MAX_BATCH_MB", "70", "max_batch_mb", 70),
    ("DETECTOR_PICTURES_BY_URL", "1", "pictures_by_url", True),
    ("DETECTOR_ALLOW_PRIVATE_ADDRESSES", "1", "allow_private_addresses", True),
    ("DETECTOR_MODEL", "nanodet-g", "model", "nanodet-g"),
    ("DETECTOR_THREADS", "3", "threads", 3),
    ("DETECTOR_PRECISION", "float32", "precision", "float32"),
    ("DETECTOR_FETCH", "rtmdet-ins-s, nanodet-g", "fetch", "rtmdet-ins-s, nanodet-g"),
    ("DETECTOR_OFFLINE", "1", "offline", True),
    ("DETECTOR_COLLECTIONS_GB", "0.5", "collections_gb", 0.5),
    ("DETECTOR_OWNER_COLLECTIONS_GB", "2", "owner_collections_gb", 2),
    ("DETECTOR_SYNC_WRITES", "1", "sync_writes", True),
    ("DETECTOR_OFFLINE", "no", "offline", False),
    ("DETECTOR_MIRROR_URL", "https://mirror.example/weights", "mirror_url", "https://mirror.example/weights"),
    ("DETECTOR_WORKERS", "4", "workers", 4),
    ("DETECTOR_WEB_THREADS", "8", "web_threads", 8),
    ("DETECTOR_TRUSTED_HOSTS", "a.example", "trusted_hosts", "a.example"),
    ("DETECTOR_TRUSTED_PROXIES", "1", "trusted_proxies", 1),
    ("DETECTOR_METRICS", "admin", "metrics", "admin"),
    ("DETECTOR_LOG_FORMAT", "json", "log_format", "json"),
    ("DETECTOR_COMPAT", "doods,cvat", "compat", "doods,cvat"),
    ("DETECTOR_COMPAT_TIMEOUT", "2.5", "compat_timeout", 2.5),
    ("DETECTOR_COMPAT_MODELS", "ipcam-*=auto, a=b", "compat_models", "ipcam-*=auto, a=b"),
    ("DETECTOR_CORS_ORIGINS", "https://a.example,", "cors_origins", "https://a.example,"),
    ("DETECTOR_CORS_ORIGINS", "http://[::1]:80/, *", "cors_origins", "http://[::1]:80/, *"),
    ("DETECTOR_LABEL_STUDIO_URL", "http://ls:8080", "label_studio_url", "http://ls:8080"),
    ("DETECTOR_MAX_UPLOAD_MB", "2.5", "max_upload_mb", 2.5),
    ("DETECTOR_MAX_MEGAPIXELS", "12", "max_megapixels", 12),
    ("DETECTOR_QUEUE", "gpu", "queue", "gpu"),
    ("DETECTOR_ROUTES", "mask-rcnn-r50-fpn=gpu,auto=cpu", "routes", "mask-rcnn-r50-fpn=gpu,auto=cpu"),
    ("DETECTOR_MAX_QUEUE", "10", "max_queue", 10),
    ("DETECTOR_WORKER_RECYCLE_MB", "700", "worker_recycle_mb", 700),
    ("DETECTOR_WORKER_MEMORY_MB", "600", "worker_memory_mb", 600),
    ("DETECTOR_MAX_QUEUE_PER_CLIENT", "7", "max_queue_per_client", 7),
    ("DETECTOR_JOB_TIMEOUT", "60", "job_timeout", 60),
    ("DETECTOR_RETENTION_HOURS", "0.5", "retention_hours", 0.5),
]
# Each variable with texts that it must refuse.
BAD_VALUES = [
    ("DETECTOR_MIRROR_URL", "mirror.example/weights"),
    ("DETECTOR_MIRROR_URL", "ftp://mirror.example"),
    ("DETECTOR_LABEL_STUDIO_URL", "http:///projects"),
    ("DETECTOR_TRUSTED_HOSTS", "https://pictures.example/"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("PORT", "http"),
    ("DETECTOR_RATE_LIMIT", "many"),
    ("DETECTOR_RATE_LIMIT", "0/minute"),
    ("DETECTOR_THREADS", "-1"),
    ("DETECTOR_THREADS", "1.5"),
    ("DETECTOR_PRECISION", "float16"),
    ("DETECTOR_OFFLINE", "perhaps"),
    ("DETECTOR_WORKERS", "0"),
    ("DETECTOR_WEB_THREADS", "1"),
    ("DETECTOR_TRUSTED_PROXIES", "-1"),
    ("DETECTOR_METRICS", "closed"),
    ("DETECTOR_COMPAT_MODELS", "ipcam-dark"),
    ("DETECTOR_CORS_ORIGINS", "a.example"),
    ("DETECTOR_CORS_ORIGINS", "https://a.example/path"),
    ("DETECTOR_CORS_ORIGINS", "https://*.example"),
    ("DETECTOR_LOG_FORMAT", "xml"),
    ("DETECTOR_MAX_UPLOAD_MB", "0"),
    ("DETECTOR_MAX_UPLOAD_MB", "nan"),
    ("DETECTOR_MAX_UPLOAD_MB", "inf"),
    ("DETECTOR_MAX_MEGAPIXELS", "-5"),
    ("DETECTOR_MAX_MEGAPIXELS", "nan"),
    ("DETECTOR_QUEUE", "no spaces"),
    ("DETECTOR_ROUTES", "gpu"),
    ("DETECTOR_ROUTES", "auto=gpu;nanodet-g=cpu"),
    ("DETECTOR_MAX_QUEUE", "0"),
    ("DETECTOR_JOB_TIMEOUT", "0"),
    ("DETECTOR_RETENTION_HOURS", "0"),
    ("DETECTOR_RETENTION_HOURS", "nan"),
    ("DETECTOR_RETENTION_HOURS", "inf"),
]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(variable_of(field), raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "/data-home")


def test_the_defaults() -> None:
    settings = Settings.from_environment()

    assert settings.secret_key is None
    assert (settings.host, settings.port, settings.redis_url) == ("127.0.0.1", 5000, None)
    assert (settings.model, settings.threads, settings.precision) == ("auto", 0, "auto")
    assert (settings.offline, settings.mirror_url) == (False, None)
    assert (settings.workers, settings.web_threads) == (1, 32)
    assert (settings.max_upload_bytes, settings.max_pixels) == (25_000_000, 50_000_000)
    assert (settings.max_queue, settings.job_timeout, settings.retention_seconds) == (1000, 180, 86_400)
    assert str(settings.data_dir) == "/data-home/flask-detector"


def test_the_data_folder_lies_in_the_home_where_nothing_else_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/ada")

    assert str(Settings.from_environment().data_dir) == "/home/ada/.local/share/flask-detector"


@pytest.mark.parametrize(("variable", "text", "field", "value"), VARIABLES)
def test_each_variable_sets_its_field(
    variable: str, text: str, field: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)

    assert getattr(Settings.from_environment(), field) == value
    assert variable_of(field) == variable


def test_each_setting_is_covered_here() -> None:
    not_here = {"secret_key", "secret_key_fallbacks", "storage_url", "data_dir", "label_studio_key"}
    assert {field for _, _, field, _ in VARIABLES} | not_here == set(Settings.model_fields)


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.setenv(variable_of(field), "")

    assert Settings.from_environment().port == 5000


@pytest.mark.parametrize(("variable", "text"), BAD_VALUES)
def test_a_bad_value_is_refused_by_the_name_of_its_variable(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)

    with pytest.raises(
        SettingsError, match=rf"^{variable} is '{re.escape(text)}': it must be .+\. Correct the"
    ):
        Settings.from_environment()


def test_all_bad_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "high")
    monkeypatch.setenv("DETECTOR_WORKERS", "none")

    with pytest.raises(
        SettingsError,
        match=r"(?=.*PORT is 'high': it must be a whole number from 1 to 65535\.)(?=.*DETECTOR_WORKERS)",
    ):
        Settings.from_environment()


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [("PORT", "8080", "port", 9090), ("DETECTOR_WORKERS", "4", "workers", 2)],
)
def test_an_override_goes_before_the_environment(
    variable: str, text: str, field: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)

    assert getattr(Settings.from_environment(**{field: value}), field) == value


def test_an_unknown_override_is_refused() -> None:
    with pytest.raises(SettingsError, match="COLOUR"):
        Settings.from_environment(colour="blue")


def test_the_secret_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "hush-hush")
    monkeypatch.setenv("SECRET_KEY_FALLBACKS", "older-hush-hush, oldest-hush-hush")

    settings = Settings.from_environment()

    assert settings.old_secret_keys == ["older-hush-hush", "oldest-hush-hush"]

    assert settings.secret_key is not None
    assert settings.secret_key.get_secret_value() == "hush-hush"
    assert "hush-hush" not in repr(settings) + str(settings)


def test_settings_do_not_change() -> None:
    settings = Settings.from_environment()

    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1


@pytest.mark.parametrize(
    ("host", "is_local"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("web.example", False)],
)
def test_it_is_known_whether_others_reach_the_web_server(host: str, is_local: bool) -> None:
    assert Settings.from_environment(host=host).is_local == is_local


def test_the_storage_url_may_hold_credentials_and_is_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETECTOR_STORAGE_URL", "s3://bucket?secret_access_key=hush")
    settings = Settings.from_environment()
    assert settings.storage_url is not None
    assert settings.storage_url.get_secret_value().endswith("hush")
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("host", "trusted", "allowed"),
    [
        ("127.0.0.1", None, {"localhost", "127.0.0.1", "[::1]"}),
        ("::1", None, {"localhost", "127.0.0.1", "[::1]"}),
        ("0.0.0.0", None, None),
        ("127.0.0.1", "a.example, .b.example,", {"a.example", ".b.example"}),
        ("127.0.0.1", "*", None),
        ("0.0.0.0", "a.example", {"a.example"}),
    ],
)
def test_a_server_for_this_machine_alone_answers_to_its_names_alone(
    host: str, trusted: str | None, allowed: set[str] | None, tmp_path: Path
) -> None:
    names = Settings(data_dir=tmp_path, host=host, trusted_hosts=trusted).allowed_hosts
    assert (None if names is None else set(names)) == allowed


def test_the_clients_that_are_answered_can_be_chosen(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).clients == CLIENTS
    assert Settings(data_dir=tmp_path, compat=" DOODS, deepstack,").clients == ("deepstack", "doods")
    assert Settings(data_dir=tmp_path, compat="none").clients == ()


def test_an_unknown_kind_of_client_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DETECTOR_COMPAT", "deepstack,frigate")
    with pytest.raises(
        SettingsError,
        match=r"DETECTOR_COMPAT is 'deepstack,frigate': it must be all, none, or some of deepstack, doods",
    ):
        Settings.from_environment()


def test_a_tilde_is_the_home_folder_as_in_a_shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DETECTOR_DATA_DIR", "~/pictures of mine")
    monkeypatch.setenv("DETECTOR_MODELS_DIR", "~")
    settings = Settings.from_environment()
    assert settings.data_dir == tmp_path / "pictures of mine"
    assert settings.models_dir == tmp_path


def test_models_are_fetched_in_the_order_they_are_named_unless_offline(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).models_to_fetch == ["rtmdet-ins-s", "mask-rcnn-r50-fpn"]
    assert Settings(data_dir=tmp_path, fetch=" b , a,,").models_to_fetch == ["b", "a"]
    assert Settings(data_dir=tmp_path, offline=True).models_to_fetch == []
