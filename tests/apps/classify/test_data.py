from collections import Counter

import numpy as np
import pytest

from dlapps.apps.classify import data
from dlapps.data.augment import AUGMENTATIONS
from dlapps.errors import UserError
from tests.apps.classify.shapes import draw, write_folder


def names(examples):
    return {example.name for example in examples}


def test_the_split_keeps_the_share_of_every_class(tmp_path):
    write_folder(tmp_path / "set", per_class=20)
    for number in range(20, 40):
        draw("disc", 300 + number).save(tmp_path / f"set/disc/{number}.png")
    found = data.read_dataset(str(tmp_path / "set"), validation=0.25)
    assert Counter(example.label for example in found.validation) == {0: 10, 1: 5}
    assert Counter(example.label for example in found.train) == {0: 30, 1: 15}


def test_the_seed_fixes_the_split(shapes):
    splits = [names(data.read_dataset(str(shapes), seed=seed).validation) for seed in (1, 1, 2)]
    assert splits[0] == splits[1] != splits[2]


def test_the_split_does_not_depend_on_the_names_of_files(shapes):
    before = data.read_dataset(str(shapes))
    for path in [*shapes.rglob("*.png")]:
        path.rename(path.with_name(f"renamed-{99 - int(path.stem)}.png"))
    after = data.read_dataset(str(shapes))
    assert {e.digest for e in before.validation} == {e.digest for e in after.validation}
    assert before.fingerprint == after.fingerprint


def test_the_fingerprint_sees_another_label_and_another_pixel(shapes):
    before = data.read_dataset(str(shapes)).fingerprint
    (shapes / "disc/0.png").rename(shapes / "square/moved.png")
    moved = data.read_dataset(str(shapes)).fingerprint
    draw("disc", 4242).save(shapes / "disc/1.png")
    assert len({before, moved, data.read_dataset(str(shapes)).fingerprint}) == 3


@pytest.mark.parametrize("seed", range(5))
def test_copies_of_a_picture_never_straddle_the_split(shapes, seed):
    for number in range(5):
        content = (shapes / f"disc/{number}.png").read_bytes()
        for copy in range(3):
            (shapes / f"disc/copy-{number}-{copy}.png").write_bytes(content)
    found = data.read_dataset(str(shapes), seed=seed)
    train, held_out = ({e.digest for e in part} for part in (found.train, found.validation))
    assert not train & held_out
    assert any("15 pictures are copies" in note for note in found.notes)


def test_a_picture_with_two_labels_is_named(shapes):
    (shapes / "square/wrong.png").write_bytes((shapes / "disc/3.png").read_bytes())
    notes = " ".join(data.read_dataset(str(shapes)).notes)
    assert "more than one label" in notes
    assert "wrong.png" in notes


def test_the_data_s_own_validation_part_is_kept_and_overlap_is_told(tmp_path):
    write_folder(tmp_path / "set/train", per_class=4)
    write_folder(tmp_path / "set/val", per_class=2)
    write_folder(tmp_path / "set/test", per_class=3, first=900)
    found = data.read_dataset(str(tmp_path / "set"))
    assert (len(found.train), len(found.validation), len(found.test)) == (8, 4, 6)
    assert "4 pictures stand both in train and in validation" in found.notes[0]


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        pytest.param({"cat": 3}, "holds one class, 'cat'", id="one class"),
        pytest.param({"cat": 3, "dog": 1}, "class 'dog' has 1 picture", id="one picture"),
        pytest.param({}, "holds no class folders", id="no classes"),
        pytest.param({"cat": 0, "dog": 0}, "holds no class folders", id="empty classes"),
    ],
)
def test_too_little_data_is_one_line(tmp_path, counts, said):
    (tmp_path / "set").mkdir()
    for name, count in counts.items():
        (tmp_path / "set" / name).mkdir()
        for number in range(count):
            draw(name, number).save(tmp_path / f"set/{name}/{number}.png")
    with pytest.raises(UserError, match=said):
        data.read_dataset(str(tmp_path / "set"))


