"""Signals that end a command: whenever they come, they are seen at once, and nothing hangs."""

import os
import random
import signal
import threading
import time

import pytest

from ringwalker_sim.cli.stop_signals import StopSignals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_wait_at_once(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopSignals() as stop:
        stop.take()
        assert not stop.wait(0.01)
        threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
        begin = time.monotonic()
        assert stop.wait(20)
        assert time.monotonic() - begin < 10
        assert stop.wait(20), "it stays so"
    assert signal.getsignal(number) is before


def test_whenever_it_comes_nothing_hangs() -> None:
    """A handler that needs the lock of what it interrupts would wait for ever, one time in many."""
    for _ in range(300):
        with StopSignals() as stop:
            stop.take()
            delay = random.uniform(0, 0.002)
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGTERM)).start()
            while not stop.wait(0.0001):
                pass


def test_what_is_ignored_behind_nohup_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            stop.take()
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.wait(0.01)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_signals_do_what_they_did_until_they_are_taken() -> None:
    with StopSignals() as stop:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert not stop.come
