"""The contract's world, for peers that are systems of their own."""

from __future__ import annotations

from tests.mes_integration.conftest import _static_folder
from tests.mes_integration.contract.conftest import world

__all__ = ["_static_folder", "world"]
