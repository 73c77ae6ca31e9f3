from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from dlapps.apps.detect.data import (
    fitting_size,
    plain_batches,
    read_dataset,
    read_examples,
    shuffled_batches,
    unreadable,
)
from dlapps.data.box_augment import BOX_AUGMENTATIONS
from dlapps.data.boxed import BoxedExample
from dlapps.data.boxed_views import PADDED_TO, Views, batch_of
from dlapps.errors import UserError
from tests.data.boxed_files import voc_xml, write_voc, write_yolo
from tests.data.marked_pictures import edges_of, marked

CAT = ("cat", (8, 6, 24, 30))
DOG = ("dog", (30, 10, 60, 40))
HARD = ("dog", (30, 10, 60, 40), True)


@pytest.fixture
def pets(tmp_path):
    """Twelve pictures: eight of a cat, three of a dog too, one of nothing."""
    return write_voc(tmp_path / "pets", [[CAT]] * 8 + [[CAT, DOG]] * 3 + [[]])


def example(number, boxes, labels, size=(80, 60), crowd=None):
    """Returns a picture in memory with boxes in the colours of their labels."""
    return BoxedExample(
        f"made/{number}",
        marked(size, boxes, labels),
        np.reshape(np.array(boxes, np.float32), (-1, 4)),
        np.array(labels, np.int32),
        np.array(crowd or [False] * len(labels), bool),
        size,
        f"{number:016x}".ljust(64, "0"),
    )


@pytest.fixture
def made():
    """Seven examples of up to three boxes."""
    rng = np.random.default_rng(0)
    boxes = [[[2 + 26 * k, 5, 24 + 26 * k, int(rng.integers(20, 55))] for k in range(3)]] * 7
    return [example(n, own[: n % 4], [0, 1, 2][: n % 4]) for n, own in enumerate(boxes)]


def names(examples):
    return {example.name for example in examples}


@pytest.mark.parametrize("seed", range(4))
def test_every_class_is_on_both_sides(pets, seed):
    found = read_dataset(str(pets), seed=seed)
    assert len(found.train) + len(found.validation) == 12
    for part in (found.train, found.validation):
        assert {label for e in part for label in e.labels.tolist()} == {0, 1}
    assert len(found.validation) in (2, 3, 4)


def test_the_seed_fixes_the_split(pets):
    splits = [names(read_dataset(str(pets), seed=seed).validation) for seed in (1, 1, 2, 3)]
    assert splits[0] == splits[1]
    assert len({frozenset(split) for split in splits}) > 1


def test_neither_names_nor_folders_change_split_and_fingerprint(pets, tmp_path):
    before = read_dataset(str(pets))
    for path in [*pets.rglob("*.jpg"), *pets.rglob("*.xml")]:
        path.rename(path.with_stem(f"renamed-{99 - int(path.stem)}"))
    after = read_dataset(str(pets.rename(tmp_path / "moved")))
    assert {e.digest for e in before.validation} == {e.digest for e in after.validation}
    assert before.fingerprint == after.fingerprint


def test_the_fingerprint_sees_box_label_crowd_picture_and_split(pets):
    prints = [read_dataset(str(pets)).fingerprint]
    file = pets / "Annotations/9.xml"
    for things in ([CAT, ("dog", (30, 10, 60, 41))], [CAT, ("cat", DOG[1])], [CAT, HARD]):
        file.write_text(voc_xml("9.jpg", (64, 48), things))
        prints.append(read_dataset(str(pets)).fingerprint)
    write_voc(pets, [[CAT]] * 8 + [[CAT, DOG]] * 3 + [[]], lists={"train": range(9), "val": [9]})
    prints.append(read_dataset(str(pets)).fingerprint)
    (pets / "JPEGImages/0.jpg").write_bytes((pets / "JPEGImages/1.jpg").read_bytes())
    prints.append(read_dataset(str(pets)).fingerprint)
    assert len(set(prints)) == 6


@pytest.mark.parametrize("seed", range(4))
def test_copies_of_a_picture_never_straddle_the_split(pets, seed):
    for number in range(5):
        content = (pets / f"JPEGImages/{number}.jpg").read_bytes()
        (pets / f"JPEGImages/copy-{number}.jpg").write_bytes(content)
        text = voc_xml("x", (64, 48), [CAT])
        (pets / f"Annotations/copy-{number}.xml").write_text(text)
    found = read_dataset(str(pets), seed=seed)
    train, held_out = ({e.digest for e in part} for part in (found.train, found.validation))
    assert not train & held_out
    assert "5 pictures in excess are copies of others; copies stay on one side." in found.notes


