import numpy as np
import pytest

from dlapps.apps.generate import data
from dlapps.data import texts
from dlapps.errors import UserError

LINES = "one two three\nfour five six\n" * 30


@pytest.fixture
def text(tmp_path):
    (tmp_path / "lines.txt").write_text(LINES)
    return tmp_path / "lines.txt"


def decoded(ids, corpus):
    return "".join(corpus.characters[k] for k in ids)


def test_the_end_of_the_text_is_held_out(text):
    corpus = data.read_corpus([str(text)], part=0.25)
    assert decoded(corpus.train, corpus) + decoded(corpus.validation, corpus) == LINES
    assert len(corpus.validation) == len(LINES) / 4
    assert corpus.characters == "".join(sorted(set(LINES)))
    assert corpus.name == "lines"
    assert not corpus.notes


def test_however_small_the_part_something_is_held_out(text):
    assert len(data.read_corpus([str(text)], part=1e-9).validation) == 1


def test_a_second_text_is_held_out_instead_and_its_characters_are_known(text, tmp_path):
    (tmp_path / "other.txt").write_text("ZEBRA")
    corpus = data.read_corpus([str(text)], held_out=str(tmp_path / "other.txt"))
    assert decoded(corpus.train, corpus) == LINES
    assert decoded(corpus.validation, corpus) == "ZEBRA"


def test_known_characters_keep_their_ids_and_new_ones_come_behind(text):
    corpus = data.read_corpus([str(text)], known="xwut")
    assert corpus.characters.startswith("xwut")
    assert sorted(corpus.characters) == sorted(set(LINES))
    assert decoded([*corpus.train, *corpus.validation], corpus) == LINES
    (note,) = corpus.notes
    assert "new to the model" in note
    assert "'\\n'" in note


def test_characters_that_are_all_known_need_no_note(text):
    known = "".join(sorted(set(LINES), reverse=True)) + "Q"
    corpus = data.read_corpus([str(text)], known=known)
    assert corpus.characters == known
    assert not corpus.notes


def test_the_fingerprint_changes_with_the_text_and_the_split_alone(text, tmp_path):
    def fingerprint(name, content=LINES, **settings):
        (tmp_path / name).write_text(content)
        return data.read_corpus([str(tmp_path / name)], **settings).fingerprint

    first = data.read_corpus([str(text)]).fingerprint
    assert fingerprint("renamed.txt") == first
    others = {
        fingerprint("edited.txt", LINES.replace("six", "sex", 1)),
        fingerprint("swapped.txt", LINES[::-1]),
        fingerprint("split.txt", part=0.2),
        fingerprint("second.txt", held_out=str(text)),
    }
    assert len({first, *others}) == 5


def test_several_files_are_one_text(text, tmp_path):
    for name, content in (("b10.txt", "END"), ("b9.txt", "BEGIN"), ("b.png", "no text")):
        (tmp_path / "folder" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "folder" / name).write_text(content)
    corpus = data.read_corpus([str(text), str(tmp_path / "folder")])
    assert decoded([*corpus.train, *corpus.validation], corpus) == LINES + "BEGINEND"


def test_characters_beyond_the_basic_plane_are_one_each(tmp_path):
    (tmp_path / "smile.txt").write_text("a😀é" * 20, encoding="utf-8")
    corpus = data.read_corpus([str(tmp_path / "smile.txt")])
    assert corpus.characters == "aé😀"
    assert len(corpus.train) + len(corpus.validation) == 60


@pytest.mark.parametrize("chunk", [7, 100_000])
def test_a_long_text_is_kept_on_disk_and_is_the_same(text, monkeypatch, chunk):
    monkeypatch.setattr(texts, "CHUNK", chunk)
    in_memory = data.read_corpus([str(text)])
    monkeypatch.setattr(data, "IN_MEMORY", 50)
    on_disk = data.read_corpus([str(text)])
    assert isinstance(on_disk.train, np.memmap)
    np.testing.assert_array_equal(on_disk.train, in_memory.train)
    np.testing.assert_array_equal(on_disk.validation, in_memory.validation)
    assert on_disk.fingerprint == in_memory.fingerprint
    assert not [*data.cache_folder().iterdir()]  # Its file has no name.


def test_more_characters_than_a_byte_counts_are_told_apart(tmp_path):
    content = "".join(map(chr, range(0x4E00, 0x4E00 + 700)))
    (tmp_path / "many.txt").write_text(content, encoding="utf-8")
    corpus = data.read_corpus([str(tmp_path / "many.txt")])
    assert decoded([*corpus.train, *corpus.validation], corpus) == content


def test_an_empty_text_is_refused(tmp_path):
    (tmp_path / "empty.txt").touch()
    with pytest.raises(UserError, match=r"empty\.txt is empty"):
        data.read_corpus([str(tmp_path / "empty.txt")])
    with pytest.raises(UserError, match="is empty"):
        data.read_text(str(tmp_path / "empty.txt"))


def test_a_text_is_read_whole(text):
    assert data.read_text(str(text)) == LINES


def test_the_sample_is_a_text_that_needs_no_file():
    corpus = data.read_corpus(["sample"])
    assert corpus.name == "sample"
    assert len(corpus.train) > 100_000
    assert {*"etaoin \n"} <= {*corpus.characters}


