"""Shows scores as tables, on the console and in Markdown."""

from pathlib import Path
from typing import Any, Optional

from rich.table import Table as RichTable

from bssl_tf.console import console
from bssl_tf.evaluation.protocols.base import Network
from bssl_tf.evaluation.results import Row
from bssl_tf.evaluation.tables import Table, long_table, markdown, short_table, unique
from bssl_tf.files import write_text


def show(rows: list[Row], records: list[dict[str, Any]], networks: list[Network], output: Optional[Path]) -> None:
    """Print the short table, one for each data set, and write the short and the long one, of all, to `output`.

    Args:
        rows: of `summarise`.
        records: what the rows come from.
        networks: for what is known of their files; may be empty.
        output: folder of table.md; None: print only.
    """
    facts = {record["network"]: {"feature_size": record["feature_size"]} for record in records}
    for network in networks:
        facts[network.name] = facts.get(network.name, {}) | network.facts
    short, long = short_table(rows, facts), long_table(rows)
    for data in unique(row.data for row in rows):
        own = [row for row in rows if row.data == data]
        _print(short_table(own, facts), _caption([record for record in records if record["data_name"] == data]))
    if output is not None:
        text = f"{_caption(records)}\n\n{markdown(short)}\n## All measures\n\n{markdown(long, words=2)}"
        write_text(output / "table.md", text)
        console.print(f"also in {output / 'table.md'}, with all measures")


def _caption(records: list[dict[str, Any]]) -> str:
    counts = {
        record["data_name"]: f"{record['training_images']} training images, {record['test_images']} test images"
        for record in records
    }
    return "; ".join(f"{name}: {count}" for name, count in counts.items())


def _print(table: Table, title: str) -> None:
    head, *lines = table
    shown = RichTable(title=title)
    for place, name in enumerate(head):
        shown.add_column(name, justify="right" if place else "left", min_width=0 if place else 24)
    for line in lines:
        shown.add_row(*line)
    console.print(shown)
