"""The files for Docker, Compose, Heroku, Kubernetes and systemd are understood by their readers, and true."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import jsonschema
import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from flask_detector.cli import main
from flask_detector.service import supervisor
from flask_detector.settings import DEFAULT_QUEUE, Settings, variable_of

PROJECT = Path(__file__).parents[2]
KUBERNETES = PROJECT / "deploy" / "kubernetes"
UNITS = sorted((PROJECT / "deploy" / "systemd").glob("*.service"))
FILES = [
    PROJECT / "Dockerfile",
    PROJECT / "compose.yaml",
    PROJECT / "heroku.yml",
    PROJECT / "app.json",
    *(path for path in (PROJECT / "deploy").rglob("*") if path.is_file()),
    *(PROJECT / "docs" / "deploy").glob("*.md"),
]


def program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def documents(path: Path) -> list[Any]:
    return list(YAML(typ="safe").load_all(path.read_text()))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_each_variable_and_command_that_is_named_exists(path: Path) -> None:
    text = path.read_text()
    settings = {variable_of(field) for field in Settings.model_fields}
    assert set(re.findall(r"\bDETECTOR_[A-Z_]+\b", text)) <= settings
    commands = set(re.findall(r"\bflask-detector,? (web|worker|serve|models|[a-z]+(?=\]))", text))
    assert commands <= set(main.list_commands(click.Context(main)))


def test_the_dockerfile_passes_its_linter() -> None:
    run(program("hadolint"), "Dockerfile")


def test_what_the_dockerfile_copies_is_not_ignored() -> None:
    kept = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)
    assert {word for line in copied for word in line.split()} == kept


def test_compose_understands_its_file() -> None:
    run(program("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "compose.yaml")
    (form,) = documents(PROJECT / "compose.yaml")
    for name, service in form["services"].items():
        assert set(service.get("depends_on", {})) <= set(form["services"]), name
        volumes = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert volumes <= set(form["volumes"]), name


TEXT = {"type": "string", "minLength": 1}

# Heroku publishes no schema of heroku.yml; these are the keys that its documentation has.
COMMAND = {
    "anyOf": [
        TEXT,
        {
            "type": "object",
            "properties": {"command": {"type": "array", "items": TEXT, "minItems": 1}, "image": TEXT},
            "required": ["command", "image"],
            "additionalProperties": False,
        },
    ]
}
HEROKU_YML = {
    "type": "object",
    "properties": {
        "setup": {
            "type": "object",
            "properties": {
                "addons": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"plan": TEXT, "as": {"type": "string", "pattern": "^[A-Z_]+$"}},
                        "required": ["plan"],
                        "additionalProperties": False,
                    },
                },
                "config": {"type": "object", "additionalProperties": TEXT},
            },
            "additionalProperties": False,
        },
        "build": {
            "type": "object",
            "properties": {
                "docker": {"type": "object", "additionalProperties": TEXT},
                "config": {"type": "object", "additionalProperties": TEXT},
            },
            "required": ["docker"],
            "additionalProperties": False,
        },
        "release": COMMAND,
        "run": {"type": "object", "additionalProperties": COMMAND},
    },
    "required": ["build"],
    "additionalProperties": False,
}

# The keys of app.json that are used here, as its documentation describes them.
APP_JSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z][a-z0-9-]{1,28}[a-z0-9]$"},
        "description": TEXT,
        "keywords": {"type": "array", "items": TEXT},
        "stack": {"enum": ["container"]},
        "addons": {"type": "array", "items": {"type": "string", "pattern": "^[a-z-]+(:[a-z0-9-]+)?$"}},
        "formation": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {"quantity": {"type": "integer", "minimum": 0}, "size": TEXT},
                "required": ["quantity"],
                "additionalProperties": False,
            },
        },
        "env": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "description": TEXT,
                    "value": TEXT,
                    "generator": {"enum": ["secret"]},
                    "required": {"type": "boolean"},
                },
                "additionalProperties": False,
            },
        },
    },
    "required": ["name", "stack"],
    "additionalProperties": False,
}


def test_heroku_understands_its_files() -> None:
    (form,) = documents(PROJECT / "heroku.yml")
    app = json.loads((PROJECT / "app.json").read_text())
    jsonschema.validate(form, HEROKU_YML)
    jsonschema.validate(app, APP_JSON)
    assert set(app["formation"]) == set(form["run"])
    assert all((PROJECT / path).is_file() for path in form["build"]["docker"].values())


def test_heroku_s_settings_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    app = json.loads((PROJECT / "app.json").read_text())
    for name, entry in app["env"].items():
        if "value" in entry:
            monkeypatch.setenv(name, entry["value"])
    monkeypatch.setenv("PORT", "33333")
    monkeypatch.setenv("REDIS_URL", "rediss://:password@host:6380")
    settings = Settings.from_environment()
    assert "ssl_cert_reqs=none" in settings.required_redis_url


# What of KEDA's ScaledObject is used here; its own schema comes with the operator.
SCALED_OBJECT = {
    "type": "object",
    "properties": {
        "apiVersion": {"const": "keda.sh/v1alpha1"},
        "kind": {"const": "ScaledObject"},
        "metadata": {"type": "object", "required": ["name"]},
        "spec": {
            "type": "object",
            "properties": {
                "scaleTargetRef": {
                    "type": "object",
                    "properties": {"name": TEXT},
                    "required": ["name"],
                    "additionalProperties": False,
                },
                "minReplicaCount": {"type": "integer", "minimum": 0},
                "maxReplicaCount": {"type": "integer", "minimum": 1},
                "pollingInterval": {"type": "integer", "minimum": 1},
                "cooldownPeriod": {"type": "integer", "minimum": 0},
                "triggers": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "type": {"const": "redis"},
                            # All values of a trigger's metadata are text.
                            "metadata": {
                                "type": "object",
                                "properties": {
                                    "address": {"type": "string", "pattern": r"^[a-z0-9.-]+:\d+$"},
                                    "databaseIndex": {"type": "string", "pattern": r"^\d+$"},
                                    "listName": TEXT,
                                    "listLength": {"type": "string", "pattern": r"^\d+$"},
                                },
                                "required": ["address", "listName"],
                                "additionalProperties": False,
                            },
                        },
                        "required": ["type", "metadata"],
                        "additionalProperties": False,
                    },
                },
            },
            "required": ["scaleTargetRef", "triggers"],
            "additionalProperties": False,
        },
    },
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "additionalProperties": False,
}


SCRAPE_CONFIG = {
    "type": "object",
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1alpha1"},
        "kind": {"const": "ScrapeConfig"},
        "metadata": {"type": "object", "required": ["name", "namespace"]},
        "spec": {
            "type": "object",
            "properties": {
                "jobName": TEXT,
                "staticConfigs": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"targets": {"type": "array", "items": TEXT, "minItems": 1}},
                        "required": ["targets"],
                        "additionalProperties": False,
                    },
                },
                "metricsPath": {"type": "string", "pattern": "^/"},
                "scheme": {"enum": ["HTTP", "HTTPS"]},
                "authorization": {
                    "type": "object",
                    "properties": {
                        "type": TEXT,
                        "credentials": {
                            "type": "object",
                            "properties": {"name": TEXT, "key": TEXT},
                            "required": ["name", "key"],
                            "additionalProperties": False,
                        },
                    },
                    "required": ["credentials"],
                    "additionalProperties": False,
                },
            },
            "required": ["staticConfigs", "authorization"],
            "additionalProperties": False,
        },
    },
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "additionalProperties": False,
}


def manifests() -> dict[tuple[str, str], Any]:
    (form,) = documents(KUBERNETES / "kustomization.yaml")
    found = [one for name in form["resources"] for one in documents(KUBERNETES / name)]
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_kubernetes_understands_the_manifests(version: str) -> None:
    for (kind, _), form in manifests().items():
        if kind == "ScaledObject":
            jsonschema.validate(form, SCALED_OBJECT)
        else:
            kubernetes_validate.validate(form, version, strict=True)


def test_prometheus_asks_the_service_that_there_is_with_the_key_that_the_page_makes() -> None:
    (form,) = documents(KUBERNETES / "prometheus.yaml")
    jsonschema.validate(form, SCRAPE_CONFIG)
    ((target,),) = [one["targets"] for one in form["spec"]["staticConfigs"]]
    service, namespace, _ = target.split(".")
    found = manifests()
    assert namespace == form["metadata"]["namespace"] == found["Namespace", namespace]["metadata"]["name"]
    assert int(target.partition(":")[2]) in [
        one["port"] for one in found["Service", service]["spec"]["ports"]
    ]
    page = (PROJECT / "docs" / "deploy" / "kubernetes.md").read_text()
    key = form["spec"]["authorization"]["credentials"]
    assert f"create secret generic {key['name']} --from-file={key['key']}=" in page
    assert f'["{target}"]' in page
    alarms = (PROJECT / "docs" / "operations.md").read_text()
    assert f'up{{job="{form["spec"]["jobName"]}"}}' in alarms


def test_the_manifests_fit_together() -> None:
    found = manifests()
    (kustomization,) = documents(KUBERNETES / "kustomization.yaml")
    deployed = {name: form for (kind, name), form in found.items() if kind in {"Deployment", "StatefulSet"}}
    assert set(deployed) == {"web", "worker", "redis"}
    for name, form in deployed.items():
        labels = form["spec"]["template"]["metadata"]["labels"]
        assert form["spec"]["selector"]["matchLabels"] == labels
        for kind in ("Service", "PodDisruptionBudget"):
            if (kind, name) in found:
                selector = found[kind, name]["spec"]["selector"]
                assert selector.get("matchLabels", selector) == labels
    scaled = found["ScaledObject", "worker"]["spec"]
    assert ("Deployment", scaled["scaleTargetRef"]["name"]) in found
    assert scaled["triggers"][0]["metadata"]["listName"] == f"rq:queue:{DEFAULT_QUEUE}"
    (literals,) = [one["literals"] for one in kustomization["configMapGenerator"]]
    host = dict(line.split("=", 1) for line in literals)["REDIS_URL"].removeprefix("redis://").split(":")[0]
    assert ("Service", host) in found
    assert (KUBERNETES / "secret.env.example").is_file()


@pytest.mark.parametrize("name", ["web", "worker"])
def test_pods_have_no_rights_and_time_to_stop(name: str) -> None:
    pod = manifests()["Deployment", name]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert f"USER {pod['securityContext']['runAsUser']}:" in (PROJECT / "Dockerfile").read_text()
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["terminationGracePeriodSeconds"] > supervisor.GRACE_SECONDS


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_the_units_and_finds_them_closed(unit: Path, tmp_path: Path) -> None:
    installed = f'"{program("flask-detector")}"'
    text = unit.read_text().replace("/opt/flask-detector/bin/flask-detector", installed)
    here = tmp_path / unit.name
    here.write_text(text)
    run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(here))
    run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(here))
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert int(seconds) > supervisor.GRACE_SECONDS


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shell_scripts_pass_their_linter() -> None:
    run("shellcheck", ".ci/run", *map(str, sorted((PROJECT / "tools").glob("*.sh"))))
