"""Draws the arrows between our modules; a new arrow is a decision, made here."""

import ast
import importlib
from pathlib import Path

import pytest

import dlapps
from dlapps.cli import cli

ROOT = Path(dlapps.__file__).parent

# What a part of the package may import beside itself. A key is a path of folders and files; the
# longest that fits a module counts.
LIGHT = {"errors", "files", "terminal", "options", "runs", "weights.builtin"}
READERS = {"errors", "files", "terminal"}
COMPUTING = {"data", "layers", "callbacks", "backbones", "darknet", "boxes", "sampling", "weights"}
COMPUTING |= {"decoding"}
DRAWING = {"drawing", "plots"}
TRAINING = {"training", "training_config", "resuming", "interruption", "precision"}
TRAINING |= {"schedule_chart", "filters", "report.page"}
MAY_IMPORT = {
    "__main__": {"cli"},
    "cli": {"apps", "demo", "evaluate", "export", "models", "report", "serve", "errors"},
    "demo": {"apps", "data", *LIGHT},
    "evaluate": {"commands", *LIGHT},
    "models": {"commands", *LIGHT},
    "export": {"saving", "serving", *LIGHT},
    "export.ask": {"runs"},
    "serve": {"export.write", "saving", "serving", "showing", *LIGHT},
    "serving": set(),
    "showing": set(),
    "graphs": set(),
    "report": {"commands", "errors", "files", "terminal", "options", "runs"},
    "apps": {
        "commands",
        "saving",
        "held_out",
        "picture_checks",
        "steadiness",
        "trimming",
        "inference",
        "output",
        "serving",
        "showing",
        "graphs",
        *TRAINING,
        *COMPUTING,
        *DRAWING,
        *LIGHT,
    },
    "apps.*.config": {"training_config", "options"},
    "apps.*.model": {
        "layers",
        "decoding",
        "backbones",
        "darknet",
        "boxes",
        "weights",
        "saving",
        "errors",
    },
    "apps.*.metrics": {"boxes"},
    "training": {"callbacks", "optimizers", "training_config", "interruption", "runs", *READERS},
    "resuming": {"states", "training_config", "runs", "errors", "terminal"},
    "states": {"files"},
    "interruption": {"terminal"},
    "optimizers": {"errors"},
    "precision": {"layers", "files", "errors"},
    "filters": set(),
    "saving": {"runs", *READERS},
    "held_out": {"runs", "errors"},
    "picture_checks": {"data", "graphs", "held_out", "runs"},
    "steadiness": set(),
    "trimming": {"training_config"},
    "runs": {"errors", "files", "weights.builtin"},
    "backbones": {"layers", "weights", "darknet", "errors", "terminal"},
    "darknet": {"layers", "weights", "errors"},
    "boxes": set(),
    "plots": {"drawing"},
    "drawing": set(),
    "output": set(),
    "inference": {"terminal"},
    "data": {"boxes", *READERS},
    "weights": {"states", "errors"},
    "weights.builtin": set(),
    "layers": {"boxes"},
    "sampling": set(),
    "decoding": set(),
    "callbacks": {"schedules", "files", "states", "boxes"},
    "commands": {"options", "errors"},
    "schedule_chart": {"training_config", "schedules", "files", "errors"},
    "training_config": {"schedules", "options"},
    "schedules": set(),
    "options": {"errors"},
    "files": {"errors"},
    "terminal": set(),
    "errors": set(),
    "": set(),
}
APP_FILES = {
    "__init__.py",
    "command.py",
    "config.py",
    "data.py",
    "evaluate.py",
    "metrics.py",
    "model.py",
    "phases.py",
    "predict.py",
    "render.py",
    "serving.py",
    "showing.py",
    "train.py",
}
APPS = {path.parent.name: path.parent for path in ROOT.glob("apps/*/__init__.py")}
ONE_CLASS_FILES = sorted(
    path for part in ("layers", "callbacks") for path in ROOT.glob(f"{part}/[!_]*.py")
)


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imports():
    """Yields (module, imported module) for every import of ours, as tuples of names."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.ImportFrom):
                assert not node.level, f"{path} has a relative import"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                first, *target = name.split(".")
                if first == "dlapps":
                    yield module_of(path), tuple(target)


def rule_for(module):
    """Returns the key of MAY_IMPORT that fits a module best."""
    for length in range(len(module), 0, -1):
        for key in (module[:length], (*module[:1], "*", *module[2:length])):
            if ".".join(key) in MAY_IMPORT:
                return ".".join(key)
    return ""


def covers(allowed, target):
    return any(target[: len(name.split("."))] == tuple(name.split(".")) for name in allowed)


def test_arrows_point_one_way():
    for module, target in imports():
        rule = rule_for(module)
        own = rule.split(".")[0] if "*" not in rule else None
        if target[0] != own:
            where, what = ".".join(module), ".".join(target)
            assert covers(MAY_IMPORT[rule], target), f"{where} imports {what}"


def test_every_rule_is_about_a_module_that_is_there():
    modules = [module_of(path) for path in ROOT.rglob("*.py")]
    assert {rule_for(module) for module in modules} == set(MAY_IMPORT)


def test_no_module_is_reached_by_its_own_imports():
    arrows = {}
    for module, target in imports():
        while target and not (ROOT.joinpath(*target).is_dir() or is_file(target)):
            target = target[:-1]
        arrows.setdefault(module, set()).add(target)
    for start in arrows:
        seen, ahead = set(), set(arrows[start])
        while ahead:
            assert start not in ahead, f"{'.'.join(start)} imports itself in the end"
            seen |= ahead
            ahead = {after for each in ahead for after in arrows.get(each, ())} - seen


def is_file(target):
    return ROOT.joinpath(*target).with_suffix(".py").is_file()


def test_apps_do_not_know_each_other():
    for module, target in imports():
        if module[:1] == target[:1] == ("apps",):
            assert module[1] == target[1], f"{module} imports {target}"


@pytest.mark.parametrize(
    "part", ["data", "layers", "callbacks", "backbones", "weights", "training"]
)
def test_what_apps_share_does_not_know_them(part):
    for module, target in imports():
        assert module[:1] != (part,) or target[0] != "apps", f"{module} imports {target}"


@pytest.mark.parametrize("app", sorted(APPS))
def test_every_app_has_the_same_files(app):
    assert {path.name for path in APPS[app].glob("*.py")} == APP_FILES


@pytest.mark.parametrize("app", sorted(APPS))
def test_every_app_is_a_command_of_its_name(app):
    command = importlib.import_module(f"dlapps.apps.{app}.command")
    assert cli.commands[app] is getattr(command, app)


@pytest.mark.parametrize("app", sorted(APPS))
def test_every_app_has_the_names_that_the_commands_use(app):
    names = {path.name: public_names(path) for path in APPS[app].glob("*.py")}
    for verb in ("train", "evaluate", "predict"):
        assert verb in names[f"{verb}.py"]
    assert {"signatures", "numeric", "checks", "refusal", "example"} <= names["serving.py"]
    assert "shown" in names["showing.py"]
    assert "load_model" in names["model.py"]
    assert "evaluation_table" in names["render.py"]
    assert "Config" in names["config.py"]


def public_names(path):
    """Returns the classes and functions that a file defines for others."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.ClassDef, ast.FunctionDef)
    return {x.name for x in tree.body if isinstance(x, kinds) and not x.name.startswith("_")}


@pytest.mark.parametrize("path", ONE_CLASS_FILES, ids=lambda path: path.stem)
def test_a_file_holds_the_one_public_class_it_is_named_after(path):
    # What it raises and what its file is written with may stand beside it.
    classes = [name for name in public_names(path) if name[0].isupper()]
    names = [name.lower() for name in classes if not name.endswith("Error")]
    assert names == [path.stem.replace("_", "")]


@pytest.mark.parametrize("path", sorted(ROOT.rglob("__init__.py")), ids=lambda p: p.parent.name)
def test_an_init_file_holds_nothing_but_its_docstring(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1
