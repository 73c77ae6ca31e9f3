import pytest

from dlapps.data.words import sentence, words

# As Stanford's PTBTokenizer 3.4.1, called by the COCO caption evaluation, cuts them (in small
# letters, its list of punctuation left out); noted down from a run of it.
REFERENCE = [
    ("A child in a pink dress is climbing up a set of stairs in an entry way .",
     "a child in a pink dress is climbing up a set of stairs in an entry way"),
    ("A man can't swim, isn't he?", "a man ca n't swim is n't he"),
    ("It's the dog's ball (red).", "it 's the dog 's ball -lrb- red -rrb-"),
    ("Mr. Smith's t-shirt reads \"Hello World!\".", "mr. smith 's t-shirt reads hello world"),
    ("They're gonna go... cannot stop -- now", "they 're gon na go can not stop now"),
    ("two 3-year-olds' toys; rock'n'roll", "two 3-year-olds toys rock 'n' roll"),
    ("A U.S. flag.", "a u.s. flag"),
    ("wearing an AT&T headphone", "wearing an at & t headphone"),
    ("the 1980's car", "the 1980 's car"),
    ("He paid $3.50 for 1,000 apples", "he paid $ 3.50 for 1,000 apples"),
    ("{x} [y]", "-lcb- x -rcb- -lsb- y -rsb-"),
    ("A woman & a man/child at www.example.com", "a woman & a man/child at www.example.com"),
    ("café naïve \u201cquoted\u201d it\u2019s", "café naïve quoted it 's"),
]  # fmt: skip


@pytest.mark.parametrize(("caption", "cut"), REFERENCE, ids=range(len(REFERENCE)))
def test_cuts_as_the_standard_tokenizer_does(caption, cut):
    assert words(caption) == cut.split()


def test_a_caption_of_punctuation_has_no_words():
    assert words(" . , !? -- ") == []


@pytest.mark.parametrize(
    ("caption", "written"),
    [
        ("a dog runs .", "A dog runs"),
        ("It's the dog's ball (red).", "It's the dog's ball (red)"),
        ("He doesn't swim", "He doesn't swim"),
        ("", ""),
    ],
)
def test_words_are_written_as_a_person_would(caption, written):
    assert sentence(words(caption)) == written
