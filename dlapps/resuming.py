"""Goes on with a run that was stopped, or that is to have more epochs."""

import dataclasses
from typing import Any, TypeVar

from dlapps import runs, terminal
from dlapps.errors import UserError, reason
from dlapps.states import read_state
from dlapps.training_config import RESUMABLE, TrainingConfig

Config = TypeVar("Config", bound=TrainingConfig)


def resumed(path: str, app: str, given: Config, named: dict[str, str]) -> tuple[runs.Run, Config]:
    """Reads a run to go on with, and the options to go on with.

    Args:
        path: The run's folder.
        app: The app that asks.
        given: The options of the command line, with defaults.
        named: Those that were named, by the field of the config.

    Returns:
        The run with its state, if it has one, and its config, with what may change changed.

    Raises:
        UserError: If it is no run of the app, an option differs that must not, the state is of
            another configuration, or there is nothing left to do.
    """
    run = runs.read(path)
    if run.record["app"] != app:
        other = run.record["app"]
        raise UserError(
            f"{path} is a run of {other}. Go on with it: dlapps {other} --resume {path}"
        )
    for each in ("options", "dataset", "mode"):
        if each not in run.record:
            raise UserError(f"{run.folder / runs.RECORD} names no {each}, so {path} cannot go on.")
    kept = run.record["options"]
    for field, option in named.items():
        value = getattr(given, field)
        if field not in RESUMABLE and value != kept.get(field):
            raise UserError(
                f"{option} is {value} here, but {kept.get(field)} in {path}. A run goes on with "
                "its own options; leave it out, or train anew."
            )
    if run.checkpoint.is_file():
        run = dataclasses.replace(run, state=_state(run))
    elif run.model.is_file():
        raise UserError(f"{run.checkpoint} is missing, so {path} cannot go on. Train anew.")
    changes = {field: getattr(given, field) for field in named if field in RESUMABLE}
    # "auto" is what the run has made of it.
    changes = {field: value for field, value in changes.items() if value != "auto"}
    known = {field.name for field in dataclasses.fields(given)}
    config = type(given)(**{**{k: v for k, v in kept.items() if k in known}, **changes})
    _check_left(run, config)
    for field in sorted(known - kept.keys() - {*RESUMABLE}):
        option = "--" + field.replace("_", "-")
        terminal.note(f"{path} knows no {option}: it goes on with {getattr(config, field)}.")
    return run, config


def _state(run: runs.Run) -> dict[str, Any]:
    try:
        state = read_state(run.checkpoint)
        options = state["note"]["options"]
    except OSError as error:
        raise UserError(f"{run.checkpoint} cannot be read: {reason(error)}.") from error
    except ValueError as error:
        raise UserError(f"{error} Train anew.") from error
    except (KeyError, TypeError) as error:
        raise UserError(f"{run.checkpoint} is no state of a run. Train anew.") from error
    for name, value in run.record["options"].items():
        if name not in RESUMABLE and options.get(name) != value:
            option = "--" + name.replace("_", "-")
            raise UserError(
                f"{run.checkpoint} is of another configuration: {option} is {options.get(name)} "
                f"there, but {value} in {run.folder / runs.RECORD}."
            )
    return state


def _check_left(run: runs.Run, config: TrainingConfig) -> None:
    if run.record.get("state") != "finished" or run.state is None:
        return
    done, stopping = run.state["epoch"], run.state["callbacks"]["stopping"]
    more = None
    if config.patience and stopping["waited"] >= config.patience:
        more = f"--patience {2 * config.patience}"
    elif config.time_budget and stopping["spent"] >= 60 * config.time_budget:
        more = f"--time-budget {2 * config.time_budget:g}"
    elif int(config.epochs) <= done:
        more = f"--epochs {2 * done}"
    if more:
        raise UserError(
            f"{run.folder} is finished, with {done} epochs. Name more in all, such as {more}."
        )
