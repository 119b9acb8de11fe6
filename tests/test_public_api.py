"""`import bssl_tf` is instant; its names are there when they are used."""

import subprocess
import sys

import pytest

import bssl_tf

NAMES = ("Bssl", "BackboneSpec", "build_backbone", "load_teacher", "convert_backbone", "train", "evaluate", "export")
LOSSES = ("kl_divergence", "feature_similarity", "nt_xent", "info_nce", "sinkhorn", "cross_entropy")


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_importing_and_listing_names_imports_neither_tensorflow_nor_numpy():
    done = python(
        "import sys, bssl_tf; names = dir(bssl_tf), bssl_tf.__all__\n"
        "print(sorted({'tensorflow', 'numpy', 'larq', 'absl'} & set(sys.modules)))"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_settings_and_calls_take_no_tensorflow():
    done = python(
        "import sys, bssl_tf; bssl_tf.Config(), bssl_tf.ExportSettings(), bssl_tf.EvaluationSettings()\n"
        "bssl_tf.train, bssl_tf.evaluate, bssl_tf.export, bssl_tf.UserError\n"
        "print('tensorflow' in sys.modules)"
    )
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize("name", [*NAMES, *LOSSES])
def test_a_public_name_is_the_thing_itself(name):
    assert getattr(bssl_tf, name).__name__ == name
    assert name in bssl_tf.__all__ and name in dir(bssl_tf)


def test_every_public_name_exists():
    for name in bssl_tf.__all__:
        assert getattr(bssl_tf, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        getattr(bssl_tf, "trian")  # noqa: B009
    with pytest.raises(ImportError):
        from bssl_tf import trian  # noqa: F401


def test_type_checkers_see_all_public_names():
    """The imports under TYPE_CHECKING and the lazy ones are the same."""
    import ast
    from pathlib import Path

    tree = ast.parse(Path(bssl_tf.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {(alias.name, node.module) for node in block.body for alias in node.names}
    lazy = {(name, module) for module, names in bssl_tf._MODULES.items() for name in names}
    assert seen == lazy
