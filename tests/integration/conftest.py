"""Fixtures of the tests that need an API server, and that only some of them share."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway_door import Door
from harness import Api, echo

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane


@pytest.fixture
async def door(api: Api, namespace: str, tmp_path: Path, control_plane: "ControlPlane") -> AsyncIterator[Door]:
    """A gateway that serves one Echo."""
    owner = await api.create(echo("owner", namespace))
    async with Door(api, namespace, owner, tmp_path, control_plane.kubectl) as door:
        yield door
