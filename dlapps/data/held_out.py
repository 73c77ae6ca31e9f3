"""Chooses which examples to validate on, so that every class is on both sides."""

from collections import Counter
from collections.abc import Mapping, Set

import numpy as np


def held_out(classes: Mapping[str, Set[int]], part: float, seed: int) -> set[str]:
    """Holds out a part of every class, of examples that may have several or none.

    The rarest class chooses first (iterative stratification, Sechidis et al. 2011,
    https://doi.org/10.1007/978-3-642-23808-6_10). Neither the names nor the order of files change
    what is chosen.

    Args:
        classes: Of each example, by a key that depends on its content alone.
        part: How much to hold out, in (0, 1).
        seed: Fixes which.

    Returns:
        The keys of those held out: of every class that two examples have at least one and not all,
        where their other classes allow it.
    """
    keys = sorted(classes)
    order = np.random.default_rng(seed).permutation(len(keys))
    waiting = {keys[k]: classes[keys[k]] or frozenset({-1}) for k in order}
    numbers = Counter(label for own in waiting.values() for label in own)
    wanted = {
        label: min(max(1, round(part * number)), number - 1) for label, number in numbers.items()
    }
    spare = {label: number - 1 for label, number in numbers.items()}  # One stays to learn from.
    left = Counter(numbers)
    chosen: set[str] = set()
    while waiting:
        rarest = min((label for label in left if left[label]), key=lambda k: (left[k], k))
        own = {key: labels for key, labels in waiting.items() if rarest in labels}
        # First those that all their classes want, then those that their classes can spare.
        for counts in (wanted, spare):
            for key, labels in own.items():
                if wanted[rarest] > 0 and key not in chosen and all(counts[k] > 0 for k in labels):
                    chosen.add(key)
                    for label in labels:
                        wanted[label] -= 1
                        spare[label] -= 1
        for key, labels in own.items():
            del waiting[key]
            left.subtract(labels)
    return chosen
