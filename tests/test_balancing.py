import itertools
import math

import pytest

from bssl_tf.balancing import CosineBalance, cosine_balance


@pytest.mark.parametrize("start, end", [(0.9, 0.7), (0.1, 0.3), (0.5, 0.5)])
def test_follows_the_papers_formula(start, end):
    for step in range(0, 1001, 37):
        expected = end - (end - start) * (math.cos(math.pi * step / 1000) + 1) / 2
        assert cosine_balance(step, 1000, start, end).numpy() == pytest.approx(expected, abs=1e-6)


def test_starts_at_start_falls_to_end_and_stays_there():
    values = [CosineBalance(50)(step).numpy() for step in range(51)]
    assert values[0] == pytest.approx(0.9) and values[-1] == pytest.approx(0.7)
    assert all(a > b for a, b in itertools.pairwise(values))
    assert CosineBalance(50)(60).numpy() == pytest.approx(0.7)


@pytest.mark.parametrize("arguments, name", [((0,), "total_steps"), ((10, 1.5), "start"), ((10, 0.9, -0.1), "end")])
def test_refuses_what_makes_no_sense(arguments, name):
    with pytest.raises(ValueError, match=name):
        CosineBalance(*arguments)
