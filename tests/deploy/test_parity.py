import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.deploy import Parity, ParityError, TfliteBackbone, compare, convert_backbone
from bssl_tf.deploy.interpreter import TfliteClassifier


def broken(model, change):
    """A copy of the model with `change` made to its list of weights."""
    twin = tf.keras.models.clone_model(model)
    weights = [values.copy() for values in model.get_weights()]
    change(weights, [weight.name.split("/")[-1] for weight in model.weights])
    twin.set_weights(weights)
    return twin


def scale_last_gamma(weights, names):
    weights[max(index for index, name in enumerate(names) if name == "gamma:0")] *= 1.01


def shift_one_beta(weights, names):
    weights[names.index("beta:0", names.index("beta:0") + 1)][3] += 0.3


def negate_one_filter(weights, names):
    weights[next(index for index, values in enumerate(weights) if values.shape == (3, 3, 32, 32))][..., 0] *= -1


def test_right_files_pass(residual, residual_file, images, plain, plain_file, grey_images):
    for model, file, pixels in ((residual, residual_file, images), (plain, plain_file, grey_images)):
        parity = compare(model, file, [pixels[:20], pixels[20:]]).check()
        assert parity.ok and parity.images == 32
        assert parity.agreeing > 0.8 and parity.expected_agreeing > 0.8
        assert parity.median_relative < 3e-6 and parity.smallest_cosine > 0.99


@pytest.mark.parametrize("change", [scale_last_gamma, shift_one_beta, negate_one_filter])
def test_a_small_break_fails_with_numbers(residual, residual_file, images, change):
    parity = compare(broken(residual, change), residual_file, [images])
    assert parity.agreeing == 0
    with pytest.raises(ParityError, match="0 of 32 images agree"):
        parity.check()


def test_zero_padding_is_not_one_padding(residual, residual_file, images, build):
    zero_padded = build["residual"](pad_values=0.0)
    zero_padded.set_weights(residual.get_weights())
    parity = compare(zero_padded, residual_file, [images])
    assert not parity.ok and parity.agreeing == 0


def test_numbers_are_those_of_the_definition(residual, residual_file, images):
    shifted = broken(residual, shift_one_beta)
    u = shifted(images.astype(np.float32)).numpy().astype(np.float64)
    v = TfliteBackbone(residual_file).features(images)
    relative = [np.sqrt(((a - b) ** 2).sum() / (a**2).sum()) for a, b in zip(u, v, strict=True)]
    cosines = [a @ b / np.sqrt((a @ a) * (b @ b)) for a, b in zip(u, v.astype(np.float64), strict=True)]
    parity = compare(shifted, residual_file, [images])
    assert parity.largest_deviation == pytest.approx(np.abs(u - v).max(), rel=1e-4)
    assert parity.largest_relative == pytest.approx(max(relative), rel=1e-4)
    assert parity.median_relative == pytest.approx(np.median(relative), rel=1e-4)
    assert parity.smallest_cosine == pytest.approx(min(cosines), abs=1e-6)


def test_the_models_weights_are_the_same_afterwards(plain, plain_file, grey_images):
    before = plain.get_weights()
    compare(plain, plain_file, [grey_images[:4]])
    assert all(np.array_equal(*pair) for pair in zip(before, plain.get_weights(), strict=True))


def parity(**numbers):
    return Parity(
        **{
            **dict(
                images=100,
                largest_deviation=0.5,
                largest_relative=0.08,
                median_relative=1e-6,
                smallest_cosine=0.996,
                agreeing=0.6,
                expected_agreeing=0.7,
            ),
            **numbers,
        }
    )


def test_flips_that_rounding_explains_are_forgiven():
    assert parity().ok
    assert parity(agreeing=0.1, expected_agreeing=0.2, median_relative=0.05).ok
    assert not parity(agreeing=0.1, expected_agreeing=0.9).ok
    assert not parity(smallest_cosine=0.5).ok


def test_a_doubtful_image_of_two_classes_does_not_condemn_the_file(plain, grey_images):
    kernel = np.random.default_rng(3).normal(size=48).astype(np.float32)
    decision = plain(grey_images.astype(np.float32)).numpy() @ kernel
    small = 1e-5 * np.median(np.abs(decision - decision[0]))

    def classifier(shift):  # to which the first image belongs only by the shift
        logits = tf.keras.layers.Dense(2)
        model = tf.keras.Model(plain.input, logits(plain.output))
        bias = shift - decision[0]
        logits.set_weights([np.stack([-kernel, kernel], axis=1), np.array([-bias, bias])])
        return model

    model, file = classifier(small), convert_backbone(classifier(-small), output="logits")
    u, v = model(grey_images[:1].astype(np.float32)).numpy(), TfliteClassifier(file).features(grey_images[:1])
    assert (u * v < 0).all()  # the cosine of this image is -1
    parity = compare(model, file, [grey_images]).check()
    assert parity.of_logits and parity.smallest_cosine > 0.9999 and "cosine of all logits 1.0" in str(parity)
    assert Parity.from_dict(parity.as_dict()).check_rounded("int8") == parity
    for wrong in (classifier(30 * small), broken(model, negate_all)):
        with pytest.raises(ParityError):
            compare(wrong, file, [grey_images]).check()
    with pytest.raises(ParityError, match="int8 loses too much: the file's logits have a cosine of only -"):
        compare(broken(model, negate_all), file, [grey_images]).check_rounded("int8")


def negate_all(weights, names):
    weights[-2] *= -1
    weights[-1] *= -1


def test_constant_channels_are_named_as_the_cause(plain, plain_file, grey_images):
    def kill_two_channels(weights, names):
        weights[max(index for index, name in enumerate(names) if name == "moving_variance:0")][:2] = 0

    dead = compare(broken(plain, kill_two_channels), plain_file, [grey_images])
    alive = compare(plain, plain_file, [grey_images])
    assert alive.ok and dead.constant_channels == alive.constant_channels + 2
    with pytest.raises(ParityError, match="channels in front of batch norms are constant"):
        dead.check()


def test_too_few_images_to_tell_is_told_apart_from_a_wrong_file():
    with pytest.raises(ParityError, match="Compare more images"):
        parity(agreeing=0.01, expected_agreeing=0.02).check()


def test_no_images_and_broken_features_are_refused(plain, plain_file, grey_images):
    with pytest.raises(ValueError, match="at least one image"):
        compare(plain, plain_file, [])
    nan = broken(plain, lambda weights, names: weights[-1].fill(np.nan))
    with pytest.raises(ValueError, match="NaN"):
        compare(nan, plain_file, [grey_images[:2]])
