"""How linear classifiers are fitted: penalty chosen on held-out training images, never on test images; threads."""

from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

HELD_OUT = 0.2
MAX_SELECTION_IMAGES = 15_000
ENOUGH_HELD_OUT = 50
MOST_REPEATS = 5
_WORTH_THREADS = 2**24
"""Numbers in the features from which on several threads may fit. For fewer they lose, as they wait for each other:
`fit_linear` of 1437×256 numbers on 2 idle cores 0.3 to 0.5 s instead of 0.1, at a load of 10 3 to 7 s instead of 0.2 to
1.3; of 10 000×256, idle, 0.9 to 1.2 s instead of 0.3."""


def choose_penalty(
    score: Callable[[float, np.ndarray, np.ndarray], float], labels: np.ndarray, grid: tuple[float, ...], seed: int
) -> tuple[float, dict[float, float]]:
    """Try every C of the grid on a fifth of the training images (of 15 000 at most, drawn by class).

    Where that is fewer than 50, it is repeated with other images held out, up to five times.

    Args:
        score: C, places to fit on, places to score on → accuracy there.
        labels: (n,) classes of the training images.
        grid: values of C, the inverse strength of the penalty.
        seed: of the draw.

    Returns:
        The best C and C → accuracy. Of equals, which are common with few images, the weakest penalty: a strong one
        would learn little but how many images each class has. Where even five times are not 50 images, chance would
        choose: 1.0, the libraries' default, and no accuracies.
    """
    places = np.arange(len(labels))
    if len(labels) > MAX_SELECTION_IMAGES:
        places = draw(labels, MAX_SELECTION_IMAGES, seed)
    splits = [held_out_split(labels[places], seed)]
    count = len(splits[0][1])
    if MOST_REPEATS * count < ENOUGH_HELD_OUT:
        return 1.0, {}
    repeats = -(-ENOUGH_HELD_OUT // count)
    splits += [held_out_split(labels[places], seed + repeat) for repeat in range(1, repeats)]
    accuracies = {c: float(np.mean([score(c, places[fit], places[held]) for fit, held in splits])) for c in grid}
    best = max(accuracies.values())
    return max(c for c, accuracy in accuracies.items() if accuracy == best), accuracies


def limited_threads(x: np.ndarray) -> threadpool_limits:
    """Context in which classifiers of features (n, D) are fitted by one thread, unless there are very many."""
    return threadpool_limits(None if x.size >= _WORTH_THREADS else 1)


def held_out_split(labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Places to fit on and places held out: a fifth of each class, one image at least, none of a single one."""
    random = np.random.default_rng(seed)
    fit, held = [], []
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        count = max(1, round(HELD_OUT * len(members))) if len(members) > 1 else 0
        held.append(members[:count])
        fit.append(members[count:])
    return np.sort(np.concatenate(fit)), np.sort(np.concatenate(held))


def draw(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Places of about so many images, classes in proportion, two of each class where it has two."""
    random = np.random.default_rng(seed)
    share = count / len(labels)
    chosen = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        size = min(len(members), max(2, round(share * len(members))))
        chosen.append(random.choice(members, size, replace=False))
    return np.concatenate(chosen)
