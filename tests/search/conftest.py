import os

import pytest


@pytest.fixture
def no_waiting_for_the_disk(monkeypatch):
    """A killed process loses nothing that the system has taken; only a power cut would."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
