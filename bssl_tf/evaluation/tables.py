"""Scores as tables: a short one of networks against headline measures, a long one of all measures."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table as RichTable

from bssl_tf.console import console
from bssl_tf.evaluation.results import EvaluationResult, Row
from bssl_tf.files import write_text

Table = list[tuple[str, ...]]
"""Lines of cells; the first line is the head."""


def print_tables(result: EvaluationResult) -> None:
    """Print the short table, one for each data set."""
    facts = _facts(result)
    for data in unique(row.data for row in result.rows):
        own = [row for row in result.rows if row.data == data]
        caption = _caption([record for record in result.records if record["data_name"] == data])
        head, *lines = short_table(own, facts)
        shown = RichTable(title=caption)
        for place, name in enumerate(head):
            shown.add_column(name, justify="right" if place else "left", min_width=0 if place else 24)
        for line in lines:
            shown.add_row(*line)
        console.print(shown)


def write_tables(result: EvaluationResult, path: Path) -> None:
    """Write the short table and the long one as Markdown."""
    short, long = short_table(result.rows, _facts(result)), long_table(result.rows)
    text = f"{_caption(result.records)}\n\n{markdown(short)}\n## All measures\n\n{markdown(long, words=2)}"
    write_text(path, text)


def _facts(result: EvaluationResult) -> dict[str, dict[str, Any]]:
    """Network → what its row shows beside scores."""
    facts = {record["network"]: {"feature_size": record["feature_size"]} for record in result.records}
    return facts | {network.name: facts.get(network.name, {}) | network.facts for network in result.networks}


def _caption(records: list[dict[str, Any]]) -> str:
    counts = {
        record["data_name"]: f"{record['training_images']} training images, {record['test_images']} test images"
        for record in records
    }
    return "; ".join(f"{name}: {count}" for name, count in counts.items())


def short_table(rows: list[Row], facts: Mapping[str, Mapping[str, Any]]) -> Table:
    """A line a network, a column for each headline measure (of each data set, where there are several).

    Args:
        rows: of `summarise`.
        facts: network → "feature_size", "bytes" and "deviation", as far as there are any. A column without entries is
            left out.
    """
    several = len({row.data for row in rows}) > 1

    def head(row: Row) -> str:
        data = f"{row.data}: " if several else ""
        return f"{data}{row.measure} %{row.labels and f', {row.labels}'}"

    titles = unique(head(row) for row in rows if row.headline)
    cells = {(row.network, head(row)): accuracy(row) for row in rows if row.headline}
    lines = [("network", *titles, "features", ".tflite, KiB", "deviation from Keras")]
    for network in unique(row.network for row in rows):
        own = facts.get(network, {})
        size, deviation = own.get("bytes"), own.get("deviation")
        lines.append(
            (
                network,
                *(cells.get((network, title), "") for title in titles),
                str(own.get("feature_size") or ""),
                f"{size / 1024:.0f}" if size else "",
                f"{deviation:.1e}" if deviation is not None else "",
            )
        )
    filled = [place for place in range(len(lines[0])) if any(line[place] for line in lines[1:])]
    return [tuple(line[place] for place in filled) for line in lines]


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
    """Every item once, in the order of its first appearance."""
    return list(dict.fromkeys(items))
