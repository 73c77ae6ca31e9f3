import pytest

from dlapps import backbones
from dlapps.apps.classify.config import Config
from dlapps.states import read_state
from dlapps.weights import builtin, packed


def names(**values):
    return [m.name for m in builtin.MODELS if all(getattr(m, k) == v for k, v in values.items())]


def test_the_list_names_every_backbone_that_can_be_built():
    online = {backbones.ONLINE + name for name in backbones.APPLICATIONS}
    known = {backbones.BUILT_IN, backbones.DARKNET} | online
    assert set(names(app="backbone")) == known


def test_no_name_is_listed_twice():
    listed = [(model.app, model.name) for model in builtin.MODELS]
    assert len(set(listed)) == len(listed)


def test_what_is_downloaded_is_told_by_its_name():
    assert set(names(online=True)) == {n for n in names() if n.startswith(backbones.ONLINE)}


def test_the_default_backbone_needs_no_network():
    assert Config().backbone in names(app="backbone", online=False)


def test_every_entry_says_all_that_a_user_should_know():
    for model in builtin.MODELS:
        assert model.parameters > 0
        assert model.megabytes > 0
        for text in (model.about, model.licence, model.source, model.figure):
            assert text


def test_rows_are_the_models():
    assert [row["name"] for row in builtin.rows()] == names()
    assert builtin.BuiltIn(**builtin.rows()[0]) == builtin.MODELS[0]


def test_every_model_trained_here_is_there_and_says_how_it_was_made():
    for model in builtin.MODELS:
        if model.source.startswith("this project"):
            path = packed.FOLDER / f"{model.name}.npz"
            assert path.stat().st_size == pytest.approx(model.megabytes * 1e6, rel=0.1)
            assert read_state(path)["about"]["command"].startswith(f"dlapps {model.app} --train")
