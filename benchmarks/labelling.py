"""Labels spent against accuracy: what the atlas suggests to label beside photos drawn at random.

    python -m benchmarks.labelling --model=runs/demo/digits.tflite --photos=runs/demo/photos --test=runs/demo/test

Both folders are of `bssl_tf.atlas.demo_photos`, which writes the classes beside them; they answer in place of a person.
Accuracy is that of the atlas's linear classifier on the test photos. Every rule starts with nothing, and is asked again
after each batch.
"""

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from threadpoolctl import threadpool_limits

import bssl_tf  # noqa: F401  (before TensorFlow)
from benchmarks.report import Result, Table

RULES = ("random", "atlas", "typiclust", "badge", "margin_clusters")
BUDGETS = (10, 20, 30, 40, 60, 80, 100, 150, 200)


def accuracies(rule: str, seed: int, train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]):
    """Test accuracy at each of `BUDGETS`."""
    from bssl_tf.atlas.layout import reduced
    from bssl_tf.atlas.predicting import probabilities_of
    from bssl_tf.evaluation.protocols.linear import fit_linear

    (features, classes), (test_features, truth) = train, test
    generator = np.random.default_rng(seed)
    standard = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-6)
    coarse, labelled, probabilities, result = reduced(features), np.zeros(0, int), None, []
    for budget in BUDGETS:
        count = budget - len(labelled)
        new = _chosen(rule, standard, coarse, probabilities, labelled, classes, count, seed + budget, generator)
        labelled = np.concatenate([labelled, new])
        seen, places = np.unique(classes[labelled], return_inverse=True)
        if len(seen) < 2:
            result.append(float(np.mean(truth == seen[0])))
            continue
        fit = fit_linear(features[labelled], places, scale_of=features)
        probabilities = probabilities_of(fit, features, len(seen))
        given = seen[probabilities_of(fit, test_features, len(seen)).argmax(axis=1)]
        result.append(float(np.mean(given == truth)))
    return result


def _chosen(rule, standard, coarse, probabilities, labelled, classes, count, seed, generator) -> np.ndarray:
    from bssl_tf.atlas import suggesting

    if rule == "random":
        return generator.choice(np.setdiff1d(np.arange(len(standard)), labelled), count, replace=False)
    if rule == "typiclust" or probabilities is None:
        return suggesting.typiclust(coarse, labelled, count, seed)
    if rule == "atlas":
        number = len(np.unique(classes[labelled]))
        return suggesting.suggested(standard, coarse, probabilities, labelled, number, count, seed)[0]
    return getattr(suggesting, rule)(standard, probabilities, labelled, count, seed)


def rows_of(results: dict[str, np.ndarray]) -> list[tuple[str, ...]]:
    """Rule, then percent as mean ± deviation over the seeds; (seeds, budgets) by rule."""
    rows = []
    for rule, values in results.items():
        means, deviations = 100 * values.mean(axis=0), 100 * values.std(axis=0, ddof=1)
        pairs = zip(means, deviations, strict=True)
        rows.append((rule, *(f"{mean:.1f} ± {deviation:.1f}" for mean, deviation in pairs)))
    return rows


def _read(folder: Path, model: Path, session: Path) -> tuple[np.ndarray, np.ndarray]:
    from bssl_tf.atlas.indexing import open_index
    from bssl_tf.atlas.photos import PhotoFolder

    session.mkdir(parents=True)
    photos = PhotoFolder(folder)
    with open(folder.with_suffix(".csv"), newline="") as file:
        truth = {row["path"]: row["class"] for row in csv.DictReader(file)}
    return open_index(session, model, photos).features, np.array([truth[path] for path in photos.paths])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rules", default=",".join(RULES))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        train = _read(arguments.photos, arguments.model, Path(folder) / "train")
        test = _read(arguments.test, arguments.model, Path(folder) / "test")
    rules = arguments.rules.split(",")
    with threadpool_limits(1):  # small fits: more threads would wait for each other
        results = {rule: np.array([accuracies(rule, s, train, test) for s in range(arguments.seeds)]) for rule in rules}
    title = f"Accuracy on {len(test[1])} test images, %, by number of labels"
    notes = (f"{arguments.model.name}, {len(train[1])} photos without labels, {arguments.seeds} seeds.",)
    result = Result("labelling", [Table(title, ("what is labelled", *map(str, BUDGETS)), rows_of(results), notes)])
    result.show(Console(width=160))
    result.save()


if __name__ == "__main__":
    main()
