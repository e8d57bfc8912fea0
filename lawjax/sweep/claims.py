"""The pieces of work of a run that this process takes, one after the other, among all processes that share the run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from lawjax.sweep.leases import Leases

Piece = TypeVar("Piece")
_PAUSE = 0.5  # seconds until it is looked again whether what others hold was given back


def own_first(number: int, shard: tuple[int, int]) -> list[int]:
    """The order in which a shard (i, N) takes `number` pieces: every N-th from the i-th on, then those of others."""
    index, shards = shard
    own = range(index - 1, number, shards)
    return [*own, *(i for i in range(number) if i % shards != index - 1)]


class Claims(Generic[Piece]):
    """What is left of the work, taken by threads of this process and by other processes."""

    def __init__(
        self,
        pieces: Mapping[str, Piece],
        leases: Leases,
        is_left: Callable[[Piece], bool],
    ):
        """All work.

        Args:
            pieces: by name, in the order in which they are to be taken.
            leases: of this process.
            is_left: whether there is something left to do, which others may have done in the meantime.
        """
        self._open, self._leases, self._is_left = dict(pieces), leases, is_left
        self._taken: set[str] = set()
        self._lock = threading.Lock()

    def take(
        self, stop: threading.Event, choose: Callable[[Sequence[Piece]], int] = lambda _: 0, *, wait: bool = True
    ) -> tuple[str, Piece] | None:
        """A piece, leased; while others hold all that is left, it is waited until they are done with it.

        Args:
            stop: looked at while waiting.
            choose: the place, among pieces that are free, of the one to take; the first unless given.
            wait: whether to wait.

        Returns:
            Its name and the piece; None when nothing is left, or once `stop` is set.
        """
        while not stop.is_set():
            with self._lock:
                free = [name for name in self._open if name not in self._taken]
                name, others = self._leases.take(free, lambda names: choose([self._open[name] for name in names]))
                if name is not None:
                    if self._is_left(self._open[name]):
                        self._taken.add(name)
                        return name, self._open[name]
                    self._leases.release(name)
                    del self._open[name]
                    continue
                if not (others and wait):
                    return None
            stop.wait(_PAUSE)
        return None

    def give_back(self, name: str, *, done: bool) -> None:
        """End the lease of a piece that was taken."""
        with self._lock:
            self._leases.release(name)
            self._taken.discard(name)
            if done:
                del self._open[name]
