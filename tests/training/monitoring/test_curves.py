"""The plot of a phase shows what its method reports."""

import pytest

from bssl_tf.detection.method import Detection
from bssl_tf.methods.bssl import REPORTED
from bssl_tf.methods.byol import Byol
from bssl_tf.methods.moco_v2 import MocoV2
from bssl_tf.methods.s2bnn import S2bnn
from bssl_tf.methods.simclr import SimClr
from bssl_tf.methods.supervised import Supervised
from bssl_tf.methods.swav import Swav
from bssl_tf.training.monitoring.curves import PANELS, write_curves

SHOWN = {metric for _, metrics in PANELS for metric in metrics}
NOT_LEARNT = {"momentum", "objects"}
"""A schedule, and a property of the batch."""


@pytest.mark.parametrize("method", [Byol, MocoV2, S2bnn, SimClr, Supervised, Swav, Detection])
def test_what_a_method_reports_is_in_a_panel(method):
    assert set(method.reported) - NOT_LEARNT <= SHOWN


def test_what_bssl_reports_is_in_a_panel():
    assert {metric for metrics in REPORTED.values() for metric in metrics} | {"similarity", "balance"} <= SHOWN


def test_all_panels_fit_on_one_picture(tmp_path):
    write_curves(tmp_path / "curves.png", "all", [{"step": step, **dict.fromkeys(SHOWN, 0.5)} for step in (1, 2)])
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
