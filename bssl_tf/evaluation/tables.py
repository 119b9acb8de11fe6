"""Scores as tables: a short one of networks against headline measures, a long one of all measures."""

from collections.abc import Iterable, Mapping
from typing import Any

from bssl_tf.evaluation.results import Row

Table = list[tuple[str, ...]]
"""Lines of cells; the first line is the head."""


def short_table(rows: list[Row], facts: Mapping[str, Mapping[str, Any]]) -> Table:
    """A line a network, a column for each headline measure (of each data set, where there are several).

    Args:
        rows: of `summarise`.
        facts: network → "feature_size", "bytes" and "deviation", as far as known; what is known of none has no column.
    """
    several = len({row.data for row in rows}) > 1

    def head(row: Row) -> str:
        data = f"{row.data}: " if several else ""
        return f"{data}{row.measure} %{row.labels and f', {row.labels}'}"

    titles = unique(head(row) for row in rows if row.headline)
    cells = {(row.network, head(row)): accuracy(row) for row in rows if row.headline}
    lines = [("network", *titles, "features", ".tflite, KiB", "deviation from Keras")]
    for network in unique(row.network for row in rows):
        known = facts.get(network, {})
        size, deviation = known.get("bytes"), known.get("deviation")
        lines.append(
            (
                network,
                *(cells.get((network, title), "") for title in titles),
                str(known.get("feature_size") or ""),
                f"{size / 1024:.0f}" if size else "",
                f"{deviation:.1e}" if deviation is not None else "",
            )
        )
    known_of_some = [place for place in range(len(lines[0])) if any(line[place] for line in lines[1:])]
    return [tuple(line[place] for place in known_of_some) for line in lines]


def long_table(rows: list[Row]) -> Table:
    """A line a measure, a column a network."""
    networks = unique(row.network for row in rows)
    cells = {(row.data, row.title, row.network): accuracy(row) for row in rows}
    images = {(row.data, row.title): row.images for row in rows}
    lines = [("data", "measure, %", "labelled images", *networks)]
    for data, title in images:
        values = (cells.get((data, title, network), "") for network in networks)
        lines.append((data, title, str(images[data, title] or ""), *values))
    return lines


def accuracy(row: Row) -> str:
    """In per cent, with the deviation of the draws where there are several."""
    deviation = "" if row.deviation is None else f" ± {100 * row.deviation:.1f}"
    return f"{100 * row.mean:.1f}{deviation}"


def markdown(table: Table, words: int = 1) -> str:
    """The table as Markdown.

    Args:
        table: head first.
        words: columns at the left that hold words.
    """
    head, *lines = table
    ruler = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ruler, *lines)) + "\n"


def unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
