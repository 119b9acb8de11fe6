import math

import pytest

from bssl_tf.balancing import cosine_balance


@pytest.mark.parametrize("start, end", [(0.9, 0.7), (0.1, 0.3), (0.5, 0.5)])
def test_follows_the_papers_formula(start, end):
    for step in range(0, 1001, 37):
        expected = end - (end - start) * (math.cos(math.pi * step / 1000) + 1) / 2
        assert cosine_balance(step, 1000, start, end) == pytest.approx(expected, abs=1e-12)


def test_starts_at_start_ends_at_end_and_falls_in_between():
    values = [cosine_balance(step, 50) for step in range(51)]
    assert values[0] == pytest.approx(0.9) and values[-1] == pytest.approx(0.7)
    assert all(a > b for a, b in zip(values, values[1:]))


@pytest.mark.parametrize("arguments", [(-1, 10), (11, 10), (0, 0), (1, 10, 1.5, 0.7), (1, 10, 0.9, -0.1)])
def test_refuses_what_makes_no_sense(arguments):
    with pytest.raises(ValueError, match="must lie in"):
        cosine_balance(*arguments)
