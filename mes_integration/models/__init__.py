"""What goes to the MES, and what comes from it."""

from mes_integration.models.alarms import WriteBackAlarm
from mes_integration.models.b2mml import B2mmlDocument
from mes_integration.models.inbound import MesChange
from mes_integration.models.nonconformances import Ncr, NcrHandOff, NcrRule, NcrWatermark
from mes_integration.models.outbox import DeliveryAttempt, WriteBack
from mes_integration.models.profiles import MappingProfile
from mes_integration.models.reconciliation import Reconciliation, ReconciliationException

__all__ = [
    "B2mmlDocument",
    "DeliveryAttempt",
    "MappingProfile",
    "MesChange",
    "Ncr",
    "NcrHandOff",
    "NcrRule",
    "NcrWatermark",
    "Reconciliation",
    "ReconciliationException",
    "WriteBack",
    "WriteBackAlarm",
]
