import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler, normalize

import bssl_tf.evaluation.protocols.linear as linear_module
import bssl_tf.evaluation.protocols.penalty_search as selection
from bssl_tf.evaluation.features import extract_features
from bssl_tf.evaluation.labelled_data import check_labels
from bssl_tf.evaluation.protocols.knn import knn_accuracies, knn_accuracy
from bssl_tf.evaluation.protocols.linear import linear_accuracy


def clusters(count, classes=4, width=12, spread=0.3, seed=0):
    """Points around one direction per class, with lengths that say nothing."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, width))
    labels = random.integers(0, classes, count)
    points = centres[labels] + spread * random.normal(size=(count, width))
    return (points * random.uniform(0.1, 10, (count, 1))).astype(np.float32), labels


def naive_knn_accuracy(train_x, train_y, test_x, test_y, k):
    right = 0
    for x, label in zip(test_x, test_y):
        cosines = train_x @ x / np.linalg.norm(train_x, axis=1)
        votes = np.bincount(train_y[np.argsort(-cosines)[:k]])
        right += votes.argmax() == label
    return right / len(test_x)


@pytest.mark.parametrize("spread", [0.3, 1.5, 4.0])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_knn_is_the_naive_one(spread, k):
    train, test = clusters(200, spread=spread, seed=1), clusters(100, spread=spread, seed=2)
    assert knn_accuracy(*train, *test, k=k) == pytest.approx(naive_knn_accuracy(*train, *test, k))


def test_all_k_plain_and_weighted_are_scikit_learns():
    (train_x, train_y), (test_x, test_y) = clusters(300, spread=3.0, seed=1), clusters(200, spread=3.0, seed=2)
    accuracies = knn_accuracies(train_x, train_y, test_x, test_y, (1, 5, 20, 200), temperature=0.2)
    for k, found in accuracies.items():
        for weights, accuracy in zip(("uniform", lambda distances: np.exp((1 - distances**2 / 2) / 0.2)), found):
            expected = KNeighborsClassifier(k, weights=weights, algorithm="brute").fit(normalize(train_x), train_y)
            assert accuracy == pytest.approx(expected.score(normalize(test_x), test_y), abs=0.0051)
    assert accuracies[200][0] != accuracies[200][1] and accuracies[1][0] == accuracies[1][1]


def test_knn_finds_planted_clusters_and_chance_without_them():
    assert knn_accuracy(*clusters(200), *clusters(100, seed=2)) == 1.0
    noise = np.random.default_rng(0).normal(size=(1200, 12)).astype(np.float32)
    labels = np.random.default_rng(1).integers(0, 4, 1200)
    assert abs(knn_accuracy(noise[:800], labels[:800], noise[800:], labels[800:]) - 0.25) < 0.1


def test_knn_needs_k_training_images():
    with pytest.raises(ValueError, match="20-NN.*at least 20.*there are 19"):
        knn_accuracy(*clusters(19), *clusters(5))


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


def test_selection_draws_classes_in_proportion_and_keeps_rare_ones(monkeypatch):
    monkeypatch.setattr(selection, "MAX_SELECTION_IMAGES", 100)
    labels = np.repeat([0, 1, 2], [900, 297, 3])
    x = np.random.default_rng(0).normal(size=(1200, 5))
    drawn = selection.draw(labels, 100, seed=0)
    assert np.bincount(labels[drawn]).tolist() == [75, 25, 2]
    fit, held = selection.held_out_split(labels, seed=0)
    assert np.bincount(labels[held]).tolist() == [180, 59, 1] and sorted([*fit, *held]) == list(range(1200))
    assert linear_accuracy(x, labels, x, labels).accuracy > 0.7


def test_of_equal_penalties_the_weakest_is_taken_and_few_images_are_held_out_several_times():
    tried = []

    def score(c, fit, held):
        tried.append((c, tuple(held)))
        return 0.5 if c < 1 else 0.4

    assert selection.choose_penalty(score, np.repeat([0, 1], 25), (0.01, 0.1, 1.0), seed=0)[0] == 0.1
    assert len(tried) == 15 and len({held for _, held in tried}) == 5
    assert selection.choose_penalty(score, np.repeat([0, 1], 20), (0.01, 0.1), seed=0) == (1.0, {})
    assert len(tried) == 15


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
    fit, held = selection.held_out_split(y, seed=0)
    assert 7 in fit and 7 not in held
    assert linear_accuracy(x, y, x, y).held_out_accuracy.keys() == set(linear_module.REGULARISATION_GRID)
    alone = [int(np.flatnonzero(y == label)[0]) for label in range(4)]
    result = linear_accuracy(x[alone], y[alone], x, y, scale_of=x)
    assert result.C == 1.0 and result.held_out_accuracy == {} and result.fits == 1


@pytest.fixture(scope="module")
def mean_colours():
    pixels = tf.keras.Input((4, 4, 3))
    x = tf.keras.layers.Dropout(0.5)(tf.keras.layers.GlobalAveragePooling2D()(pixels))
    return tf.keras.Model(pixels, x)


def coloured_images(count, seed):
    """One bright channel per class."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    images = random.integers(0, 120, (count, 4, 4, 3))
    images[np.arange(count), :, :, labels] += 100
    return images.astype(np.uint8), labels


