"""What people see of a generator: its text as it is written."""

from collections.abc import Iterator

import numpy as np

from dlapps.apps.generate.data import encoded
from dlapps.apps.generate.data import shown as readable
from dlapps.apps.generate.model import CharRNN
from dlapps.apps.generate.predict import Style, predict
from dlapps.data.texts import Text
from dlapps.errors import UserError
from dlapps.showing import Writing

EXAMPLES = ("ROMEO:", "The ")


def shown(model: CharRNN) -> Writing:
    """Returns how a generator is shown."""

    def write(prompt: str, length: int, temperature: float, seed: int) -> Iterator[str]:
        text = "".join(Text("prompt", prompt, normalization=model.normalization).pieces())
        ids, strange = encoded(text, model.characters)
        if strange:
            raise UserError(
                f"The prompt holds {readable(strange)}, which the model does not know. It knows "
                f"{readable(model.characters)}."
            )
        rng = np.random.default_rng(seed)
        return predict(model, ids, length, Style(temperature), rng)

    known = set(model.characters)
    example = next((each for each in EXAMPLES if known.issuperset(each)), None)
    return Writing(write, example or model.characters.strip()[:1])
