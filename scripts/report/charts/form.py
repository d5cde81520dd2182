"""How wide pictures are drawn and shown; without matplotlib, as a page that is only printed has no picture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """How wide a picture is drawn and shown. Where it is shown smaller, its text is smaller by as much."""

    width_px: int
    shown_px: int  # on a page that has room
    window_px: int | None = None  # of the widest window in which it stands in the place of a wide one


WIDE = Form(width_px=900, shown_px=900)
# On GitHub a README has about 830 px in a window of 1280 px, and 560 px in one of 1012 px, where 12 px would be 7 px.
NARROW = Form(width_px=400, shown_px=400, window_px=1279)
COMPACT = Form(width_px=400, shown_px=560)  # legible on every page
