import io

import pytest

from bssl_tf.config.training import ViewSettings
from bssl_tf.console import PlainConsole
from bssl_tf.training.run_report import report_idle_blur


@pytest.mark.parametrize(
    "views, image_size, is_said",
    [
        (ViewSettings(blur_probability=0.5), 33, True),
        (ViewSettings(blur_probability=0.5), 34, False),
        (ViewSettings(blur_probability=0.5, blur_sigma=0.2), 224, True),
        (ViewSettings(blur_probability=0.0), 8, False),
        (ViewSettings(), 8, False),  # nobody asked for it
    ],
)
def test_blur_that_was_asked_for_and_cannot_act_is_told(views, image_size, is_said):
    stream = io.StringIO()
    report_idle_blur(PlainConsole(file=stream, width=300), views, image_size)
    assert ("--blur_probability=0.5 does nothing" in stream.getvalue()) == is_said
