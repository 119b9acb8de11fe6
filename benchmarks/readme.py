"""Writes what was measured into docs/performance.md, and the main tables into README.md's performance section.

python -m benchmarks.readme
"""

from pathlib import Path

from benchmarks.report import RESULTS, Result
from bssl_tf.files import write_text

ROOT = Path(__file__).parent.parent
README, ALL = ROOT / "README.md", ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- performance: begin (python -m benchmarks.readme) -->", "<!-- performance: end -->"
HEADING = "# Performance\n\nWritten by `python -m benchmarks.readme` from `benchmarks/results/`."


def section(folder: Path = RESULTS, everything: bool = False) -> str:
    """Markdown of the saved results, in the order of their names: the tables for the README, or all."""
    parts = []
    for path in sorted(folder.glob("*.json")):
        result = Result.load(path)
        tables = [table.markdown() for table in result.tables if everything or table.in_readme]
        if tables:
            versions = ", ".join(f"{name} {number}" for name, number in result.versions.items())
            parts += [*tables, f"`{result.command}`, {result.date}, {result.hardware}; {versions}."]
    return "\n\n".join(parts)


def rewritten(text: str, new: str) -> str:
    """The README with another performance section."""
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n\n{new}\n\n{END}{tail}"


if __name__ == "__main__":
    write_text(README, rewritten(README.read_text(), section()))
    write_text(ALL, f"{HEADING}\n\n{section(everything=True)}\n")
