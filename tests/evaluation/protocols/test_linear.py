import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import bssl_tf.evaluation.protocols.linear as linear_module
from bssl_tf.evaluation.protocols import penalty_search
from bssl_tf.evaluation.protocols.linear import linear_accuracy
from tests.evaluation.protocols.clusters import clusters


def test_linear_separates_planted_clusters():
    result = linear_accuracy(*clusters(400), *clusters(200, seed=2))
    assert result.accuracy > 0.98 and result.unconverged == 0 and result.fits == 6


def test_linear_is_scikit_learns_fit_at_the_chosen_penalty():
    (train_x, train_y), (test_x, test_y) = clusters(400, spread=2.0), clusters(200, spread=2.0, seed=2)
    result = linear_accuracy(train_x, train_y, test_x, test_y)
    scaler = StandardScaler().fit(train_x)
    expected = LogisticRegression(C=result.C, max_iter=300).fit(scaler.transform(train_x), train_y)
    assert result.accuracy == pytest.approx(expected.score(scaler.transform(test_x), test_y), abs=0.006)
    assert result.held_out_accuracy[result.C] == max(result.held_out_accuracy.values())


def test_the_penalty_never_looks_at_the_test_set():
    train = clusters(300, spread=2.0)
    test_x, test_y = clusters(100, spread=2.0, seed=2)
    honest = linear_accuracy(*train, test_x, test_y)
    scrambled = linear_accuracy(*train, test_x, np.roll(test_y, 1))
    assert honest.C == scrambled.C and honest.held_out_accuracy == scrambled.held_out_accuracy
    assert honest == linear_accuracy(*train, test_x, test_y)


def test_fits_that_do_not_converge_are_counted(monkeypatch):
    monkeypatch.setattr(linear_module, "MAX_ITERATIONS", 1)
    result = linear_accuracy(*clusters(200, spread=2.0), *clusters(50))
    assert result.unconverged == result.fits == 11  # 40 images held out twice


def test_linear_refuses_what_it_cannot_learn():
    x, y = clusters(50)
    with pytest.raises(ValueError, match="two classes or more"):
        linear_accuracy(x, np.zeros(50, int), x, y)


def test_a_class_with_one_image_is_learned_but_not_held_out():
    x, y = clusters(50)
    y[y == 3] = 0
    y[7] = 3
    fit, held = penalty_search.held_out_split(y, seed=0)
    assert 7 in fit and 7 not in held
    assert linear_accuracy(x, y, x, y).held_out_accuracy.keys() == set(linear_module.REGULARISATION_GRID)
    alone = [int(np.flatnonzero(y == label)[0]) for label in range(4)]
    result = linear_accuracy(x[alone], y[alone], x, y, scale_of=x)
    assert result.C == 1.0 and result.held_out_accuracy == {} and result.fits == 1


def test_a_penalty_under_which_the_larger_classes_win_everywhere_is_not_taken(monkeypatch):
    random = np.random.default_rng(0)
    y = np.array([0] * 12 + [1] * 7 + [2] * 7)
    x = (random.normal(size=(26, 3)) + 4 * np.eye(3)[y]).astype(np.float32)
    chosen = 1e-4, {1e-4: 1.0}
    monkeypatch.setattr(linear_module, "choose_penalty", lambda *_: chosen)
    assert linear_module._fit(x, y, 1e-4)[0].score(x, y) < 0.5
    fit = linear_module.fit_linear(x, y)
    assert fit.C > 1e-4 and fit.accuracy(x, y) > 0.9
