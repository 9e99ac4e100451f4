"""Lightning ends the process at Ctrl-C and takes signals over; here they mean what they mean elsewhere."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.utilities.exceptions import SIGTERMException

_HANDLED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")  # Windows does not have them all


@contextmanager
def plain_interrupts() -> Iterator[None]:
    """Ctrl-C inside raises `KeyboardInterrupt`, SIGTERM ends the process, and signals are then handled as before.

    Raises:
        KeyboardInterrupt: where Lightning would exit because of one.
        SystemExit: of status 143, if SIGTERM came and the user's own handler for it has not ended the process.
    """
    handlers = _handlers()
    terminated = interrupted = False
    try:
        yield
    except SIGTERMException:
        terminated = True
    except SystemExit as error:
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        interrupted = True
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if interrupted:
        raise KeyboardInterrupt
    if terminated:
        if handlers.get(signal.SIGTERM) is signal.SIG_DFL:
            signal.raise_signal(signal.SIGTERM)
        raise SystemExit(128 + signal.SIGTERM)


def _handlers() -> dict[signal.Signals, Any]:
    """Who handles which signal now; only the main thread may change that."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    numbers = [getattr(signal, name) for name in _HANDLED if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    return {number: handler for number, handler in handlers.items() if handler is not None}  # None: not Python's
