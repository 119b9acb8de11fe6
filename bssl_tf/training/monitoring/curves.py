"""Plots of a phase: losses, balance, signs of health and online 20-NN accuracy over the steps."""

import io
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from bssl_tf.files import write_bytes

PANELS = (
    (
        "losses",
        ("loss", "kl", "matching", "similarity", "target_loss", "contrastive")
        + ("class_loss", "box_loss", "centreness_loss"),
    ),
    ("balance λ", ("balance",)),
    ("target entropy (share of log K)", ("target_entropy", "target_batch_entropy")),
    ("spread of features and targets", ("feature_std", "target_std")),
    ("accuracy in training", ("accuracy", "contrast_accuracy")),
    ("prototypes in use", ("prototypes_used",)),
    ("online 20-NN accuracy", ("knn",)),
    ("binary layers", ("flip_ratio", "dead_channels")),
)


def write_curves(path: Path, title: str, rows: list[dict[str, float]]) -> None:
    """Write one PNG with a panel for each group of metrics that occurs in `rows`."""
    panels = [(name, [metric for metric in metrics if any(metric in row for row in rows)]) for name, metrics in PANELS]
    panels = [(name, metrics) for name, metrics in panels if metrics]
    if not panels:
        return
    across = min(3, len(panels))
    down = -(-len(panels) // across)
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=(4.2 * across, 2.8 * down), layout="constrained")
        figure.suptitle(title)
        for place, (name, metrics) in enumerate(panels, start=1):
            axes = figure.add_subplot(down, across, place)
            for metric in metrics:
                points = [(row["step"], row[metric]) for row in rows if metric in row]
                axes.plot(
                    *zip(*points, strict=True), label=metric, linewidth=1.2, marker="." if len(points) < 30 else None
                )
            if name.startswith("target entropy"):
                axes.set_ylim(0, 1.05)
            axes.set_title(name)
            axes.set_xlabel("step")
            axes.grid(alpha=0.3)
            if len(metrics) > 1:
                axes.legend(frameon=False)
        image = io.BytesIO()
        figure.savefig(image, format="png", dpi=110)
    write_bytes(path, image.getvalue())
