"""The word that a job leaves on itself may be damaged."""

import pytest

from bssl_tf.atlas.jobs import FinetuneRunner, JobState


@pytest.mark.parametrize("text", ["", "[1]", '{"phrase": "done"}', "[" * 100_000])
def test_a_damaged_state_is_none(tmp_path, text):
    runner = FinetuneRunner(tmp_path)
    runner._state_file.write_text(text)
    assert runner.state() == JobState()
