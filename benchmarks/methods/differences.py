"""Mean, deviation and paired differences over seeds."""

import statistics
from collections.abc import Mapping

from scipy import stats


def mean_and_deviation(values: list[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation, which one value does not have."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def paired_difference(
    values: Mapping[int, float], of_reference: Mapping[int, float], confidence: float = 0.95
) -> tuple[float, float | None]:
    """Mean difference to the reference over the seeds that both have, and half the width of its interval.

    The interval is Student's: mean ± t · s / √n with n - 1 degrees of freedom. Two seeds make it very wide (t = 12.7),
    three still wide (4.3); one seed has none.

    Args:
        values: seed → accuracy.
        of_reference: seed → accuracy of what is compared with.
        confidence: of the interval.

    Raises:
        ValueError: there is no common seed.
    """
    differences = [values[seed] - of_reference[seed] for seed in sorted(values.keys() & of_reference.keys())]
    if not differences:
        raise ValueError(f"no common seed of {sorted(values)} and {sorted(of_reference)}.")
    return mean_and_interval(differences, confidence)


def mean_and_interval(values: list[float], confidence: float = 0.95) -> tuple[float, float | None]:
    """Mean and half the width of its Student interval, which one value does not have."""
    mean, deviation = mean_and_deviation(values)
    if deviation is None:
        return mean, None
    quantile = stats.t.ppf((1 + confidence) / 2, len(values) - 1)
    return mean, float(quantile * deviation / len(values) ** 0.5)
