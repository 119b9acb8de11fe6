"""Writes the performance section of README.md from the saved results.

python -m benchmarks.readme
"""

from pathlib import Path

from benchmarks.report import RESULTS, Result
from bssl_tf.files import write_text

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- performance: begin (python -m benchmarks.readme) -->", "<!-- performance: end -->"


def section(folder: Path = RESULTS) -> str:
    """Markdown of all results in a folder, in the order of their names."""
    parts = []
    for path in sorted(folder.glob("*.json")):
        result = Result.load(path)
        versions = ", ".join(f"{name} {number}" for name, number in result.versions.items())
        parts += [table.markdown() for table in result.tables]
        parts.append(f"`{result.command}`, {result.date}, {result.hardware}; {versions}.")
    return "\n\n".join(parts)


def rewritten(text: str, new: str) -> str:
    """The README with another performance section."""
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n\n{new}\n\n{END}{tail}"


if __name__ == "__main__":
    write_text(README, rewritten(README.read_text(), section()))
