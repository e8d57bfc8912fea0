"""Signals that end a process: SIGTERM and SIGHUP, from job schedulers and closed terminals, do what Ctrl-C does.

They raise KeyboardInterrupt in the main thread, once: what is in training is stored, and the exit status says which
signal it was, as a shell does. A signal that the process was started to ignore (`nohup`) is ignored.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

_AS_CTRL_C = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_received: list[int] = []


def listen() -> None:
    """From now on, until the process ends; a signal during the imports that follow ends it with a sentence, too."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGINT, *_AS_CTRL_C):
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _interrupt)
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _interrupted


def status() -> int:
    """The exit status of a command that a signal stopped: 128 and the signal's number."""
    return 128 + (_received[0] if _received else signal.SIGINT)


def ignore_at_exit() -> None:
    """Once a command is over, what libraries do at the exit of the process is not to be interrupted."""
    atexit.unregister(_ignore)
    atexit.register(_ignore)  # the last one registered is called first


def _ignore() -> None:
    for number in (signal.SIGINT, *_AS_CTRL_C):
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> Any:
    again = bool(_received)
    _received.append(number)
    if not again and _is_importing(frame):  # what is written in C++ may not survive an exception there
        _end()
    if not again or number == signal.SIGINT:  # schedulers say others twice, and to every process of a group
        raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _interrupted(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """What no command was there yet to answer."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    _end()


def _end() -> None:
    program = os.path.basename(sys.argv[0]).replace("__main__.py", "lawjax")  # python -m lawjax
    print(f"{program}: Stopped before it began.", file=sys.stderr, flush=True)
    os._exit(status())
