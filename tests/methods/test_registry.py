import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bssl_tf.methods
from bssl_tf.config.training import Config, FeatureCacheSettings, MethodSettings, RunSettings
from bssl_tf.config.validation import validate
from bssl_tf.errors import ConfigError
from bssl_tf.methods import registry as methods
from bssl_tf.methods.source import find_module
from tests.methods.small import dense_backbone, fit, two_views

ROOT = Path(__file__).parents[2]


def test_every_method_says_what_it_is_and_what_it_needs():
    assert set(methods.method_names()) == {"bssl", "byol", "moco_v2", "s2bnn", "simclr", "supervised", "swav"}
    for name in methods.method_names():
        described = methods.description(name)
        assert described.summary and "backbone" in described.needs
    assert set(methods.teacher_method_names()) == set(methods.method_names()) - {"bssl", "s2bnn"}
    assert methods.description("supervised").needs == ("backbone", "num_classes")


def test_options_take_the_types_of_their_defaults():
    options = methods.description("moco_v2").parsed("queue_size=64, momentum=0.5,symmetric=false")
    assert options == {"queue_size": 64, "momentum": 0.5, "symmetric": False}


@pytest.mark.parametrize(
    "method, text, message",
    [
        ("moco_v2", "queue=64", "no option 'queue=64'.*queue_size=4096"),
        ("moco_v2", "momentum", "no option 'momentum'"),
        ("moco_v2", "queue_size=many", "'many' is no int"),
        ("moco_v2", "symmetric=1", "must be true or false"),
        ("bssl", "temperature=0.2", "flags of its own"),
    ],
)
def test_wrong_options_are_answered_with_the_right_ones(method, text, message):
    with pytest.raises(ConfigError, match=message):
        methods.description(method).parsed(text)


def test_an_unknown_method_is_answered_with_those_there_are():
    with pytest.raises(ConfigError, match="simsiam.*bssl, byol"):
        methods.description("simsiam")


