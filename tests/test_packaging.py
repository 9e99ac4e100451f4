"""What is declared is what is needed, and every place that declares it says the same."""

import ast
import os
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import retina_nb as rnb

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
ONLY_CONDA = {"make", "pip", "python"}  # the machine has them where pip installs


def requirements(lines):
    return {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}


@pytest.fixture(scope="module")
def declared():
    return requirements(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"])


def test_conda_users_get_the_same_packages(declared):
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = requirements(line for line in environment if isinstance(line, str))
    assert conda.pop("python").specifier == PROJECT["requires-python"]
    expected = {canonicalize_name(CONDA_NAMES.get(name, name)): need.specifier for name, need in declared.items()}
    assert {name: need.specifier for name, need in conda.items() if name not in ONLY_CONDA} == expected


def test_binder_gets_a_python_and_a_torch_that_the_package_takes_and_then_the_package(declared):
    environment = yaml.safe_load((ROOT / ".binder" / "environment.yml").read_text())["dependencies"]
    python = re.fullmatch(r"python=([0-9.]+)", environment[0])[1]
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python)
    assert requirements(environment[1:])["pytorch"].specifier == declared["torch"].specifier
    assert "pip install --no-cache-dir -e .\n" in (ROOT / ".binder" / "postBuild").read_text()
    assert os.access(ROOT / ".binder" / "postBuild", os.X_OK)


def test_the_lock_pins_everything_that_is_declared(declared):
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    pins = dict(line.split("==") for line in lines)
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    assert {name for name, need in declared.items() if not need.specifier.contains(pins.get(name, "0"))} == set()
    assert not [name for name in pins if name.startswith(("nvidia", "cuda", "triton"))]


def test_every_package_that_is_imported_is_declared():
    imported = set()
    for path in (ROOT / "retina_nb").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.split(".")[0])
    homes = packages_distributions()
    extras = PROJECT["optional-dependencies"]
    known = requirements(PROJECT["dependencies"] + extras["video"] + extras["cluster"]).keys()
    needed = imported - sys.stdlib_module_names - {"retina_nb"}
    assert {name for name in needed if known.isdisjoint(map(canonicalize_name, homes[name]))} == set()


def test_one_version_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == rnb.__version__
    assert citation["license"] == PROJECT["license"]


def test_every_public_name_can_be_had():
    assert all(getattr(rnb, name) is not None for name in dir(rnb))
