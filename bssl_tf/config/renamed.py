"""Old names that still work for one release: of settings (flags, saved runs, recipes) and of metrics (files of a run).

A renamed setting keeps its old flag as an alias that logs a deprecation. Files with old names are read as if they had
the new ones, and are written with the new ones.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

Value = TypeVar("Value")

SETTINGS = {
    "small_views": "local_crops",
    "small_view_size": "local_crop_size",
    "small_crop_max": "local_crop_max",
    "sgd_drops": "sgd_milestones",
    "stem_multiplier": "layerwise_lr_decay",
}
"""Old → new name of settings."""

METRICS = {"flipped_weights": "flip_ratio"}
"""Old → new name of columns in epochs.csv and of the final metrics in summary.json."""


def with_new_names(values: Mapping[str, Value], renamed: Mapping[str, str]) -> dict[str, Value]:
    """The same values under the names of today, in the same order; a value saved under its new name wins."""
    return {renamed.get(name, name): values.get(renamed.get(name, name), value) for name, value in values.items()}


def old_name(name: str) -> str | None:
    """What a setting was called before; None if it has its first name."""
    return next((old for old, new in SETTINGS.items() if new == name), None)


def with_target(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Settings saved before there was ``target``: ``train_target`` chose between two of its values."""
    others = {name: value for name, value in saved.items() if name != "train_target"}
    if "train_target" not in saved:
        return others
    target = "joint" if saved["train_target"] else "frozen"
    return {"similarity_map": "auto", "standardise": "no", **others, "target": target}
