"""Lightning ends the process at Ctrl-C and takes signals over; here they mean what they mean elsewhere."""

import signal
import sys
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
    handlers, outside = _handlers(), sys.exc_info()[1]  # fit may be called where an error is handled
    ended: BaseException | None = None
    try:
        yield
    except BaseException as error:
        # What comes in the middle of other code, as of writing a file, may come out as an error of that code.
        ended = next((one for one in _causes(error, outside) if isinstance(one, KeyboardInterrupt | SystemExit)), None)
        if ended is None:
            raise
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if isinstance(ended, SIGTERMException):
        if handlers.get(signal.SIGTERM) is signal.SIG_DFL:
            signal.raise_signal(signal.SIGTERM)
        raise SystemExit(128 + signal.SIGTERM)
    if ended is not None:
        raise ended


def _causes(error: BaseException, outside: BaseException | None) -> list[BaseException]:
    """What an error began with, and what became of it; not what was there before."""
    causes: list[BaseException] = [error]
    known = [error, outside]
    while (before := causes[0].__cause__ or causes[0].__context__) is not None and before not in known:
        causes.insert(0, before)
        known.append(before)
    return causes


def _handlers() -> dict[signal.Signals, Any]:
    """Who handles which signal now; only the main thread may change that."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    numbers = [getattr(signal, name) for name in _HANDLED if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    return {number: handler for number, handler in handlers.items() if handler is not None}  # None: not Python's
