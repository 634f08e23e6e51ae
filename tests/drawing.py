"""A mark for tests that draw robots or write films: they are skipped where the machine has no means to."""

import pytest

from transreward.reports.films import video
from transreward.types import RequestError

try:
    video.require_tools()
    WHY_NOT = ""
except RequestError as nothing:
    WHY_NOT = str(nothing)
draws = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
