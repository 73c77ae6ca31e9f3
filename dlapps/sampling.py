"""Picks the next token of a text."""

import numpy as np


def probabilities(
    logits: np.ndarray, temperature: float = 1.0, top_k: int | None = None,
    top_p: float | None = None,
) -> np.ndarray:  # fmt: skip
    """Returns how likely each token is to be picked.

    Args:
        logits: `(tokens,)` float.
        temperature: Above 0; below 1 the likely tokens gain, above 1 the unlikely ones.
        top_k: How many of the likeliest tokens stay, at least 1; None for all.
        top_p: The fewest of the likeliest that have this probability in all stay, in (0, 1]
            (Holtzman et al. 2020, https://arxiv.org/abs/1904.09751); None for all.

    Returns:
        `(tokens,)` float64, summing to 1.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}.")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, got {top_k}.")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be in (0, 1], got {top_p}.")
    scaled = logits.astype(np.float64)
    scaled -= scaled.max()  # First, or a low temperature makes infinities of it.
    weights = np.exp(scaled / temperature)
    if top_k is not None and top_k < len(weights):
        weights[np.argsort(-weights, kind="stable")[top_k:]] = 0
    weights /= weights.sum()
    if top_p is not None and top_p < 1:
        order = np.argsort(-weights, kind="stable")
        before = np.cumsum(weights[order]) - weights[order]
        weights[order[before >= top_p]] = 0
        weights /= weights.sum()
    return weights


def picked(chances: np.ndarray, rng: np.random.Generator) -> int:
    """Returns a token drawn by its probability.

    Args:
        chances: `(tokens,)` float, summing to 1.
        rng: Where the chance comes from.
    """
    # The sum may be a little below 1; what was ruled out is never drawn.
    place = int(np.searchsorted(np.cumsum(chances), rng.random(), side="right"))
    return place if place < len(chances) else int(np.flatnonzero(chances)[-1])