def test_unknown_characters_are_left_out_and_told_once_each():
    ids, unknown = data.encoded("cabbage", "abc")
    assert [*ids] == [2, 0, 1, 1, 0]
    assert unknown == "eg"
    ids, unknown = data.encoded("", "abc")
    assert len(ids) == 0
    assert unknown == ""


def test_shown_characters_can_be_told_apart():
    assert data.shown("é\t \n") == r"'é' '\t' ' ' '\n'"
    assert data.shown("abcdef", 2) == "'a' 'b' and 4 more"
    assert data.shown("ab", 2) == "'a' 'b'"


IDS = np.arange(1000)


def windows(ids, window, batch_size, seed=0):
    return data.random_windows(ids, window, batch_size, seed, timed=False)


def test_targets_are_the_inputs_moved_by_one():
    feed = windows(IDS, 7, 4)
    batches = [*feed.epoch(0, 0)]
    assert len(batches) == feed.steps
    for inputs, targets in batches:
        assert inputs.shape == targets.shape == (4, 7)
        np.testing.assert_array_equal(targets, inputs + 1)


def test_no_place_is_read_twice_in_an_epoch_and_few_are_left_out():
    read = np.concatenate([targets.ravel() for _, targets in windows(IDS, 7, 4).epoch(3, 0)])
    assert len(np.unique(read)) == len(read)
    assert len(read) > 0.9 * len(IDS)


def test_each_epoch_cuts_the_text_at_other_places_in_another_order():
    feed = windows(IDS, 50, 4)
    firsts = [np.concatenate([x[:, 0] for x, _ in feed.epoch(k, 0)]) for k in range(20)]
    assert len({tuple(each % 50) for each in firsts}) > 10
    assert all((np.diff(each) < 0).any() for each in firsts)


def test_the_seed_fixes_the_windows():
    one, same, other = ([*windows(IDS, 7, 4, seed).epoch(1, 0)] for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, same)
    assert (np.array(one) != np.array(other)).any()


@pytest.mark.parametrize("kind", ["random", "streams"])
def test_from_any_step_of_any_epoch_the_batches_are_those_of_going_through(kind):
    def drawn(epoch, step, passes):
        feed = windows(IDS, 30, 4) if kind == "random" else data.streams(IDS, 30, 4, timed=False)
        with feed:
            feed.seek(epoch, step)
            dataset = feed.dataset
            found = [[*dataset.as_numpy_iterator()] for _ in range(passes)]
        assert [len(each) for each in found] == [feed.steps - step] + [feed.steps] * (passes - 1)
        return found

    whole, resumed = drawn(0, 0, 3), drawn(1, 2, 2)
    for expected, batches in zip([whole[1][2:], whole[2]], resumed, strict=True):
        for one, other in zip(expected, batches, strict=True):
            np.testing.assert_equal(one, other)


@pytest.mark.parametrize("window", [2, 5, 8])
def test_a_text_just_long_enough_for_one_window_is_one(window):
    feed = windows(np.arange(window + 1), window, 64)
    ((inputs, targets),) = feed.epoch(0, 0)
    np.testing.assert_array_equal(inputs, [np.arange(window)])
    np.testing.assert_array_equal(targets, [np.arange(1, window + 1)])


@pytest.mark.parametrize("length", range(6, 60, 7))
def test_windows_stay_within_the_text(length):
    for window in (2, 5):
        for epoch in range(10):
            for _, targets in windows(np.arange(length), window, 3).epoch(epoch, 0):
                assert targets.max() < length


def test_rows_of_streams_go_on_where_they_ended():
    feed = data.streams(IDS, 30, 4, timed=False)
    batches = [*feed.epoch(0, 0)]
    assert len(batches) == feed.steps == 8
    ends = None
    for number, ((inputs, anew), targets) in enumerate(batches):
        np.testing.assert_array_equal(targets, inputs + 1)
        assert anew.tolist() == [number == 0] * 4
        if ends is not None:
            np.testing.assert_array_equal(inputs[:, 0], ends)
        ends = targets[:, -1]
    read = np.concatenate([targets.ravel() for _, targets in batches])
    assert len(np.unique(read)) == len(read)


def test_there_are_no_more_streams_than_windows():
    feed = data.streams(np.arange(17), 8, 64, timed=False)
    (((inputs, _), targets),) = feed.epoch(0, 0)
    assert inputs[:, 0].tolist() == [0, 8]
    assert targets.max() == 16


@pytest.mark.parametrize("length", [2, 3, 16, 17, 1000, 16385, 16386, 40000])
def test_every_held_out_character_but_the_first_is_counted_once(length):
    inputs, targets = data.held_out_batches(np.arange(length))
    assert inputs.shape == targets.shape
    counted = targets != data.IGNORED
    assert sorted(targets[counted]) == [*range(1, length)]
    np.testing.assert_array_equal(inputs[counted], targets[counted] - 1)


@pytest.mark.parametrize("length", [2, 1000, 40000])
def test_what_is_counted_stands_after_context_that_is_not(length):
    inputs, targets = data.held_out_batches(np.arange(length))
    assert (targets[..., : data.CONTEXT] == data.IGNORED).all()
    first = inputs[..., data.CONTEXT, None]
    expected = np.clip(first - data.CONTEXT + np.arange(data.CONTEXT), 0, None)
    real = targets[..., data.CONTEXT] != data.IGNORED  # Rows that begin before the text's end.
    np.testing.assert_array_equal(inputs[..., : data.CONTEXT][real], expected[real])