def test_two_copies_of_one_picture_are_one_picture(shapes):
    for path in (shapes / "disc").glob("*.png"):
        path.write_bytes((shapes / "disc/0.png").read_bytes())
    with pytest.raises(UserError, match="class 'disc' has 1 picture"):
        data.read_dataset(str(shapes))


def test_examples_to_measure_are_the_test_part(tmp_path):
    write_folder(tmp_path / "set/train", per_class=4)
    write_folder(tmp_path / "set/test", per_class=3, first=900)
    examples, notes = data.read_examples(str(tmp_path / "set"), ["square", "disc"])
    assert len(examples) == 6
    assert {e.label for e in examples if "disc" in e.name} == {1}
    assert "Only the test part" in notes[0]


def test_a_class_that_the_model_does_not_know_is_named(shapes):
    with pytest.raises(UserError, match=r"class 'disc', which the model does not know.*cat, dog"):
        data.read_examples(str(shapes), ["cat", "dog"])


def test_views_repeat_for_the_same_turn_and_differ_between_turns(shapes):
    found = data.read_dataset(str(shapes))
    views = data.Views(found.train, 32, 1.0, AUGMENTATIONS["standard"], seed=3)
    again = data.Views(found.train, 32, 1.0, AUGMENTATIONS["standard"], seed=3)
    np.testing.assert_array_equal(views.draw(0, 1), again.draw(0, 1))
    assert (views.draw(0, 1) != views.draw(0, 2)).any()


def test_every_epoch_has_every_picture_once_in_another_order(shapes):
    found = data.read_dataset(str(shapes))
    views = data.Views(found.train, 32, 1.0, None, seed=0)
    plain = [views.draw(k).tobytes() for k in range(len(found.train))]
    epochs = []
    with data.shuffled_batches(views, 5) as feed:
        for _ in range(2):
            batches = [*feed.dataset.as_numpy_iterator()]
            assert [len(labels) for _, labels in batches] == [5, 5, 5, 1]
            drawn = [(x, y) for xs, ys in batches for x, y in zip(xs, ys, strict=True)]
            epochs.append([plain.index(x.tobytes()) for x, _ in drawn])
            assert all(found.train[plain.index(x.tobytes())].label == y for x, y in drawn)
    assert sorted(epochs[0]) == sorted(epochs[1]) == [*range(16)]
    assert epochs[0] != epochs[1]


def test_views_go_on_from_any_step_of_any_epoch(shapes):
    found = data.read_dataset(str(shapes))
    augmentation = AUGMENTATIONS["standard"]

    def drawn(epoch, step, passes):
        views = data.Views(found.train, 32, 1.0, augmentation, seed=3)
        with data.shuffled_batches(views, 5) as feed:
            feed.seek(epoch, step)
            dataset = feed.dataset
            return [[*dataset.as_numpy_iterator()] for _ in range(passes)]

    whole = drawn(0, 0, passes=3)
    resumed = drawn(1, 2, passes=2)
    assert [len(epoch) for epoch in resumed] == [2, 4]
    for expected, batches in zip([whole[1][2:], whole[2]], resumed, strict=True):
        for one, other in zip(expected, batches, strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])


def test_plain_batches_are_the_same_in_every_epoch(shapes):
    found = data.read_dataset(str(shapes))
    views = data.Views(found.train, 32, 1.0)
    with data.plain_batches(views, 6) as feed:
        one, other = ([*feed.dataset.as_numpy_iterator()] for _ in range(2))
    for (images, labels), (same_images, same_labels) in zip(one, other, strict=True):
        np.testing.assert_array_equal(images, same_images)
        np.testing.assert_array_equal(labels, same_labels)
    assert sum(len(labels) for _, labels in one) == 16


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        pytest.param(8, 64, id="tiny"),
        pytest.param(100, 128, id="up to a multiple of 32"),
        pytest.param(500, 224, id="never above 224"),
    ],
)
def test_the_image_size_follows_the_pictures(side, expected):
    pictures = [np.zeros((side, side + 9, 3), np.uint8)] * 3
    examples = [data.Example(str(k), image, 0) for k, image in enumerate(pictures)]
    assert data.fitting_size(examples) == expected
