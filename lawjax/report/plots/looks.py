"""Colours, marks and words of the curves of a frontier."""

from __future__ import annotations

from typing import Any

from lawjax.report.plots.settings import plain

EPSILON = "\N{GREEK SMALL LETTER EPSILON}"
ROOT = r"$\sqrt{n/k}$"
ROOT_LABEL = f"{ROOT}   (n points, k neurons)"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_MARKERS = ("o", "^", "s", "v", "D", "h", "P", "X")
KINDS = {  # sources of networks: colour, marker, words
    "adam": ("#E69F00", "h", "trained by Adam: bracket, mark at the certificate"),
    "frontier": ("#0072B2", "o", "smoothest found: bracket, mark at the certificate"),
    "ramps": ("#CC79A7", "v", "ramps, k = 2n"),
    "caps": ("#D55E00", "^", "caps of section 3.2, k = n"),
    "form": ("#000000", "s", "smoothest quadratic form, k = d"),
}


def look(i: int) -> dict[str, Any]:
    """Marker and colour of curve i."""
    return {"marker": _MARKERS[i % len(_MARKERS)], "color": COLOURS[i % len(COLOURS)]}


def setting_text(factor: str, value: str) -> str:
    """A value of fit, activation or model in words."""
    if factor == "fit":
        return "exact fit" if value == "exact" else f"{EPSILON} = {plain(value)}"
    names = {"leaky_relu": "leaky ReLU", "relu": "ReLU", "gaussian": "Gaussian", "low-rank": "Gaussian of rank d/5"}
    names |= {"clustered": "n/20 clusters", "digits": "digits, labels at random", "digits-true": "digits, odd or even"}
    return names.get(value, plain(value))
