"""What tests of domains share."""

from __future__ import annotations

from importlib import import_module

import pytest

from transreward.domains.logs import apart, npz


@pytest.fixture
def here(monkeypatch, tmp_path):
    """Files are read in this process, which is quicker."""

    def arrays(path, reader, package):
        import_module(f"transreward.domains.logs.{reader}").convert(str(path), str(tmp_path / "read.npz"))
        return npz.arrays(tmp_path / "read.npz")

    monkeypatch.setattr(apart, "arrays", arrays)
