"""Reads what TensorFlow Lite's benchmark tool prints, which Larq Compute Engine's ``lce_benchmark_model`` is built on.

Lines may begin with the level of a log ("INFO: "). The columns of the table of operators differ between versions (some
have no ``[start]``), so they are found by their heads.
"""

import re
from dataclasses import dataclass

_NUMBER = r"([-+.\deE]+)"
_TIMINGS = re.compile(
    rf"Inference timings in us: Init: {_NUMBER}, First inference: {_NUMBER}, Warmup \(avg\): {_NUMBER}, "
    rf"Inference \(avg\): {_NUMBER}"
)
_STATISTICS = re.compile(r"^count=(\d+) .*\bavg=" + _NUMBER)
_PREFIX = re.compile(r"^(?:\x1b?\^?\[+A?)?(?:INFO: )?")
_PROFILE = "Operator-wise Profiling Info for Regular Benchmark Runs"
_RUN_ORDER = "= Run Order ="
_SECTION = re.compile(r"^=+ .* =+$")


class UnreadableOutput(ValueError):
    """The output holds no timings, or a table of operators in an unknown form."""


@dataclass(frozen=True)
class OperatorTime:
    """An operator of a profiled run: its kind (LceBconv2d), the tensor it makes, and its mean milliseconds."""

    kind: str
    name: str
    milliseconds: float


@dataclass(frozen=True)
class ToolRun:
    """One run of the tool; times are milliseconds, of one inference unless stated otherwise.

    Attributes:
        start: loading the file and preparing to run, once.
        first: the first inference.
        warm_up: mean of the runs that are not counted.
        mean: mean of those that are.
        deviation, fastest, slowest: of the same.
        repeats: their number.
        warm_up_runs: number of those that are not counted.
        operators: in the order in which they ran; empty without profiling.
    """

    start: float
    first: float
    warm_up: float
    mean: float
    deviation: float
    fastest: float
    slowest: float
    repeats: int
    warm_up_runs: int
    operators: tuple[OperatorTime, ...] = ()

    @property
    def milliseconds_by_kind(self) -> dict[str, float]:
        """Kind of operator → milliseconds of all of that kind together, slowest first."""
        sums: dict[str, float] = {}
        for operator in self.operators:
            sums[operator.kind] = sums.get(operator.kind, 0.0) + operator.milliseconds
        return dict(sorted(sums.items(), key=lambda item: -item[1]))


def parse(output: str) -> ToolRun:
    """Read the output of one run of the tool.

    Raises:
        UnreadableOutput: there is no line with timings: the tool has not come to its end. Or the table of operators
            has unknown columns.
    """
    lines = [_PREFIX.sub("", line.rstrip()) for line in output.splitlines()]
    timings = next((found for line in lines if (found := _TIMINGS.search(line))), None)
    counted = [line for line in lines if _STATISTICS.match(line)]
    if timings is None or not counted:
        raise UnreadableOutput("There is no line 'Inference timings in us' in the tool's output.")
    start, first, warm_up, mean = (float(number) / 1000 for number in timings.groups())
    statistics = dict(pair.split("=") for pair in counted[-1].split() if "=" in pair)
    numbers = [int(found[1]) for line in counted if (found := _STATISTICS.match(line))]
    return ToolRun(
        start=start,
        first=first,
        warm_up=warm_up,
        mean=mean,
        deviation=float(statistics.get("std", 0)) / 1000,
        fastest=float(statistics.get("min", statistics["avg"])) / 1000,  # a single run has no min, max and std
        slowest=float(statistics.get("max", statistics["avg"])) / 1000,
        repeats=numbers[-1],
        warm_up_runs=sum(numbers[:-1]),
        operators=tuple(_operators(lines)),
    )


def _operators(lines: list[str]) -> list[OperatorTime]:
    """Rows of the first table in run order behind the heading of the regular runs, if the run was profiled."""
    begin = next((number for number, line in enumerate(lines) if _PROFILE in line), None)
    if begin is None:
        return []
    table = next((number for number, line in enumerate(lines) if number > begin and _RUN_ORDER in line), None)
    if table is None:
        return []
    columns = [head.strip(" []\t") for head in re.findall(r"\[[^\]]*\]", lines[table + 1])]
    missing = {"node type", "avg ms", "Name"} - set(columns)
    if missing:
        raise UnreadableOutput(f"The table of operators has no column {', '.join(sorted(missing))}.")
    kind, mean, name = (columns.index(head) for head in ("node type", "avg ms", "Name"))
    found = []
    for line in lines[table + 2 :]:
        cells = re.split(r"\s*\t\s*|\s{2,}", line.strip())
        if _SECTION.match(line) or len(cells) < len(columns):
            break
        found.append(OperatorTime(cells[kind], cells[name].rsplit(":", 1)[0].strip("[]"), float(cells[mean])))
    return found
