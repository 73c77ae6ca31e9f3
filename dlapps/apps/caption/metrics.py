"""How good captions are, in the field's own measures, and beside what takes no looking."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

Words = Sequence[str]
MOST = 4  # words of the longest runs that are compared
# Of the reference implementation of BLEU for captions: keep a product of zeros from 0 / 0.
TINY, SMALL = 1e-15, 1e-9
ROUGE_BETA = (
    1.2  # Recall counts more than precision (Lin 2004, https://aclanthology.org/W04-1013/).
)
CIDER_SIGMA = 6.0  # Spread of the lengths that count as alike.


def runs_of(words: Words, most: int = MOST) -> Counter:
    """Returns how often each run of up to `most` words stands in a caption."""
    return Counter(
        tuple(words[start : start + size])
        for size in range(1, most + 1)
        for start in range(len(words) - size + 1)
    )


def bleu(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[float]:
    """Returns BLEU-1 to BLEU-4 over all captions, in [0, 1].

    Runs of words count as often as they stand in the reference that has most of them, and captions
    shorter than the nearest reference are punished (Papineni et al. 2002,
    https://aclanthology.org/P02-1040/), in the arithmetic of the COCO caption evaluation
    (https://github.com/tylin/coco-caption).

    Args:
        captions: Words of one caption a picture.
        references: Words of the true captions, by picture.
    """
    right, given = np.zeros(MOST), np.zeros(MOST)
    own_length = true_length = 0
    for words, truth in zip(captions, references, strict=True):
        most: Counter = Counter()
        for reference in truth:
            most |= runs_of(reference)
        for run, count in runs_of(words).items():
            right[len(run) - 1] += min(count, most[run])
        given += np.maximum(len(words) - np.arange(MOST), 0)
        own_length += len(words)
        true_length += min((abs(len(r) - len(words)), len(r)) for r in truth)[1]
    precisions = (right + TINY) / (given + SMALL)
    ratio = (own_length + TINY) / (true_length + SMALL)
    penalty = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    products = np.cumprod(precisions)
    return [float(penalty * products[k] ** (1 / (k + 1))) for k in range(MOST)]


def rouge_l(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> float:
    """Returns the mean of ROUGE-L, in [0, 1]: how long a subsequence captions share with the truth.

    Args:
        captions: Words of one caption a picture.
        references: Words of the true captions, by picture.
    """
    scores = []
    for words, truth in zip(captions, references, strict=True):
        shared = [_longest_shared(words, reference) for reference in truth]
        precision = max(k / max(len(words), 1) for k in shared)
        recall = max(k / len(reference) for k, reference in zip(shared, truth, strict=True))
        score = 0.0
        if precision and recall:
            beta = ROUGE_BETA**2
            score = (1 + beta) * precision * recall / (recall + beta * precision)
        scores.append(score)
    return float(np.mean(scores))


def _longest_shared(one: Words, other: Words) -> int:
    best = [0] * (len(other) + 1)
    for word in one:
        diagonal = 0
        for place, theirs in enumerate(other, start=1):
            above = best[place]
            best[place] = diagonal + 1 if word == theirs else max(above, best[place - 1])
            diagonal = above
    return best[-1]


class Cider:
    """Measures how far captions agree with what people say of a picture, above all in rare words.

    CIDEr-D (Vedantam et al. 2015, https://arxiv.org/abs/1411.5726) as the COCO caption evaluation
    computes it: runs of words are weighed by how few pictures they are said of.

    Args:
        references: Words of the true captions, by picture.
    """

    def __init__(self, references: Sequence[Sequence[Words]]):
        counted = [[runs_of(reference) for reference in truth] for truth in references]
        self.pictures: Counter = Counter()
        for truth in counted:
            self.pictures.update({run for reference in truth for run in reference})
        self.log_count = math.log(max(len(references), 1))
        self.truth = [[self._weighed(reference) for reference in truth] for truth in counted]

    def score(self, words: Words, picture: int) -> float:
        """Returns how good a caption is, from 0 to 10.

        Args:
            words: Of the caption.
            picture: Its place among the references.
        """
        weights, norms, length = self._weighed(runs_of(words))
        total = np.zeros(MOST)
        for theirs, their_norms, their_length in self.truth[picture]:
            shared = np.zeros(MOST)
            for run, weight in weights.items():
                if run in theirs:
                    shared[len(run) - 1] += min(weight, theirs[run]) * theirs[run]
            scale = norms * their_norms
            shared = np.divide(shared, scale, out=shared, where=scale > 0)
            total += shared * math.exp(-((length - their_length) ** 2) / (2 * CIDER_SIGMA**2))
        return float(10 * total.mean() / max(len(self.truth[picture]), 1))

    def mean(self, captions: Sequence[Words]) -> float:
        """Returns the mean score of one caption a picture."""
        return float(np.mean([self.score(words, k) for k, words in enumerate(captions)]))

    def _weighed(self, runs: Counter) -> tuple[dict[tuple, float], np.ndarray, int]:
        """Returns the weight of each run, the norms by length of run, and the pairs of words."""
        weights, squares, pairs = {}, np.zeros(MOST), 0
        for run, count in runs.items():
            weight = count * (self.log_count - math.log(max(self.pictures[run], 1)))
            weights[run] = weight
            squares[len(run) - 1] += weight * weight
            pairs += count if len(run) == 2 else 0
        return weights, np.sqrt(squares), pairs


def measures(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> dict[str, float]:
    """Returns all measures that compare captions with those of people.

    Args:
        captions: Words of one caption a picture.
        references: Words of the true captions, by picture.
    """
    scores = {f"bleu{k}": value for k, value in enumerate(bleu(captions, references), start=1)}
    return {
        **scores,
        "rouge_l": rouge_l(captions, references),
        "cider": Cider(references).mean(captions),
    }


def variety(captions: Sequence[Words]) -> dict[str, float]:
    """Returns the part of the captions that differ from one another, and the words used."""
    return {
        "distinct": len({tuple(words) for words in captions}) / max(len(captions), 1),
        "vocabulary_used": len({word for words in captions for word in words}),
    }


def nearest(rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Returns for each row the place of the known row in the most alike direction.

    Args:
        rows: `(pictures, features)` float.
        known: `(others, features)` float.
    """
    unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9) for x in (rows, known)]
    return (unit[0] @ unit[1].T).argmax(axis=1)


def most_agreed(references: Sequence[Words], most: int = 2000) -> Words:
    """Returns the caption of people that agrees best with the others: the most usual one.

    Args:
        references: Words of captions.
        most: Of more, as many are looked at, spread evenly.
    """
    few = references[:: max(1, -(-len(references) // most))]
    frequency: Counter = Counter()
    for words in few:
        frequency.update(dict.fromkeys(runs_of(words, 2), 1))
    return max(
        few,
        key=lambda words: (
            sum(frequency[run] for run in runs_of(words, 2)) / (len(words) + 1) ** 0.5
        ),
    )


def next_words(said: Mapping[str, np.ndarray], truth: np.ndarray) -> float:
    """Returns which part of the words is the likeliest behind those before them.

    Args:
        said: `logits`, `(captions, time, vocabulary)`.
        truth: `(captions, time)` int, -1 where nothing is foretold.
    """
    return float((said["logits"].argmax(-1) == truth)[truth >= 0].mean())
