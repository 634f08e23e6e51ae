"""What tests of the pre-flight share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def unasked():
    """What differs physically is not asked here, since it takes seconds a pair: tests/identify/test_in_check.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transreward.preflight.check.physical", lambda *_: "not asked")
        yield
