"""What the documentation promises is there, and what is there is documented."""

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import app
from app.errors import Problem
from app.settings import Settings

ROOT = Path(__file__).parents[2]


def headings(name: str) -> list[str]:
    return re.findall(r"^## (.+)$", (ROOT / "docs" / name).read_text(), re.MULTILINE)


def problem_types() -> set[str]:
    for module in pkgutil.walk_packages(app.__path__, "app."):
        importlib.import_module(module.name)
    found, waiting = {Problem.type}, [Problem]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            found.add(kind.type)
            waiting.append(kind)
    return found


def test_every_error_type_has_its_heading_in_order() -> None:
    assert headings("errors.md") == sorted(problem_types())


def test_every_setting_has_its_heading() -> None:
    assert set(headings("settings.md")) == {f"MYNAH_{name.upper()}" for name in Settings.model_fields}


def test_no_two_errors_share_a_type() -> None:
    kinds = [Problem]
    for kind in kinds:
        kinds += kind.__subclasses__()
    types = [kind.type for kind in dict.fromkeys(kinds)]
    assert sorted(types) == sorted(set(types))


@pytest.mark.parametrize("folder", ["app", "ml"])
def test_every_folder_of_the_readmes_map_exists(folder: str) -> None:
    readme = (ROOT / "README.md").read_text()
    tree = readme[readme.index("## Map of the code") :]
    section = tree[tree.index(f"\n{folder}/") :].split("\nmigrations/" if folder == "app" else "\napp/")[0]
    for name in re.findall(r"(?<![\w/])(\w+/)", section):
        assert (ROOT / folder / name).is_dir() or (ROOT / name).is_dir(), name


def test_every_command_that_the_readme_shows_exists() -> None:
    shown = set(re.findall(r"\.venv/bin/mynah (\w+)", (ROOT / "README.md").read_text()))
    listed = subprocess.run([sys.executable, "-m", "app.cli", "--help"], capture_output=True, text=True, check=True)
    assert shown >= {"serve", "import", "train", "say", "personas"}
    assert all(re.search(rf"\b{command}\b", listed.stdout) for command in shown)


def test_serving_imports_no_torch() -> None:
    code = "import sys, app.cli, app.main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.anyio
async def test_the_page_of_the_api_loads_nothing_from_another_host(public: httpx.AsyncClient) -> None:
    page = await public.get("/api/docs")
    assert page.status_code == 200
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) >= 2
    for url in loaded:
        assert httpx.URL(url).host in {"", "mynah.test"}
        assert (await public.get(url)).status_code == 200


@pytest.mark.anyio
async def test_every_operation_is_described_and_examples_are_given(public: httpx.AsyncClient) -> None:
    document = (await public.get("/api/openapi.json")).json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert all(operation.get("description") for operation in operations)
    for schema in ("PersonaCreate", "TrainingCreate", "SentencesCreate", "ScheduleCreate"):
        fields = document["components"]["schemas"][schema]["properties"].values()
        assert any("examples" in field for field in fields), schema
