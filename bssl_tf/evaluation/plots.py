"""Pictures of an evaluation: accuracy over labels, confusion of classes, maps of features."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from bssl_tf.console import printable
from bssl_tf.evaluation.labelled_data import MOST_CLASSES
from bssl_tf.evaluation.results import Row
from bssl_tf.evaluation.tables import unique
from bssl_tf.files import write_bytes

MAP_IMAGES = 2000
"""Images of a map, about; where there are more, every so-manieth is drawn."""
FEWEST_OF_MAP = 2
"""Images, and numbers of a feature, that t-SNE needs at least."""


def plot_accuracy(path: Path, title: str, rows: list[Row]) -> bool:
    """Accuracy over the number of labelled images, a panel a measure, a line a network, bars for deviations.

    Returns:
        Whether there was a measure with several numbers of labels; without one nothing is written.
    """
    measures = [m for m in unique(row.measure for row in rows) if len({r.images for r in rows if r.measure == m}) > 1]
    if not measures:
        return False
    figure, panels = _panels(measures, title, width=5.2, height=3.8)
    networks = unique(row.network for row in rows if row.measure in measures)
    colours = {network: matplotlib.colormaps["tab10"](place % 10) for place, network in enumerate(networks)}
    dashes = {n: ("-", "--", "-.", ":", (0, (1, 4)))[(place + place // 10) % 5] for place, n in enumerate(networks)}
    for measure, axes in panels:
        for network in networks:
            points = sorted((r for r in rows if (r.measure, r.network) == (measure, network)), key=lambda r: r.images)
            if points:
                axes.errorbar(
                    [row.images for row in points],
                    [100 * row.mean for row in points],
                    [100 * (row.deviation or 0.0) for row in points],
                    label=_plain(network),
                    color=colours[network],
                    linestyle=dashes[network],
                    marker=".",
                    capsize=3,
                    linewidth=1.2,
                )
        counts = sorted({row.images for row in rows if row.measure == measure})
        axes.set_xscale("log")
        axes.set_xticks(counts, [str(count) for count in counts], rotation=45)
        axes.minorticks_off()
        axes.set_xlabel("labelled images")
        axes.set_ylabel("accuracy on test images, %")
        axes.grid(alpha=0.3)
    lines = {label: line for _, axes in panels for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(lines.values(), lines, loc="outside lower center", frameon=False, fontsize=7, ncols=2)
    figure.set_figheight(figure.get_figheight() + 0.08 * len(lines))
    _write(path, figure)
    return True


def plot_confusion(path: Path, title: str, matrices: dict[str, list[list[int]]], class_names: Sequence[str]) -> None:
    """Which classes are taken for which: a panel a network, rows are true classes, each row adds up to 100 %."""
    figure, panels = _panels(list(matrices), title, width=4.4, height=4.2)
    for network, axes in panels:
        counts = np.asarray(matrices[network], float)
        shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        axes.set_xticks(range(len(class_names)), [_plain(name) for name in class_names], rotation=90)
        axes.set_yticks(range(len(class_names)), [_plain(name) for name in class_names])
        axes.set_xlabel("given")
        axes.set_ylabel("true")
        if len(class_names) <= 12:
            for row, column in np.argwhere(shares >= 0.5):
                colour = "white" if shares[row, column] > 50 else "black"
                text = f"{shares[row, column]:.0f}"
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=6)
    _write(path, figure)


def map_of(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """(n, D) features → (n, 2) points: t-SNE of their directions, after PCA to 50 numbers; n, D ≥ `FEWEST_OF_MAP`."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from sklearn.preprocessing import normalize
    from threadpoolctl import threadpool_limits

    directions = normalize(features)
    reduced = PCA(min(50, *directions.shape), random_state=seed).fit_transform(directions)
    perplexity = min(30.0, (len(features) - 1) / 3)
    tsne = TSNE(init="pca", perplexity=perplexity, max_iter=500, random_state=seed)
    with threadpool_limits(1, user_api="openmp"):  # threads that wait for each other are slower on a busy machine
        return tsne.fit_transform(reduced)


def plot_maps(
    path: Path, title: str, maps: dict[str, np.ndarray], labels: np.ndarray, class_names: Sequence[str]
) -> None:
    """Maps of features, a panel a network, a colour a class.

    Args:
        path: PNG file to write.
        title: of the picture.
        maps: network → (n, 2) points.
        labels: (n,) classes.
        class_names: of all classes.
    """
    figure, panels = _panels(list(maps), title, width=4.2, height=4.2)
    palette = matplotlib.colormaps["tab10" if len(class_names) <= 10 else "nipy_spectral"]
    for network, axes in panels:
        for label, name in enumerate(class_names):
            chosen = labels == label
            colour = palette(label) if len(class_names) <= 10 else palette(label / len(class_names))
            axes.scatter(*maps[network][chosen].T, s=4, color=colour, label=_plain(name))
        axes.set_xticks([])
        axes.set_yticks([])
    if len(class_names) <= MOST_CLASSES:
        handles, names = panels[0][1].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside right center", markerscale=3, frameon=False)
    _write(path, figure)


def _panels(names: list[str], title: str, width: float, height: float) -> tuple[Figure, list[tuple[str, Any]]]:
    across = min(3, len(names))
    down = -(-len(names) // across)
    with matplotlib.rc_context({"font.size": 8}):
        figure = Figure(figsize=(width * across, height * down), layout="constrained")
        figure.suptitle(_plain(title))
        panels = [(name, figure.add_subplot(down, across, place)) for place, name in enumerate(names, start=1)]
        for name, axes in panels:
            axes.set_title(_plain(name))
    return figure, panels


def _plain(name: str) -> str:
    """A name, which may be that of a file, as matplotlib can draw it and without its formulas."""
    return printable(name).replace("$", r"\$")


def _write(path: Path, figure: Figure) -> None:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    write_bytes(path, image.getvalue())
