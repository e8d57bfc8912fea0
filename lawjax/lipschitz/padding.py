"""Sizes to which matrices and networks are padded, so that one program serves many."""

from __future__ import annotations


def padded_size(height: int, width: int) -> tuple[int, int]:
    """Sizes to pad matrices to, so that few programs are compiled: powers of two, and closer ones where work counts."""

    def rounded(size: int) -> int:
        step = max(16, 2 ** (size.bit_length() - (1 if size <= 256 else 3)))
        return -(-size // step) * step

    return rounded(height), rounded(width)