def test_features_of_keras_in_inference_mode_in_order(mean_colours):
    images, _ = coloured_images(50, 0)
    expected = images.mean(axis=(1, 2))
    dataset = tf.data.Dataset.from_tensor_slices(images).batch(16)
    for batches in (dataset, [images[:30], images[30:]], (images[i : i + 7] for i in range(0, 50, 7))):
        features = extract_features(mean_colours, batches)
        assert features.dtype == np.float32 and np.allclose(features, expected, atol=1e-3)


class ByHand:
    def features(self, images):
        return images.mean(axis=(1, 2), dtype=np.float32)


def test_anything_with_features_can_be_evaluated(mean_colours):
    images, _ = coloured_images(20, 0)
    assert np.allclose(extract_features(ByHand(), [images]), extract_features(mean_colours, [images]), atol=1e-3)


def test_wrong_batches_are_refused(mean_colours):
    images, labels = coloured_images(8, 0)
    with pytest.raises(ValueError, match="without labels; received tuple"):
        extract_features(mean_colours, [(images, labels)])
    with pytest.raises(ValueError, match="float64"):
        extract_features(mean_colours, [images / 255])
    with pytest.raises(ValueError, match="--image_size"):
        extract_features(mean_colours, [images[:, :2]])
    with pytest.raises(ValueError, match="no images"):
        extract_features(mean_colours, [])


def test_broken_features_are_refused():
    pixels = tf.keras.Input((4, 4, 3))
    model = tf.keras.Model(pixels, tf.math.log(tf.reduce_mean(pixels, (1, 2)) - 1000.0))
    with pytest.raises(ValueError, match="8 of 8 images are NaN"):
        extract_features(model, [coloured_images(8, 0)[0]])


@pytest.mark.parametrize(
    "train_y, test_y, message",
    [
        (None, [0, 1], "this data set has none"),
        ([0] * 30, [0, 0], "two classes or more"),
        ([0, 1] * 15, [0, 5], r"Test images of 1 classes \(\[5\]"),
        (np.eye(2)[[0, 1] * 15], [0, 1], "one per image"),
    ],
)
def test_wrong_labels_are_refused_before_any_compute(train_y, test_y, message):
    with pytest.raises(ValueError, match=message):
        check_labels(train_y, test_y)


def test_a_penalty_under_which_the_larger_classes_win_everywhere_is_not_taken(monkeypatch):
    random = np.random.default_rng(0)
    y = np.array([0] * 12 + [1] * 7 + [2] * 7)
    x = (random.normal(size=(26, 3)) + 4 * np.eye(3)[y]).astype(np.float32)
    chosen = 1e-4, {1e-4: 1.0}
    monkeypatch.setattr(linear_module, "choose_penalty", lambda *_: chosen)
    assert linear_module._fit(x, y, 1e-4)[0].score(x, y) < 0.5
    fit = linear_module.fit_linear(x, y)
    assert fit.C > 1e-4 and fit.accuracy(x, y) > 0.9
