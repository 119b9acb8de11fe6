"""The wheel, installed into an environment of its own and used from a folder outside the repository."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import bssl_tf
from bssl_tf.config.recipes import recipe_names

ROOT = Path(__file__).parents[1]
SOURCES = ("bssl_tf", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


def run(*command, cwd):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folder of the programs of an environment that holds the wheel, and sees this one's other packages."""
    sources, environment = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("environment")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, sources)
    pip = ("-m", "pip", "--disable-pip-version-check")
    built = run(sys.executable, *pip, "wheel", "--no-deps", "--no-build-isolation", ".", cwd=sources)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = sources.glob("*.whl")

    venv.create(environment, with_pip=False)
    packages = sysconfig.get_path("purelib", "venv", {"base": str(environment), "platbase": str(environment)})
    Path(packages, "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = environment / "bin" / "python"
    done = run(python, *pip, "install", "--no-deps", "--no-index", "--ignore-installed", str(wheel), cwd=sources)
    assert done.returncode == 0, done.stdout + done.stderr
    return environment / "bin"


def test_the_installed_package_is_the_wheel(installed, tmp_path):
    shown = run(installed / "python", "-c", "import bssl_tf; print(bssl_tf.__file__)", cwd=tmp_path)
    assert Path(shown.stdout.strip()).is_relative_to(installed.parent), shown.stdout + shown.stderr
    assert (Path(shown.stdout.strip()).parent / "py.typed").exists()


def test_help_lists_the_recipes(installed, tmp_path):
    shown = run(installed / "bssl-train", "--help", cwd=tmp_path)
    text = " ".join(shown.stdout.split())
    assert f"--recipe: a flagfile of the package by its name ({', '.join(recipe_names())})" in text, shown.stderr


def test_a_recipe_runs_from_anywhere(installed, tmp_path):
    shown = run(
        installed / "bssl-train", "--recipe=digits", "--task=teacher", "--workdir=run", "--dry_run", cwd=tmp_path
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "dataset=digits" in shown.stdout and (tmp_path / "run/dry_run/teacher").is_dir()


def test_an_unknown_recipe_is_answered_with_those_that_exist(installed, tmp_path):
    shown = run(installed / "bssl-train", "--recipe=digit", cwd=tmp_path)
    assert shown.returncode == 2 and ", ".join(recipe_names()) in shown.stderr, shown.stderr


def test_the_citation_names_this_version():
    assert f"version: {bssl_tf.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert re.search(rf"^## \[{re.escape(bssl_tf.__version__)}\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
