import numpy as np

from bssl_tf.evaluation.protocols import penalty_search
from bssl_tf.evaluation.protocols.linear import linear_accuracy


def test_selection_draws_classes_in_proportion_and_keeps_rare_ones(monkeypatch):
    monkeypatch.setattr(penalty_search, "MAX_SELECTION_IMAGES", 100)
    labels = np.repeat([0, 1, 2], [900, 297, 3])
    x = np.random.default_rng(0).normal(size=(1200, 5))
    drawn = penalty_search.draw(labels, 100, seed=0)
    assert np.bincount(labels[drawn]).tolist() == [75, 25, 2]
    fit, held = penalty_search.held_out_split(labels, seed=0)
    assert np.bincount(labels[held]).tolist() == [180, 59, 1] and sorted([*fit, *held]) == list(range(1200))
    assert linear_accuracy(x, labels, x, labels).accuracy > 0.7


def test_of_equal_penalties_the_weakest_is_taken_and_few_images_are_held_out_several_times():
    tried = []

    def score(c, fit, held):
        tried.append((c, tuple(held)))
        return 0.5 if c < 1 else 0.4

    assert penalty_search.choose_penalty(score, np.repeat([0, 1], 25), (0.01, 0.1, 1.0), seed=0)[0] == 0.1
    assert len(tried) == 15 and len({held for _, held in tried}) == 5
    assert penalty_search.choose_penalty(score, np.repeat([0, 1], 20), (0.01, 0.1), seed=0) == (1.0, {})
    assert len(tried) == 15
