"""Calls in a second thread: their order, their errors, and what waits."""

import threading

import pytest

from leapai.runs.background import _WAITING, Background


def test_calls_run_in_order_in_another_thread_and_are_done_at_the_end():
    done: list[tuple[int, bool]] = []

    def note(number: int) -> None:
        done.append((number, threading.current_thread() is threading.main_thread()))

    with Background() as background:
        for number in range(50):
            background.call(note, number)
    assert done == [(number, False) for number in range(50)]


def test_an_error_surfaces_in_a_later_call():
    counted: list[int] = []

    def calls() -> None:
        with Background() as background:
            background.call(divmod, 1, 0)
            for _ in range(10):
                background.call(counted.append, 0)

    with pytest.raises(ZeroDivisionError):
        calls()
    assert len(counted) < 10


def test_what_waits_is_dropped_where_the_block_raises_and_what_runs_is_waited_for():
    begun, go_on, done = threading.Event(), threading.Event(), []

    def run() -> None:
        begun.set()
        go_on.wait(5)
        done.append("began before")

    def block() -> None:
        with Background() as background:
            background.call(run)
            background.call(done.append, "waited")
            assert begun.wait(5)
            threading.Timer(0.1, go_on.set).start()
            raise KeyError("the block's own")

    with pytest.raises(KeyError):
        block()
    assert done == ["began before"]


def test_an_error_of_the_last_call_surfaces_where_the_block_ends():
    background = Background()
    with pytest.raises(ZeroDivisionError), background:
        background.call(divmod, 1, 0)


def test_the_queue_is_bounded():
    go_on, submitted = threading.Event(), []

    def submit() -> None:
        with Background() as background:
            for number in range(20):
                background.call(go_on.wait, 5)
                submitted.append(number)

    loop = threading.Thread(target=submit)
    loop.start()
    loop.join(0.2)
    assert len(submitted) == _WAITING + 1
    go_on.set()
    loop.join(5)
    assert len(submitted) == 20
