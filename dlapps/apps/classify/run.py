"""Trains, evaluates and uses the classifier."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np

from dlapps import backbones, files, inference, runs, terminal, training
from dlapps.apps.classify import metrics, render
from dlapps.apps.classify.config import Config
from dlapps.apps.classify.data import (
    Dataset,
    Example,
    Views,
    plain_batches,
    read_dataset,
    read_examples,
    shuffled_batches,
)
from dlapps.apps.classify.model import ImageClassifier
from dlapps.apps.classify.render import Prediction
from dlapps.data.augment import AUGMENTATIONS
from dlapps.data.features import Features, cache_folder, computed_once, fingerprint
from dlapps.data.inputs import Input
from dlapps.data.pictures import centre_crop, read_picture
from dlapps.data.pipeline import batches_of_views
from dlapps.errors import UserError, nearest
from dlapps.weights import efficientnet_lite0

BATCH = 64
# Tracing and folding a graph takes as long as this many pictures called one by one.
WORTH_COMPILING = 16
# The head is one linear layer on a few thousand numbers; its batches cost next to nothing.
HEAD_BATCH = 64


def load_model(name: str) -> ImageClassifier:
    """Loads a classifier.

    Args:
        name: A run folder, a `.keras` file, or `imagenet`.

    Raises:
        UserError: If it is none of these.
    """
    if name == "imagenet" and not Path(name).exists():
        return _imagenet()
    path = Path(name)
    if path.suffix != ".keras":
        if not path.exists() and path.parent == Path():
            raise UserError(
                f"There is no model '{name}'.{nearest(name, ['imagenet'])} "
                "Give a run folder, a .keras file or a name that 'dlapps models' lists."
            )
        path = runs.load(name).model
    if not path.is_file():
        raise UserError(f"{name} does not exist.")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not a model that dlapps saved.") from error
    if not isinstance(model, ImageClassifier):
        raise UserError(f"{path} holds a {type(model).__name__}, not an image classifier.")
    return model


def _imagenet() -> ImageClassifier:
    labels = (Path(efficientnet_lite0.__file__).with_name("imagenet.txt")).read_text().splitlines()
    model = ImageClassifier(labels, crop=0.875, every_block=False)
    model.build((None, model.image_size, model.image_size, 3))
    efficientnet_lite0.load_backbone(model.network)
    model.head.get_layer("logits").set_weights(efficientnet_lite0.head_weights())
    return model


def _new_model(dataset: Dataset, config: Config) -> ImageClassifier:
    regular = not config.overfit_batches
    model = ImageClassifier(
        dataset.labels,
        backbone=config.backbone,
        image_size=config.image_size,
        dropout=config.dropout if regular else 0.0,
    )
    model.build((None, config.image_size, config.image_size, 3))
    if config.init is None:
        if backbones.needs_download(config.backbone):
            terminal.note(f"Downloading the weights of {config.backbone} from Keras' storage.")
        source = backbones.pretrained(config.backbone, config.image_size).network
        model.network.set_weights(_weights_of(source, model.network))
        return model
    start = load_model(config.init)
    if start.backbone != config.backbone:
        raise UserError(
            f"--init {config.init} has the backbone {start.backbone}, not {config.backbone}. "
            f"Say --backbone {start.backbone}"
        )
    model.network.set_weights(_weights_of(start.network, model.network))
    return model


def _weights_of(source: keras.Model, target: keras.Model) -> list[np.ndarray]:
    """Returns the weights of `source` in the order of `target`, whose grids may differ."""
    names = {layer.name: layer for layer in source.layers}
    values = []
    for layer in target.layers:
        values += names[layer.name].get_weights() if layer.weights else []
    return values


def train(data: str, mode: str, config: Config, strict: bool = False) -> runs.Run:
    """Trains a classifier and writes a run.

    Args:
        data: What `data.read_dataset` reads.
        mode: "train" for a head on the frozen backbone; "finetune" to adapt the backbone then.
        config: The hyperparameters.
        strict: Stop at the first picture that cannot be read.

    Raises:
        UserError: If the data, an option or the machine is at fault.
    """
    backbones.check_name(config.backbone)
    dataset = _trimmed(read_dataset(data, config.validation, config.seed), config)
    model = _new_model(dataset, config)
    record = {
        "mode": mode,
        "options": dataclasses.asdict(config),
        "dataset": {
            "data": data,
            "fingerprint": dataset.fingerprint,
            "train": len(dataset.train),
            "validation": len(dataset.validation),
            "labels": dataset.labels,
        },
    }
    run = runs.create("classify", dataset.name, config.run, **record)
    with runs.recorded(run):
        terminal.note(render.dataset_line(dataset))
        for text in dataset.notes:
            terminal.note(f"Note: {text}")
        dataset, best = _train_head(model, dataset, config, run, strict)
        training.save(model, run)
        if mode == "finetune":
            best = _finetune(model, dataset, config, run)
        figures = {name: round(value, 6) for name, value in best.items()}
        run.update(state="finished", figures=figures)
    return run


def _trimmed(dataset: Dataset, config: Config) -> Dataset:
    if config.fast_dev_run:
        few = config.batch_size
        return dataclasses.replace(
            dataset, train=dataset.train[:few], validation=dataset.validation[:few]
        )
    if config.overfit_batches:
        few = config.overfit_batches * config.batch_size
        chosen = np.random.default_rng(config.seed).permutation(len(dataset.train))[:few]
        same = [dataset.train[k] for k in chosen]
        note = f"Learning {len(same)} pictures by heart; validation is the same pictures."
        return dataclasses.replace(
            dataset, train=same, validation=same, notes=[*dataset.notes, note]
        )
    return dataset


def _train_head(
    model: ImageClassifier, dataset: Dataset, config: Config, run: runs.Run, strict: bool
) -> tuple[Dataset, dict[str, float]]:
    """Trains the head on features of the frozen backbone, and drops unreadable pictures."""
    single = config.fast_dev_run or bool(config.overfit_batches)
    augmentation = AUGMENTATIONS[config.augment]
    num_views = 1 if single or augmentation is None else config.views
    look = inference.frozen(model.features, config.image_size)
    # All pictures in an order that no split changes, so that another seed finds them computed.
    everyone = sorted({e.digest: e for e in dataset.train + dataset.validation}.items())
    place = {digest: k for k, (digest, _) in enumerate(everyone)}
    plain = _features(look, [example for _, example in everyone], model, None, config, 0)
    dataset = _readable(dataset, plain.unreadable, place, strict)
    own = [place[example.digest] for example in dataset.train]
    held_out = plain.rows[[place[example.digest] for example in dataset.validation]]
    parts = [plain.rows[own]]
    for turn in range(1, num_views):
        parts.append(_features(look, dataset.train, model, augmentation, config, turn).rows)
    model.standardize(parts[0])
    labels = np.array([example.label for example in dataset.train], np.int32)
    x, y = np.concatenate(parts), np.tile(labels, num_views)
    true = np.array([example.label for example in dataset.validation], np.int32)
    epochs = 1 if config.fast_dev_run else config.epochs
    if config.overfit_batches:
        epochs = max(epochs, math.ceil(300 / config.overfit_batches))
    phase = training.Phase(
        "head",
        epochs,
        math.ceil(len(x) / HEAD_BATCH),
        config.learning_rate,
        0.0 if config.overfit_batches else config.weight_decay,
    )
    best = training.fit(
        model.head, phase, run, (x, y), (held_out, true), _loss(config, 0.0),
        batch_size=HEAD_BATCH, class_weight=_class_weights(dataset, config),
    )  # fmt: skip
    return dataset, best


def _features(
    look: Callable, examples: list[Example], model: ImageClassifier,
    augmentation: Augmentation | None, config: Config, turn: int,
) -> Features:  # fmt: skip
    """Returns what the frozen backbone sees in one view of each example."""
    views = Views(examples, config.image_size, model.crop, augmentation, config.seed)

    def compute() -> Features:
        rows = np.zeros((len(examples), model.head.input_shape[-1]), np.float32)
        unreadable: dict[int, str] = {}
        title = "Looking at the pictures" if turn == 0 else f"Looking again ({turn + 1})"
        with terminal.progress(title, len(examples)) as advance:
            drawn = batches_of_views(len(examples), lambda k: views.draw(k, turn), BATCH)
            for indices, images, bad in drawn:
                unreadable |= bad
                if indices:
                    rows[indices] = look(images)[0]
                advance(len(indices) + len(bad))
        return Features(rows, unreadable, cached=False)

    drawing = (augmentation, config.seed, turn) if augmentation else ()
    digests = [example.digest for example in examples]
    key = fingerprint([*_model_key(config), config.image_size, model.crop, drawing, *digests])
    return computed_once(key, compute, cache_folder() / "features")


def _model_key(config: Config) -> list:
    versions = (keras.version(), backbones.BUILT_IN)
    if config.init is None:
        return [config.backbone, *versions]
    path = Path(config.init)
    path = path if path.suffix == ".keras" else path / runs.MODEL
    return [config.backbone, path.read_bytes() if path.is_file() else config.init, *versions]


def _readable(
    dataset: Dataset, unreadable: dict[int, str], place: dict[str, int], strict: bool
) -> Dataset:
    """Drops, counts and names the pictures that could not be read."""
    examples = dataset.train + dataset.validation
    why = {e.name: unreadable[place[e.digest]] for e in examples if place[e.digest] in unreadable}
    if why and strict:
        name, text = next(iter(why.items()))
        raise UserError(f"{name} cannot be read: {text}.")
    terminal.skipped(why)
    left = dataclasses.replace(
        dataset,
        train=[example for example in dataset.train if example.name not in why],
        validation=[example for example in dataset.validation if example.name not in why],
    )
    if not left.train or not left.validation:
        raise UserError("No picture of the dataset can be read.")
    return left


def _class_weights(dataset: Dataset, config: Config) -> dict[int, float] | None:
    if not config.class_weights:
        return None
    counts = np.bincount([e.label for e in dataset.train], minlength=len(dataset.labels))
    return {k: len(dataset.train) / (len(counts) * max(n, 1)) for k, n in enumerate(counts)}


def _loss(config: Config, smoothing: float):
    if not smoothing or config.overfit_batches:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def crossentropy(truth, logits):
        spread = keras.ops.one_hot(keras.ops.squeeze(truth), logits.shape[-1])
        return keras.losses.categorical_crossentropy(
            spread, logits, from_logits=True, label_smoothing=smoothing
        )

    return crossentropy


def _finetune(
    model: ImageClassifier, dataset: Dataset, config: Config, run: runs.Run
) -> dict[str, float]:
    """Adapts the last blocks at a tenth of the head's rate, batch norm frozen."""
    num_blocks = _num_blocks(config.unfreeze, len(dataset.train), model)
    model.unfreeze(num_blocks)
    regular = not config.overfit_batches
    augmentation = AUGMENTATIONS[config.augment] if regular else None
    views = Views(dataset.train, config.image_size, model.crop, augmentation, config.seed)
    held_out = Views(dataset.validation, config.image_size, model.crop)
    data = shuffled_batches(views, config.batch_size)
    _draw_first_batch(views, dataset, config, run)
    phase = training.Phase(
        "finetune",
        1 if config.fast_dev_run else config.finetune_epochs,
        int(data.cardinality()),
        config.learning_rate / 10,
        config.weight_decay if regular else 0.0,
        ema=0.98 if regular and not config.fast_dev_run else 0.0,
    )
    terminal.note(f"Fine-tuning the last {num_blocks} blocks of {config.backbone}.")
    return training.fit(
        model, phase, run, data, plain_batches(held_out, BATCH),
        _loss(config, config.label_smoothing),
        save=lambda: training.save(model, run),
        class_weight=_class_weights(dataset, config),
    )  # fmt: skip


