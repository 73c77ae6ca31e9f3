"""Measures captions with pycocoevalcap, for `caption_quality.py`; needs Java for its tokenizer.

Reads a JSON file of captions and of the true captions of each picture; writes BLEU-1 to 4, ROUGE-L
and CIDEr as JSON to standard output.
"""

import json
import sys
from pathlib import Path

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer


def main(path: str) -> None:
    """Measures, and prints the scores."""
    captions, truth = json.loads(Path(path).read_text())
    tokenizer = PTBTokenizer()
    own = tokenizer.tokenize({k: [{"caption": text}] for k, text in enumerate(captions)})
    true = tokenizer.tokenize(
        {k: [{"caption": text} for text in each] for k, each in enumerate(truth)}
    )
    scores = [*Bleu(4).compute_score(true, own, verbose=0)[0]]
    scores += [Rouge().compute_score(true, own)[0], Cider().compute_score(true, own)[0]]
    print(json.dumps([float(score) for score in scores]))


if __name__ == "__main__":
    main(sys.argv[1])
