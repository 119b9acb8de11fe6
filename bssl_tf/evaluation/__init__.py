"""How good are a backbone's features? k-NN and linear accuracy of the frozen network, Keras or .tflite.

scores = evaluate_backbone(backbone, train_images, train_labels, test_images, test_labels)
scores["knn"], scores["linear"]
"""

from dataclasses import asdict
from typing import Any, Optional

import numpy as np

from bssl_tf.errors import UserError
from bssl_tf.evaluation.features import extract_features
from bssl_tf.evaluation.knn import knn_accuracy
from bssl_tf.evaluation.linear import LinearResult, linear_accuracy

__all__ = ["LinearResult", "evaluate_backbone", "extract_features", "knn_accuracy", "linear_accuracy"]


def evaluate_backbone(
    model,
    train_images,
    train_labels: Optional[np.ndarray],
    test_images,
    test_labels: Optional[np.ndarray],
    *,
    k: int = 20,
    seed: int = 0,
) -> dict[str, Any]:
    """k-NN and linear accuracy of a frozen backbone.

    Args:
        model: Keras backbone or an object with `features`, as `extract_features` takes.
        train_images: uint8 batches (b, S, S, C).
        train_labels: (n,) classes in the order of the images.
        test_images: uint8 batches (b, S, S, C).
        test_labels: (m,) classes in the order of the images.
        k: neighbours of the k-NN accuracy.
        seed: of the choice of the linear classifier's penalty.

    Returns:
        knn, linear: accuracies in 0..1; k; linear_details: all of `LinearResult`; train_images,
        test_images, classes: counts; feature_size: D.

    Raises:
        UserError: labels are missing, do not match the images or have fewer than two classes; a test class
            without training images; fewer than k training images.
    """
    train_y, test_y = _checked_labels(train_labels, test_labels, k)
    train_x = extract_features(model, train_images, "features of training images")
    test_x = extract_features(model, test_images, "features of test images")
    for part, x, y in (("training", train_x, train_y), ("test", test_x, test_y)):
        if len(x) != len(y):
            raise UserError(f"There are {len(x)} {part} images but {len(y)} {part} labels; they must match one to one.")
    linear = linear_accuracy(train_x, train_y, test_x, test_y, seed)
    return {
        "knn": knn_accuracy(train_x, train_y, test_x, test_y, k),
        "linear": linear.accuracy,
        "k": k,
        "linear_details": asdict(linear),
        "train_images": len(train_x),
        "test_images": len(test_x),
        "classes": len(np.unique(train_y)),
        "feature_size": train_x.shape[1],
    }


def _checked_labels(train_labels, test_labels, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Everything that can be wrong with labels, before any image goes through the network."""
    if train_labels is None or test_labels is None:
        raise UserError(
            "Evaluation needs labels, and this data set has none. Training does without; to evaluate, name a"
            " labelled --dataset, or sort the images into one folder per class."
        )
    train_y, test_y = np.asarray(train_labels), np.asarray(test_labels)
    for part, labels in (("training", train_y), ("test", test_y)):
        if labels.ndim != 1 or not len(labels):
            raise UserError(
                f"The {part} labels must be a list of classes, one per image; received shape {labels.shape}."
            )
    classes = np.unique(train_y)
    if len(classes) < 2:
        raise UserError(f"Evaluation needs two classes or more; all training images are of class {classes.tolist()}.")
    unknown = np.setdiff1d(test_y, classes)
    if len(unknown):
        raise UserError(
            f"Test images of {len(unknown)} classes ({unknown[:5].tolist()} …) have no training images of"
            " their class. Use more training images (--max_train_images) or the right --train_split and"
            " --test_split."
        )
    if len(train_y) < k:
        raise UserError(f"{k}-NN accuracy needs at least {k} training images, but there are {len(train_y)}. Give more.")
    return train_y, test_y
