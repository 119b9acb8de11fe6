import io

import pytest
from rich.console import Console

from bssl_tf.progress import TrainingProgress


@pytest.mark.parametrize("total, last", [(3, "epoch 1/1 "), (20, "epoch 2/2 "), (25, "epoch 3/3 ")])
def test_a_last_epoch_that_is_not_whole_counts(total, last):
    stream = io.StringIO()
    progress = TrainingProgress(
        "phase",
        total_steps=total,
        start_step=0,
        steps_per_epoch=10,
        batch_size=4,
        console=Console(file=stream, width=200),
    )
    for step in range(1, total + 1):
        progress.advance(step)
    assert last in stream.getvalue()
