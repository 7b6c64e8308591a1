"""The documents name what the program has."""

import re
from pathlib import Path

import click
import pytest

from flask_detector import errors
from flask_detector.cli import main
from flask_detector.detectors import MODELS
from flask_detector.formats import FORMATS
from flask_detector.jobs.deliveries import PAUSES
from flask_detector.settings import GROUPS, Settings, variable_of
from flask_detector.web.core.errors import status_of

PROJECT = Path(__file__).parents[2]
ARCHITECTURE = [
    PROJECT / "docs" / "architecture.md",
    *sorted((PROJECT / "docs" / "architecture").glob("*.md")),
    *sorted((PROJECT / "docs" / "decisions").glob("*.md")),
]


def text_of(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def rows_of(name: str) -> set[str]:
    """Return the first cell of each row of a document's tables, where that is code."""
    return set(re.findall(r"^\| `([^`]+)` \|", text_of(name), re.MULTILINE))


def test_the_settings_are_documented_in_their_groups() -> None:
    found = re.findall(r"^## .+|^\| `[^`]+` \|", text_of("docs/settings.md"), re.MULTILINE)
    expected = []
    for group in GROUPS:
        expected.append(f"## {str(group.__doc__).rstrip('.')}")
        expected += [f"| `{variable_of(field)}` |" for field in group.model_fields]
    assert found == expected
    assert {field for group in GROUPS for field in group.model_fields} == set(Settings.model_fields)


@pytest.mark.parametrize("field", Settings.model_fields)
def test_each_setting_is_documented_with_its_default_and_its_own_words(field: str) -> None:
    info = Settings.model_fields[field]
    (row,) = [
        line for line in text_of("docs/settings.md").splitlines() if f"| `{variable_of(field)}` |" in line
    ]
    assert info.description is not None
    assert info.description in row
    default = info.get_default()
    if default is not None and field != "data_dir":
        assert f"| `{str(default).lower() if isinstance(default, bool) else default}` |" in row


@pytest.mark.parametrize("name", MODELS)
def test_each_model_is_documented_with_what_the_table_of_models_says(name: str) -> None:
    info = MODELS[name]
    accuracy = f"{info.box_ap} / {info.mask_ap}" if info.has_masks else f"{info.box_ap}"
    finds = "boxes and masks" if info.has_masks else "boxes"
    row = f"| `{name}` | {finds} | {accuracy} | {info.source.size / 1e6:.0f} MB | {info.licence} |"
    assert row in text_of("docs/models.md").splitlines()
    assert rows_of("docs/models.md") == set(MODELS)


@pytest.mark.parametrize(
    "page", ["CONTRIBUTING.md", *(f"docs/{path.relative_to(PROJECT / 'docs')}" for path in ARCHITECTURE)]
)
def test_each_module_that_architecture_and_decisions_name_is_there(page: str) -> None:
    package = PROJECT / "src" / "flask_detector"
    # Pages of a folder may leave its name out.
    roots = [PROJECT, package, *(path for path in package.rglob("*") if path.is_dir())]
    named = re.findall(r"`([\w/]+(?:\.py|/))`", text_of(page))
    assert named != []
    assert [name for name in named if not any((root / name).exists() for root in roots)] == []


def test_each_error_is_documented_with_its_status() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d{3}) \|", text_of("docs/api.md"), re.MULTILINE))
    for code in set(errors.codes()) - {errors.SettingsError.code}:
        assert rows[code] == str(status_of(errors.kind_of(code)).value), code


def test_each_error_is_documented_in_the_words_of_its_class() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| \d{3} \| (.*) \|$", text_of("docs/api.md"), re.MULTILINE))
    for code in set(errors.codes()) - {errors.SettingsError.code}:
        assert f"{rows[code]}." == str(errors.kind_of(code).__doc__).partition("\n")[0]


def test_the_pauses_between_webhooks_are_documented() -> None:
    assert PAUSES == (5, 30, 2 * 60, 10 * 60, 3600, 4 * 3600, 8 * 3600)
    assert "5 and 30 seconds, 2 and 10 minutes, 1, 4 and 8 hours" in text_of("docs/api.md").replace("\n", " ")


def test_each_error_has_a_code_of_its_own() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = [kind.code for kind in kinds if issubclass(kind, errors.DetectorError)]
    assert len(codes) == len(set(codes))


def test_the_page_of_the_command_line_names_each_command() -> None:
    text = text_of("docs/command_line.md")
    for name in main.list_commands(click.Context(main)):
        assert f"`flask-detector {name}" in text


PAGES = sorted(path.relative_to(PROJECT).as_posix() for path in PROJECT.glob("docs/**/*.md"))


def links_of(document: str) -> list[tuple[Path, str]]:
    """Return the file and the anchor that each link to another part of the project names."""
    found = re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)", text_of(document))
    return [((PROJECT / document).parent / path if path else PROJECT / document, a) for path, a in found]


def anchors_of(path: Path) -> set[str]:
    """Return what GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *PAGES])
def test_links_between_documents_lead_somewhere(document: str) -> None:
    for path, anchor in links_of(document):
        assert path.exists(), f"{document} links to {path}"
        assert not anchor or anchor in anchors_of(path), f"{document} links to {path}#{anchor}"


def test_the_index_links_every_page() -> None:
    linked = {path.resolve() for path, _ in links_of("docs/README.md")}
    index = "docs/README.md"
    assert [page for page in PAGES if page != index and (PROJECT / page).resolve() not in linked] == []


def test_the_benchmarks_that_the_page_of_figures_names_are_there() -> None:
    text = text_of("docs/performance.md")
    named = {*re.findall(r"\btests/[\w/]+\.py", text)}
    named |= {f"benchmarks/{name}.py" for name in re.findall(r"\bbenchmarks\.(\w+)", text)}
    assert "benchmarks/load.py" in named
    assert [name for name in named if not (PROJECT / name).exists()] == []


def test_each_export_format_is_documented() -> None:
    assert set(FORMATS) <= rows_of("docs/formats.md")


@pytest.mark.parametrize("name", ["detect", "evaluate"])
def test_each_option_of_the_commands_for_pictures_is_documented(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    text = text_of("docs/command_line.md")
    options = [option for parameter in command.params for option in parameter.opts if option.startswith("--")]
    assert [option for option in options if option not in text] == []
