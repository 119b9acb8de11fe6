import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.deploy import TfliteBackbone, convert_backbone
from bssl_tf.deploy.codes import CodesError, binary_codes, check_codes, codes_in_graph, feature_centre
from bssl_tf.deploy.flatbuffer.edit import keep_outputs
from bssl_tf.errors import UserError


@pytest.fixture(scope="module")
def centre(plain, grey_images):
    return feature_centre(plain, tf.data.Dataset.from_tensor_slices(grey_images).batch(7))


@pytest.fixture(scope="module")
def both(plain, centre):
    return convert_backbone(plain, code_centre=centre)


def test_the_first_feature_is_the_lowest_bit():
    features = np.array([[1.0, -1, -1, -1, -1, -1, -1, -1, -1, 1]])
    assert binary_codes(features, np.zeros(10)).tolist() == [[1, 2]]
    assert binary_codes(np.zeros((1, 3)), np.zeros(3)).tolist() == [[7]]  # the mean itself counts as above


@pytest.mark.parametrize("width", [8, 13, 64])
def test_operators_and_numpy_agree(width):
    random = np.random.default_rng(0)
    features, centre = random.normal(size=(1, width)).astype(np.float32), random.normal(size=width)
    in_graph = codes_in_graph(tf.constant(features), centre).numpy()
    assert in_graph.dtype == np.uint8 and np.array_equal(in_graph, binary_codes(features, centre.astype(np.float32)))


def test_the_centre_is_the_mean_feature(plain, grey_images, centre):
    expected = plain(grey_images.astype(np.float32)).numpy().mean(axis=0)
    assert centre == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_file_gives_features_and_their_signs(both, centre, grey_images, plain_file):
    ones = check_codes(both, centre, grey_images)
    alive = TfliteBackbone(plain_file).features(grey_images).std(axis=0) > 0
    assert 0.2 < ones[alive].mean() < 0.8
    assert np.array_equal(
        TfliteBackbone(both).features(grey_images[:3]), TfliteBackbone(plain_file).features(grey_images[:3])
    )
    with pytest.raises(CodesError, match="not the signs"):
        check_codes(both, centre + 0.5, grey_images)


def test_codes_alone(both, grey_images):
    only = keep_outputs(both, ("codes",))
    network = TfliteBackbone(only)
    assert [output.name for output in network.report.outputs] == ["codes"]
    (codes,) = network.outputs(grey_images[:4], ("codes",))
    assert np.array_equal(codes, TfliteBackbone(both).outputs(grey_images[:4], ("codes",))[0])
    with pytest.raises(UserError, match="gives codes, but no features: convert again with --outputs=features"):
        network.features(grey_images[:1])
    with pytest.raises(UserError, match="gives codes, but no features"):
        network.output_of_features()  # which an evaluation asks before it measures anything
