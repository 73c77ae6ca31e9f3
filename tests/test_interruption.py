import os
import signal
import threading

import pytest

from dlapps.interruption import interruptible, polled

SIGNALS = [
    pytest.param(signal.SIGINT, "Ctrl-C", id="control-c"),
    pytest.param(signal.SIGTERM, "SIGTERM", id="sigterm"),
]


def send(*numbers):
    for number in numbers:
        os.kill(os.getpid(), number)


def handlers():
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@pytest.fixture(autouse=True)
def handlers_come_back():
    before = handlers()
    yield
    assert handlers() == before


@pytest.mark.parametrize(("number", "name"), SIGNALS)
def test_a_signal_interrupts_by_its_name(number, name):
    with pytest.raises(KeyboardInterrupt, match=f"^{name}$"), interruptible():
        send(number)


@pytest.mark.parametrize(("number", "name"), SIGNALS)
def test_a_polled_signal_is_noted_and_told(number, name, capsys):
    with polled() as asked:
        assert asked() is None
        send(number)
        assert asked() == name
    assert asked() == name
    said = f"{name}: stopping after this step. Once more to stop at once.\n"
    assert capsys.readouterr().err == said


def test_the_second_of_two_signals_interrupts():
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"), polled():
        send(signal.SIGINT, signal.SIGTERM)


def test_what_is_polled_within_an_interruptible_block_interrupts_again_after_it():
    with interruptible():
        with polled() as asked:
            send(signal.SIGTERM)
        assert asked() == "SIGTERM"
        with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
            send(signal.SIGTERM)


@pytest.mark.parametrize("block", [interruptible, polled])
def test_an_error_leaves_the_signals_as_they_were(block):
    with pytest.raises(ZeroDivisionError), block():
        raise ZeroDivisionError


@pytest.mark.parametrize("block", [interruptible, polled])
def test_in_another_thread_signals_are_left_alone(block):
    def work():
        before = handlers()
        with block() as asked:
            seen.append(handlers() == before)
            seen.append(asked is None or asked() is None)

    seen = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True, True]
