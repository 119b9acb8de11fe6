import re
import sys
from pathlib import Path

import pytest

import bssl_tf.methods
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
    method = methods.create("barlow_twins", {"redundancy": 0.01}, backbone=dense_backbone())
    first = fit(method, (two_views(32),), learning_rate=1e-4)
    assert fit(method, *[(two_views(32),)] * 10)["loss"] < first["loss"]