def _num_blocks(unfreeze: int | str, num_pictures: int, model: ImageClassifier) -> int:
    available = len(backbones.blocks(model.network))
    if unfreeze == "all":
        return available
    if unfreeze == "auto":
        # The less data, the more of what was pretrained is better left alone.
        part = 0.25 if num_pictures < 500 else 0.6 if num_pictures < 1500 else 1.0
        return max(1, round(part * available))
    return min(int(unfreeze), available)


def _draw_first_batch(views: Views, dataset: Dataset, config: Config, run: runs.Run) -> None:
    count = min(16, len(views.examples), config.batch_size)
    order = np.random.default_rng([config.seed, 1]).permutation(len(views.examples))[:count]
    pictures = [views.draw(int(k), 1) for k in order]
    titles = [dataset.labels[views.examples[k].label] for k in order]
    files.write(run.folder / "train_batch.png", render.contact_sheet(pictures, titles))


def predict(
    inputs: Sequence[Input], model: ImageClassifier, top_k: int, unreadable: dict[str, str]
) -> Iterator[Prediction]:
    """Says what pictures show, in their order, a batch at a time.

    Args:
        inputs: The pictures.
        model: What to ask.
        top_k: How many labels to give for each.
        unreadable: Filled with the reason of every picture that cannot be read, by name.

    Yields:
        One prediction for each readable picture.
    """
    top_k = min(top_k, len(model.labels))
    for indices, probabilities, bad in _answers([each.source for each in inputs], model):
        unreadable.update({inputs[k].name: why for k, why in bad.items()})
        for index, row in zip(indices, probabilities, strict=True):
            best = np.argsort(-row, kind="stable")[:top_k]
            classes = [(model.labels[k], float(row[k])) for k in best]
            yield Prediction(inputs[index], classes)


