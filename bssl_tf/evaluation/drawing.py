"""Draws the plots of an evaluation."""

from pathlib import Path
from typing import Any

from bssl_tf.console import console
from bssl_tf.evaluation.labelled_data import MOST_CLASSES
from bssl_tf.evaluation.measuring import Workspace
from bssl_tf.evaluation.neighbours import write_neighbours
from bssl_tf.evaluation.plots import FEWEST_OF_MAP, MAP_IMAGES, map_of, plot_accuracy, plot_confusion, plot_maps
from bssl_tf.evaluation.results import Row
from bssl_tf.evaluation.subsets import file_name

FEATURE_PROTOCOLS = ("knn", "linear", "svm")


def draw(rows: list[Row], records: list[dict[str, Any]], workspace: Workspace, folder: Path) -> None:
    """Write all plots that the records allow, for each data set.

    Args:
        rows: of `summarise`.
        records: what the rows come from.
        workspace: data and networks.
        folder: where plots go.
    """
    console.print("drawing plots …")
    for name, data in workspace.data.items():
        own, prefix = [row for row in rows if row.data == name], file_name(name)
        plot_accuracy(folder / f"{prefix}-accuracy.png", name, own)
        if data.classes <= MOST_CLASSES:
            for measure, matrices in _confusions(own).items():
                path = folder / f"{prefix}-confusion-{file_name(measure)}.png"
                plot_confusion(path, f"{name}, {measure}", matrices, data.class_names)
        else:
            console.print(f"  no confusion matrices: {name} has {data.classes} classes, {MOST_CLASSES} can be read")
        if data.several_labels:
            console.print(f"  no maps and no neighbours: images of {name} have several labels")
            continue
        every, maps = max(1, len(data.test_labels) // MAP_IMAGES), {}
        networks = _with_features(records, name)
        for network in networks:
            features = workspace.features(network, name)
            shown = features("test")[::every]
            if min(shown.shape) >= FEWEST_OF_MAP:
                maps[network] = map_of(shown)
            sheet = folder / f"{prefix}-neighbours-{file_name(network)}.png"
            image = next(record["image"] for record in records if record["network"] == network)
            write_neighbours(sheet, features("train"), features("test"), data, tuple(image))
        if without := [network for network in networks if network not in maps]:
            needs = f"t-SNE needs {FEWEST_OF_MAP} test images, and {FEWEST_OF_MAP} numbers a feature"
            console.print(f"  {name}: no map of {', '.join(without)}: {needs}")
        if maps:
            title = f"{name}: t-SNE of {len(data.test_labels[::every])} test images"
            plot_maps(folder / f"{prefix}-map.png", title, maps, data.test_labels[::every], data.class_names)
    console.print(f"plots in {folder}")


def _confusions(rows: list[Row]) -> dict[str, dict[str, list]]:
    """Measure → network → confusion matrix, each with the most labels there are."""
    found: dict[str, dict[str, list]] = {}
    for row in sorted(rows, key=lambda row: row.images):
        if row.details.get("confusion"):
            found.setdefault(row.measure, {})[row.network] = row.details["confusion"]
    return found


def _with_features(records: list[dict[str, Any]], data: str) -> list[str]:
    """Networks whose features were taken."""
    names = (r["network"] for r in records if r["data_name"] == data and r["protocol"] in FEATURE_PROTOCOLS)
    return list(dict.fromkeys(names))
