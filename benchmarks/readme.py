"""Writes what was measured into docs/performance.md and docs/results.md, and the main tables into README.md.

python -m benchmarks.readme
"""

from pathlib import Path

from benchmarks.report import RESULTS, Result
from bssl_tf.files import write_text

ROOT = Path(__file__).parent.parent
README, PERFORMANCE, ACCURACY = ROOT / "README.md", ROOT / "docs" / "performance.md", ROOT / "docs" / "results.md"
HEADING = "# Performance\n\nWritten by `python -m benchmarks.readme` from `benchmarks/results/`."
OF_ACCURACY = ("methods",)
"""Results that tell how good a network is, not what it costs."""


def section(names: list[str], everything: bool, folder: Path = RESULTS) -> str:
    """Markdown of saved results, in the order given: the tables for the README, or all."""
    parts = []
    for name in names:
        result = Result.load(folder / f"{name}.json")
        tables = [table.markdown() for table in result.tables if everything or table.in_readme]
        if tables:
            versions = ", ".join(f"{package} {number}" for package, number in result.versions.items())
            parts += [*tables, f"`{result.command}`, {result.date}, {result.hardware}; {versions}."]
    return "\n\n".join(parts)


def between_marks(text: str, mark: str, new: str) -> str:
    """The text with something new between ``<!-- MARK: begin … -->`` and ``<!-- MARK: end -->``."""
    begin, end = f"<!-- {mark}: begin (python -m benchmarks.readme) -->", f"<!-- {mark}: end -->"
    head, rest = text.split(begin)
    _, tail = rest.split(end)
    return f"{head}{begin}\n\n{new}\n\n{end}{tail}"


def pages() -> dict[Path, str]:
    """Path → what it is to hold."""
    names = sorted(path.stem for path in RESULTS.glob("*.json"))
    accuracy = [name for name in names if name in OF_ACCURACY]
    performance = [name for name in names if name not in OF_ACCURACY]
    return {
        README: between_marks(README.read_text(), "performance", section(performance, everything=False)),
        PERFORMANCE: f"{HEADING}\n\n{section(performance, everything=True)}\n",
        ACCURACY: between_marks(ACCURACY.read_text(), "methods", section(accuracy, everything=True)),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        write_text(path, text)
