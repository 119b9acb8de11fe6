"""A run of the digits as it lies on disk, its networks with random weights: what export and evaluation start from."""

from pathlib import Path

from bssl_tf.config.saved import save
from bssl_tf.config.training import Config, DataSettings, RunSettings
from bssl_tf.models import BackboneSpec, build_backbone, save_backbone

SPEC = BackboneSpec("reactnet_small", 8, 1, mean=(78,), std=(96,), width=8, stages=1)
DATA = DataSettings(max_train_images=200, max_test_images=100)


def untrained_run(workdir: Path) -> Path:
    """A workdir with config.json and stage2/."""
    save(Config(data=DATA, run=RunSettings(workdir=str(workdir))), workdir / "config.json")
    save_backbone(build_backbone(SPEC), SPEC, workdir / "stage2")
    return workdir