def _answers(
    sources: Sequence, model: ImageClassifier
) -> Iterator[tuple[list[int], np.ndarray, dict[int, str]]]:
    """Yields indices, `(pictures, labels)` probabilities and unreadable ones, a batch at a time."""

    def probabilities(images):
        return keras.ops.softmax(model(images, training=False))

    ask = (
        inference.frozen(probabilities, model.image_size)
        if len(sources) >= WORTH_COMPILING
        else lambda images: [keras.ops.convert_to_numpy(probabilities(images))]
    )
    short_side = math.ceil(model.image_size / model.crop)

    def draw(index: int) -> np.ndarray:
        image = read_picture(sources[index], short_side)
        return centre_crop(image, model.image_size, model.crop)

    for indices, images, bad in batches_of_views(len(sources), draw, BATCH):
        rows = ask(images)[0] if indices else np.empty((0, len(model.labels)), np.float32)
        yield indices, rows, bad


def saved(
    predictions: Iterable[Prediction], model: ImageClassifier, folder: Path, explain: bool
) -> Iterator[Prediction]:
    """Passes predictions on, and writes each picture with its labels to a folder.

    Args:
        predictions: What to draw.
        model: Where they come from.
        folder: Takes one JPEG a picture, named after it; a number tells equal names apart.
        explain: Whether to colour the places that speak for the label.
    """
    taken: set[str] = set()
    for prediction in predictions:
        image = read_picture(prediction.input.source, 1024)
        if explain:
            image = render.explained(image, evidence(prediction, model), model.crop)
        # The last part alone: no name, however it reads, leads out of the folder.
        stem = Path(prediction.input.name).stem.lstrip(".-") or "picture"
        name = next(n for n in _numbered(stem) if n not in taken)
        taken.add(name)
        drawn = render.labelled(image, prediction.classes)
        files.write(folder / name, render.as_jpeg(drawn))
        yield prediction


