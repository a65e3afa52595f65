"""Why nothing is known of held-out samples: there are none, or they were not scored."""

from __future__ import annotations

import math

from unvanish.core.observation import Observation


def unscored(seen: Observation, purpose: str) -> str:
    """Return why there is no held-out score; purpose: what it would have been needed for, as `to tell a from b`."""
    held_out = seen.data.held_out
    if not held_out:
        return f"no held-out data {purpose}"
    if not math.isfinite(seen.profiles[-1].loss):
        return f"the outputs are no longer numbers: the {held_out} held-out samples were not scored"
    return f"the run ended before the {held_out} held-out samples were scored"
