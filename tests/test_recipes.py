"""What else names versions says what pyproject.toml says: the container's file, conda's recipe, the citation."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import yaml

import transreward

ROOT = Path(__file__).parents[1]
TOLD = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = TOLD["project"]
OF_CONDA = {"mujoco": "mujoco-python"}  # what conda-forge calls the bindings
CONTAINER = (ROOT / "Containerfile").read_text()


def parts(requirement: str) -> tuple[str, str, str]:
    """Name, extra and bound of `name[extra]>=bound`."""
    return re.fullmatch(r"([\w.-]+)(?:\[(\w+)\])?(.*)", requirement).groups("")  # type: ignore[union-attr, return-value]


def test_the_citation_is_of_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == transreward.__version__ and cited["license"] == PROJECT["license"]
    assert f"## [Unreleased] {transreward.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_condas_recipe_asks_for_what_pip_asks_for():
    recipe = yaml.safe_load((ROOT / "recipe/recipe.yaml").read_text())
    wanted = [f"python {PROJECT['requires-python']}"]
    for name, extra, bound in map(parts, PROJECT["dependencies"]):
        wanted.append(f"{OF_CONDA.get(name, name)} {bound}")
        if extra:  # conda has no extras: what they bring stands beside
            brought = [line for line in metadata.requires(name) or () if f'extra == "{extra}"' in line]
            wanted += [one for line in brought if (one := re.split(r"[^\w.-]", line)[0]) not in OF_CONDA]
    assert sorted(recipe["requirements"]["run"]) == sorted(wanted)
    (build,) = map(parts, TOLD["build-system"]["requires"])
    assert recipe["requirements"]["host"] == [wanted[0], "pip", f"{build[0]} {build[2]}"]
    assert recipe["context"]["version"] == transreward.__version__
    assert recipe["build"]["python"]["entry_points"] == [f"{a} = {b}" for a, b in PROJECT["scripts"].items()]
    assert recipe["about"]["summary"] == PROJECT["description"] and recipe["about"]["license"] == PROJECT["license"]


def test_the_container_has_what_the_build_needs():
    (python,) = re.findall(r"^ARG PYTHON=3\.(\d+)$", CONTAINER, re.MULTILINE)
    assert int(python) >= int(PROJECT["requires-python"].rpartition(".")[2])
    (extras,) = re.findall(r"^ARG EXTRAS=(.*)$", CONTAINER, re.MULTILINE)
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
    copied = {
        name for line in re.findall(r"^COPY (.*) /source/?\S*$", CONTAINER, re.MULTILINE) for name in line.split()
    }
    files = {"pyproject.toml", "constraints.txt", PROJECT["readme"], *PROJECT["license-files"]}
    assert copied == files | set(TOLD["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert all((ROOT / name).exists() for name in copied)


def test_the_container_draws_and_runs_as_nobody_in_particular():
    (drawn,) = re.findall(r"apt-get install --yes --no-install-recommends (.*?) \\", CONTAINER)
    assert f"`apt-get install {drawn}`" in (ROOT / "docs/see.md").read_text()
    (user,) = re.findall(r"^USER (.*)$", CONTAINER, re.MULTILINE)
    assert user != "root" and f"useradd --create-home --uid 1000 {user}" in CONTAINER
    assert CONTAINER.index("USER robot") > CONTAINER.index("pip install")