def _numbered(stem: str) -> Iterator[str]:
    yield f"{stem}.jpg"
    for number in itertools.count(2):
        yield f"{stem}-{number}.jpg"


def evidence(prediction: Prediction, model: ImageClassifier) -> np.ndarray:
    """Returns where in a picture the likeliest label was seen.

    Returns:
        `(size, size)` float in [0, 1], over the square that the network saw.
    """
    image = read_picture(prediction.input.source, math.ceil(model.image_size / model.crop))
    images = centre_crop(image, model.image_size, model.crop)[None]
    label = model.labels.index(prediction.classes[0][0])
    places = keras.ops.convert_to_numpy(model.evidence(images, np.array([label])))[0]
    return places / max(float(places.max()), 1e-9)


def evaluate(name: str, data: str | None, output: Path | None, strict: bool = False) -> dict:
    """Measures a model on labelled pictures.

    Args:
        name: What `load_model` takes.
        data: Labelled pictures; None for the pictures that the run held out.
        output: Folder for the confusion matrix and the worst mistakes, or None for none.
        strict: Stop at the first picture that cannot be read.

    Returns:
        One flat dictionary of measures, and under `classes` those of each class.

    Raises:
        UserError: If the model or the data is at fault.
    """
    model = load_model(name)
    examples, notes = _to_measure(name, data, model)
    if output is not None:
        files.writable_folder(output)
    for text in notes:
        terminal.note(f"Note: {text}")
    rows = np.zeros((len(examples), len(model.labels)), np.float32)
    why: dict[str, str] = {}
    read: list[int] = []
    with terminal.progress("Evaluating", len(examples)) as advance:
        for indices, probabilities, bad in _answers([e.source for e in examples], model):
            why |= {examples[k].name: text for k, text in bad.items()}
            rows[indices] = probabilities
            read += indices
            advance(len(indices) + len(bad))
    if why and strict:
        first, text = next(iter(why.items()))
        raise UserError(f"{first} cannot be read: {text}.")
    terminal.skipped(why)
    if not read:
        raise UserError("No picture of the dataset can be read.")
    truth = np.array([examples[k].label for k in read])
    result = metrics.evaluation(rows[read], truth, model.labels)
    if output is not None:
        files.write(output / "confusion.png", render.confusion_matrix(result, model.labels))
        worst = _worst(rows[read], truth)
        pictures = [_thumbnail(examples[read[k]]) for k in worst]
        titles = [render.mistake(rows[read[k]], truth[k], model.labels) for k in worst]
        if worst:
            files.write(output / "worst.png", render.contact_sheet(pictures, titles))
    return {**result.measures, "skipped": len(why), "classes": result.classes}


