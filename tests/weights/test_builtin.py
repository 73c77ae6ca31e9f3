from dlapps import backbones
from dlapps.apps.classify.config import Config
from dlapps.weights import builtin


def names(**values):
    return [m.name for m in builtin.MODELS if all(getattr(m, k) == v for k, v in values.items())]


def test_the_list_names_every_backbone_that_can_be_built():
    known = {backbones.BUILT_IN, *(backbones.ONLINE + name for name in backbones.APPLICATIONS)}
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
