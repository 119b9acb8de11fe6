from importlib.util import find_spec

import numpy as np
import pytest

from bssl_tf.search import nearest

needs_faiss = pytest.mark.skipif(find_spec("faiss") is None, reason="Faiss is not installed (the extra `search`)")


@needs_faiss
def test_nearest_are_those_of_the_definition():
    random = np.random.default_rng(0)
    features, queries = random.normal(size=(60, 24)).astype(np.float32), random.normal(size=(5, 24)).astype(np.float32)
    unit = [array / np.linalg.norm(array, axis=1, keepdims=True) for array in (features, queries)]
    cosines = unit[1] @ unit[0].T
    found = nearest.by_cosine(features, queries, 7)
    assert np.array_equal(found.places, np.argsort(-cosines, axis=1)[:, :7])
    assert found.scores == pytest.approx(np.sort(cosines, axis=1)[:, ::-1][:, :7], abs=1e-5)
    codes = np.packbits(features > 0, axis=1, bitorder="little")
    differing = (np.unpackbits(codes, axis=1)[:5, None] != np.unpackbits(codes, axis=1)[None]).sum(-1)
    by_code = nearest.by_hamming(codes, codes[:5], 9)
    assert np.array_equal(by_code.scores, np.sort(differing, axis=1)[:, :9])
    assert np.array_equal(np.take_along_axis(differing, by_code.places, 1), by_code.scores)


@needs_faiss
def test_recall_from_perfect_to_chance():
    random = np.random.default_rng(1)
    features = random.normal(size=(400, 64)).astype(np.float32)
    unrelated = random.integers(0, 256, (400, 8), np.uint8)
    codes = np.packbits(features > 0, axis=1, bitorder="little")
    signs = np.where(features > 0, 1, -1).astype(np.float32)
    assert nearest.recall(features, unrelated, 10) < 0.06
    assert 0.2 < nearest.recall(features, codes, 10) < nearest.recall(features, codes, 10, among=100) <= 1
    assert nearest.recall(features, codes, 399) == 1  # all are neighbours then
    assert nearest.recall(signs, codes, 10, among=60) > 0.99  # cosine and Hamming distance agree, but for ties