def _to_measure(
    name: str, data: str | None, model: ImageClassifier
) -> tuple[list[Example], list[str]]:
    is_run = (Path(name) / runs.RECORD).is_file()
    if not is_run:
        if data is None:
            raise UserError(f"{name} is not a run, so DATA is needed: what to measure it on.")
        return read_examples(data, model.labels)
    record = runs.load(name).record
    learnt, options = record["dataset"], record["options"]
    if data is not None:
        examples, notes = read_examples(data, model.labels)
        if len(examples) != learnt["train"] + learnt["validation"]:
            return examples, notes
    dataset = read_dataset(data or learnt["data"], options["validation"], options["seed"])
    if dataset.fingerprint == learnt["fingerprint"]:
        count = len(dataset.validation)
        return dataset.validation, [f"Measured on the {count} pictures held out in training."]
    if data is None:
        raise UserError(
            f"{learnt['data']} has changed since the training, so its held-out pictures are no "
            "longer known. Name the DATA to measure on."
        )
    return examples, notes


def _worst(probabilities: np.ndarray, truth: np.ndarray, most: int = 24) -> list[int]:
    """Returns the mistakes that the model was surest of."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != truth)
    return [int(k) for k in wrong[np.argsort(-probabilities[wrong].max(axis=1))][:most]]


def _thumbnail(example: Example) -> np.ndarray:
    return centre_crop(read_picture(example.source, 224), 224, 1.0)
