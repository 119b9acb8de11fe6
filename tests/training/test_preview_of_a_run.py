"""--preview_views shows the views that the run would begin with."""

import numpy as np
import pytest
from PIL import Image

from bssl_tf.config.training import Config, DataSettings, FeatureCacheSettings, RunSettings
from bssl_tf.data import load_source
from bssl_tf.data.preview import _GAP as GAP
from bssl_tf.data.preview import _SMALLEST_TILE as TILE
from bssl_tf.data.preview import _TITLE_HEIGHT as TITLE
from bssl_tf.training.run import train
from bssl_tf.training.run_data import RunData
from bssl_tf.training.training_data import training_data

IMAGES, SIZE = 24, 8


@pytest.mark.parametrize(("task", "phase", "cycle"), [("all", 1, 0), ("all", 1, 2), ("teacher", 0, 2)])
def test_the_sheet_has_the_views_of_the_first_stage_or_of_the_teacher_alone(tmp_path, task, phase, cycle):
    settings = DataSettings(max_train_images=IMAGES, max_test_images=20)
    run = RunSettings(workdir=str(tmp_path), preview_views=True, task=task, seed=5)
    config = Config(data=settings, cache=FeatureCacheSettings(view_cycle=cycle), run=run)
    train(config)
    sheet = np.asarray(Image.open(tmp_path / "views.png").convert("L"))
    epochs = 2 if cycle and task == "all" else 3
    assert sheet.shape[1] == GAP + (1 + 2 * epochs) * (TILE + GAP)

    data = RunData.open(settings, *(load_source(settings, split, tmp_path) for split in ("train", "test")))
    view_cycle = cycle if task == "all" else 0
    options = dict(views=config.views, seed=5, phase=phase, batch_size=IMAGES, epochs=1, view_cycle=view_cycle)
    options["decoded_cache_mb"] = settings.decoded_cache_mb
    ((first, _), *_) = next(iter(training_data(data, **options).views_from(0)))
    trained = np.rint(first.numpy()[..., 0])
    for row in range(8):
        top, left, step = TITLE + GAP + row * (TILE + GAP), GAP + TILE + GAP, TILE // SIZE
        shown = sheet[top : top + TILE : step, left : left + TILE : step].astype(int)
        assert np.abs(trained - shown).max(axis=(1, 2)).min() <= 4