def test_the_data_s_own_parts_are_kept_and_overlap_is_told(tmp_path):
    lists = {"train": range(4), "val": [3, 4], "test": [5]}
    found = read_dataset(str(write_voc(tmp_path, [[CAT, DOG]] * 6, lists=lists)))
    assert (len(found.train), len(found.validation), len(found.test)) == (4, 2, 1)
    assert any(note.startswith("1 picture of train and of validation are") for note in found.notes)


def test_a_class_without_boxes_to_learn_from_is_told(tmp_path):
    settings = "train: images\nnames: [cat, dog, fish, bird]\n"
    root = write_yolo(tmp_path, [[(0, CAT[1])], [(0, CAT[1])], [(1, DOG[1])]], settings=settings)
    notes = read_dataset(str(root)).notes
    assert "No box to learn from for 2 classes: fish, bird." in notes


@pytest.mark.parametrize(
    ("things", "lists", "said"),
    [
        pytest.param([[CAT], [CAT]], {"val": [0], "test": [1]}, "has no part 'train'", id="train"),
        pytest.param(
            [[HARD], [HARD]], {"train": [0], "val": [1]}, "has no box in the", id="crowds"
        ),
        pytest.param([[CAT]], {}, "holds one picture. Two are needed", id="one picture"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(tmp_path, things, lists, said):
    root = write_voc(tmp_path / "pets", things, lists=lists)
    with pytest.raises(UserError, match=said):
        read_dataset(str(root))


def test_examples_to_measure_on_are_of_the_test_part(tmp_path):
    lists = {"train": range(3), "test": [3]}
    root = write_voc(tmp_path / "pets", [[CAT], [CAT], [DOG], [DOG]], lists=lists)
    examples, notes = read_examples(str(root), ["bird", "dog", "cat"])
    assert [e.labels.tolist() for e in examples] == [[1]]
    assert notes[-1] == "Only the test part is used."
    assert examples[0].digest
    with pytest.raises(
        UserError, match=r"class 'dog', which the model does not know. It knows a\."
    ):
        read_examples(str(root), ["a"])


def test_all_examples_are_measured_on_where_there_is_no_test_part(pets):
    examples, notes = read_examples(str(pets), ["dog", "cat"])
    assert len(examples) == 12
    assert examples[8].labels.tolist() == [1, 0]
    assert "Only the test part is used." not in notes


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [
        pytest.param((640, 480), 100, 320, id="usual"),
        pytest.param((640, 480), 10, 640, id="small things"),
        pytest.param((4000, 3000), 150, 448, id="photos"),
        pytest.param((200, 150), 50, 224, id="small pictures"),
        pytest.param((64, 48), 20, 160, id="tiny pictures"),
        pytest.param((640, 480), 0, 320, id="no boxes"),
    ],
)
def test_the_image_size_suits_pictures_and_boxes(size, side, expected):
    boxes = [[0, 0, side, side]] if side else []
    one = example(0, [], [], size=(8, 8))
    one = replace(one, size=size, boxes=np.reshape(np.array(boxes, np.float32), (-1, 4)))
    assert fitting_size([one] * 3) == expected


def test_a_plain_view_is_letterboxed_with_its_boxes(made):
    views = Views(made, 96, BOX_AUGMENTATIONS["standard"])
    image, boxes, labels = views.draw(3)
    assert image.shape == (96, 96, 3)
    for box, label in zip(boxes, labels, strict=True):
        np.testing.assert_allclose(box, edges_of(image, label), atol=1.1)
    assert len(boxes) == 3


def test_boxes_follow_a_picture_that_is_kept_smaller():
    one = example(0, [[100, 60, 500, 300]], [0], size=(800, 600))
    image, boxes, _ = Views([one], 96).draw(0)
    np.testing.assert_allclose(boxes[0], edges_of(image), atol=1.1)


def test_crowds_are_not_learnt():
    one = example(0, [[2, 5, 24, 40], [30, 5, 54, 40]], [0, 1], crowd=[False, True])
    for turn in (0, 1):
        _, _, labels = Views([one], 96, BOX_AUGMENTATIONS["light"]).draw(0, turn)
        assert labels.tolist() == [0]


def test_a_view_depends_on_seed_turn_and_picture_alone(made):
    views = Views(made, 96, BOX_AUGMENTATIONS["standard"], seed=3)
    asked = [(index, turn) for index in range(7) for turn in (1, 2)]
    alone = [views.draw(*one) for one in asked]
    again = Views(made, 96, BOX_AUGMENTATIONS["standard"], seed=3)
    with ThreadPoolExecutor(4) as pool:
        together = [*pool.map(lambda one: again.draw(*one), reversed(asked))][::-1]
    for one, other in zip(alone, together, strict=True):
        for part, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, same)
    others = [Views(made, 96, BOX_AUGMENTATIONS["standard"], seed=4).draw(0, 1), alone[1], alone[2]]
    assert all(not np.array_equal(alone[0][0], other[0]) for other in others)


def test_mosaics_end_after_their_last_turn(made):
    def colours(views, turn):
        """Returns how many labels the views of a picture with one box show."""
        return max(len(views.draw(1, turn)[2]) for turn in turn)

    views = Views(made, 96, BOX_AUGMENTATIONS["standard"], last_mosaic=10)
    assert colours(views, range(1, 11)) > 1
    assert colours(views, range(11, 31)) == 1


def epoch_of(feed, epochs=1):
    with feed:
        return [
            (images.numpy(), boxes.numpy(), labels.numpy())
            for _ in range(epochs)
            for images, (boxes, labels) in feed.dataset
        ]


def test_batches_hold_every_picture_once_in_another_order_each_epoch(made):
    batches = epoch_of(shuffled_batches(Views(made, 64), 3), epochs=2)
    assert [len(images) for images, _, _ in batches] == [3, 3, 1, 3, 3, 1]
    counts = [[int((row >= 0).sum()) for _, _, labels in part for row in labels]
              for part in (batches[:3], batches[3:])]  # fmt: skip
    assert sorted(counts[0]) == sorted(counts[1]) == sorted(n % 4 for n in range(7))
    assert counts[0] != counts[1]


def test_a_feed_goes_on_where_it_is_told(made):
    def feed():
        return shuffled_batches(Views(made, 64, BOX_AUGMENTATIONS["standard"], 5), 3)

    whole = epoch_of(feed(), epochs=2)
    later = feed()
    later.seek(1, 1)
    for one, other in zip(whole[4:], epoch_of(later), strict=True):
        for part, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, same)


