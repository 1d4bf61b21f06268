"""Signals are noted while a step is under way."""

import os
import signal

import pytest

from leapai.training.stop_signal import StopSignal


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted_and_the_handlers_come_back(number):
    before = signal.getsignal(number)
    with StopSignal() as stop:
        assert stop.on_any_rank() == 0
        os.kill(os.getpid(), number)
        assert stop.on_any_rank() == number
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_ends_the_run_at_once_and_the_handlers_come_back():
    def twice():
        with StopSignal():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        twice()
    assert signal.getsignal(signal.SIGINT) is before
