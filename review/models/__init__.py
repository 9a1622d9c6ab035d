"""The bench and the line: tasks and verdicts, and what stations report beside them."""

from __future__ import annotations

from review.models.approvals import Approval
from review.models.bench import (
    Answer,
    Comment,
    ControlSample,
    Decision,
    DecisionWithdrawal,
    Escalation,
    LotMember,
    LotReview,
    Preference,
    ReviewTask,
    Skip,
    TaskKind,
    TaskPurpose,
    TaskState,
)
from review.models.line import (
    AndonCall,
    CaptureCheck,
    HoldAcknowledgement,
    SecondOpinion,
)

__all__ = [
    "AndonCall",
    "Answer",
    "Approval",
    "CaptureCheck",
    "Comment",
    "ControlSample",
    "Decision",
    "DecisionWithdrawal",
    "Escalation",
    "HoldAcknowledgement",
    "LotMember",
    "LotReview",
    "Preference",
    "ReviewTask",
    "SecondOpinion",
    "Skip",
    "TaskKind",
    "TaskPurpose",
    "TaskState",
]