def test_batches_may_be_of_several_sizes_each_of_one(made):
    views = Views(made * 3, 64, BOX_AUGMENTATIONS["light"], sizes=(32, 64, 96))
    feed = shuffled_batches(views, 2)
    assert feed.dataset.element_spec[0].shape.as_list() == [None, None, None, 3]
    sides = [images.shape[1:3] for images, _, _ in epoch_of(feed)]
    assert all(high == wide for high, wide in sides)
    assert {high for high, _ in sides} == {32, 64, 96}
    again = [images.shape[1:3] for images, _, _ in epoch_of(shuffled_batches(views, 2))]
    assert again == sides


def test_keras_traces_a_step_once_for_all_batches():
    many = [example(n, [[k, 2, k + 9, 50] for k in range(n)], [0] * n) for n in range(1, 34, 8)]
    traced = []

    @tf.function(reduce_retracing=False)
    def step(images, targets):
        traced.append(targets[0].shape)
        return tf.reduce_sum(targets[0])

    with plain_batches(Views(many, 64), 2) as feed:
        step = step.get_concrete_function(*feed.dataset.element_spec)
        sizes = {
            targets[0].shape[1] for images, targets in feed.dataset if step(images, *targets) >= 0
        }
    assert len(traced) == 1
    assert len(sizes) > 1


def test_plain_batches_are_the_same_every_epoch_in_order(made):
    batches = epoch_of(plain_batches(Views(made, 64), 4), epochs=2)
    assert len(batches) == 4
    for one, other in zip(batches[:2], batches[2:], strict=True):
        for part, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, same)
    counts = [int((row >= 0).sum()) for _, _, labels in batches[:2] for row in labels]
    assert counts == [n % 4 for n in range(7)]


@pytest.mark.parametrize("most", [0, 1, 15, 16, 17, 40])
def test_targets_are_padded_to_a_multiple(most):
    image = np.zeros((32, 32, 3), np.uint8)
    boxes = np.arange(most * 4, dtype=np.float32).reshape(-1, 4)
    views = [(image, boxes, np.arange(most)), (image, boxes[:0], np.arange(0))]
    images, (padded, labels) = batch_of(views)
    assert images.shape == (2, 32, 32, 3)
    assert padded.shape[1] == labels.shape[1] == max(1, -(-most // PADDED_TO)) * PADDED_TO
    assert (padded.dtype, labels.dtype) == (np.float32, np.int32)
    np.testing.assert_array_equal(padded[0, :most], boxes)
    assert (padded[0, most:] == -1).all()
    assert (labels[0, most:] == -1).all()
    assert (labels[1] == -1).all()


def test_pictures_that_cannot_be_read_are_named(pets):
    file = pets / "JPEGImages/3.jpg"
    file.write_bytes(file.read_bytes()[:700])  # Its header is whole.
    examples, _ = read_examples(str(pets), ["cat", "dog"])
    why = unreadable(Views(examples, 64))
    assert [*why] == [str(file)]
    assert why[str(file)].startswith("damaged")