@pytest.fixture
def guides_method(tmp_path, monkeypatch):
    """The example of docs/guides/methods.md as a file that methods are found in."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/guides/methods.md").read_text(), re.DOTALL)
    (tmp_path / "barlow_twins.py").write_text(next(block for block in blocks if "class BarlowTwins" in block))
    monkeypatch.setattr(bssl_tf.methods, "__path__", [*bssl_tf.methods.__path__, str(tmp_path)])
    yield
    methods.description.cache_clear()
    find_module.cache_clear()
    sys.modules.pop("bssl_tf.methods.barlow_twins", None)


def test_a_new_file_is_a_new_method(guides_method):
    assert "barlow_twins" in methods.method_names()
    described = methods.description("barlow_twins")
    assert (described.class_name, described.needs) == ("BarlowTwins", ("backbone",))
    assert described.options == {"redundancy": 0.005} and described.compares_images
    with pytest.raises(ConfigError, match="redundancy=2"):
        described.parsed("redundancy=2")
    method = methods.create("barlow_twins", {"redundancy": 0.01}, backbone=dense_backbone())
    first = fit(method, (two_views(32),), learning_rate=1e-4)
    assert fit(method, *[(two_views(32),)] * 10)["loss"] < first["loss"]


@pytest.mark.parametrize("name", methods.method_names())
def test_a_description_is_what_the_class_is(name):
    described, cls = methods.description(name), methods.method_class(name)
    arguments = list(inspect.signature(cls).parameters.values())
    arguments = [argument for argument in arguments if argument.name not in ("name", "kwargs")]
    needs = {argument.name for argument in arguments if argument.default is inspect.Parameter.empty}
    options = {argument.name: argument.default for argument in arguments if argument.name not in needs}
    assert (set(described.needs), described.options) == (needs, options)
    for attribute in ("multi_crop", "compares_images", "comparing_option", "options_are_flags"):
        assert getattr(described, attribute) == getattr(cls, attribute), attribute
    assert getattr(bssl_tf.methods, described.class_name) is cls


DERIVED = '''"""Larger queue: MoCo v2 with one option more."""
import math

from bssl_tf.methods import MocoV2
from my_methods.constants import SCALE

QUEUE = 2 * 512


class Larger(MocoV2):
    compares_images: bool = False

    def __init__(self, backbone, *, queue_size: int = QUEUE, weight: float = 1, scale: float = SCALE, **kwargs):
        super().__init__(backbone, queue_size=queue_size, **kwargs)
        self.weight, self.scale = weight, scale
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of one's own, empty but for a constant."""
    folder = tmp_path / "my_methods"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "constants.py").write_text("SCALE = 1 / 4\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    methods.description.cache_clear()
    find_module.cache_clear()
    for module in [name for name in sys.modules if name.split(".")[0] == "my_methods"]:
        del sys.modules[module]


def test_a_method_of_another_package_inherits_what_it_does_not_say(package):
    (package / "larger.py").write_text(DERIVED)
    described = methods.description("my_methods.larger")
    assert "my_methods.larger" not in sys.modules
    assert (described.title, described.needs, described.compares_images) == ("Larger queue", ("backbone",), False)
    assert described.options == {
        "queue_size": 1024, "weight": 1, "scale": 0.25,
        "momentum": 0.99, "temperature": 0.2, "projection_size": 128, "symmetric": True,
    }  # fmt: skip
    options = described.parsed("weight=0.5,momentum=0.9")
    method = methods.create("my_methods.larger", options, backbone=dense_backbone())
    assert (method.weight, method.momentum, method.queue.shape[0]) == (0.5, 0.9, 1024)
    validate(Config(run=RunSettings(workdir="w"), method=MethodSettings(method="my_methods.larger")))


DISTILLING = '''"""Distils by mean squares."""
from bssl_tf.methods.common.base import Method


class Distilling(Method):
    def __init__(self, teacher, backbone):
        ...

    def loss_terms(self, views, *, training):
        ...
'''
CACHING = """
from my_methods.plain import Distilling


class Caching(Distilling):
    def loss_terms(self, views, cached_features=None, *, training):
        ...
"""
INHERITING = """
from my_methods.caching import Caching


class Inheriting(Caching):
    ...
"""


def test_a_method_that_takes_no_cached_features_is_refused_where_they_are_cached(package):
    for name, source in (("plain", DISTILLING), ("caching", CACHING), ("inheriting", INHERITING)):
        (package / f"{name}.py").write_text(source)

    def validated(method, **cache):
        cache = FeatureCacheSettings(**cache)
        validate(Config(run=RunSettings(workdir="w"), method=MethodSettings(method=method), cache=cache))

    with pytest.raises(ConfigError, match="--view_cycle=3 .* --method=my_methods.plain .* add --nofeature_cache"):
        validated("my_methods.plain", view_cycle=3)
    validated("my_methods.plain", view_cycle=3, feature_cache=False)
    validated("my_methods.plain")
    for method in ("my_methods.caching", "my_methods.inheriting", "bssl", "s2bnn", "simclr"):
        validated(method, view_cycle=3)


@pytest.mark.parametrize(
    "source, line, message",
    [
        ("def f(:\n", 1, "invalid syntax"),
        ("x = 1\n", 1, "defines 0"),
        (DERIVED.replace("= QUEUE", "= math.floor(3.5)"), 13, r"math.floor\(3.5\) is neither a literal"),
        (DERIVED.replace("backbone, *,", "backbone, other, *,"), 10, "other of Larger need a default"),
        (DERIVED.replace("2 * 512", "2 / 0"), 7, "cannot be computed"),
        (DERIVED + DERIVED[DERIVED.index("class") :].replace("Larger", "Second"), 16, r"defines 2 \(Larger, Second\)"),
    ],
)
def test_a_file_that_is_no_method_is_refused_by_file_and_line(package, source, line, message):
    (package / "wrong.py").write_text(source)
    with pytest.raises(ConfigError, match=rf"wrong.py:{line}: .*{message}"):
        methods.description("my_methods.wrong")
    with pytest.raises(ConfigError, match="--method=my_methods.wrong: "):
        validate(Config(run=RunSettings(workdir="w"), method=MethodSettings(method="my_methods.wrong")))


def test_a_broken_file_among_the_methods_is_left_out_unless_it_is_requested(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("class Broken(:\n")
    monkeypatch.setattr(bssl_tf.methods, "__path__", [*bssl_tf.methods.__path__, str(tmp_path)])
    assert "broken" not in methods.method_names() and "simclr" in methods.method_names()
    assert re.search(r"broken.py:1: ", methods.unreadable_methods()["broken"])
    validate(Config(run=RunSettings(workdir="w")))
    with pytest.raises(ConfigError, match="--method=broken: .*broken.py:1"):
        validate(Config(run=RunSettings(workdir="w"), method=MethodSettings(method="broken")))


@pytest.mark.parametrize(
    "command, arguments",
    [("train", ["--workdir=/proc/none"]), ("evaluate", []), ("convert", []), ("convert", ["--lint=none"])],
)
def test_commands_name_a_broken_method_once(tmp_path, command, arguments):
    (tmp_path / "broken.py").write_text("class Broken(:\n")
    program = (
        "import runpy, sys, bssl_tf.methods; bssl_tf.methods.__path__.append(sys.argv.pop(1)); "
        f"runpy.run_module('bssl_tf.cli.{command}', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path), *arguments], capture_output=True, text=True)
    assert done.stderr.count("warning: the method broken is left out: ") == 1 and done.returncode == 2, done.stderr
    assert "broken.py:1" in done.stderr and done.stderr.count("error:") == 1


def test_methods_are_read_whatever_the_encoding_of_the_system():
    program = "from bssl_tf.methods.registry import method_names, unreadable_methods; print(*method_names())"
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == list(methods.method_names()), done.stderr
