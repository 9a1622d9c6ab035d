"""Every case of the contract."""

from __future__ import annotations

from tests.mes_integration.contract import (
    cases_acknowledgement,
    cases_faults,
    cases_order,
    cases_words,
)
from tests.mes_integration.contract.case import CASES

__all__ = ["CASES", "cases_acknowledgement", "cases_faults", "cases_order", "cases_words"]
