"""People, where their roles hold, and the record of what they did."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from governance.roles import Role
from traceability.identifiers import new_id
from traceability.models import Line, Site


class User(AbstractUser):
    """A person, or a machine that calls the API. Rights come from grants alone."""

    badge = models.CharField(_("badge"), max_length=64, blank=True)
    # The password stands on the demo's login page.
    is_demo = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.get_full_name() or self.username


class Grant(models.Model):
    """A role at a site, or at one line of it."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="grants")
    role = models.CharField(max_length=20, choices=Role.choices)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    line = models.ForeignKey(Line, on_delete=models.PROTECT, null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "role", "site", "line"],
                name="grant_once",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} {self.role} {self.site}"


class SignInFailure(models.Model):
    """How often one name was tried from one address without success, and until when it rests."""

    username = models.CharField(max_length=150)
    address = models.CharField(max_length=64, blank=True)
    failures = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField()
    refused_until = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["username", "address"], name="sign_in_failure_once")
        ]
        indexes: ClassVar = [models.Index(fields=["last_at"], name="sign_in_failure_last")]

    def __str__(self) -> str:
        return f"{self.username} from {self.address}: {self.failures}"


class AuditEntry(models.Model):
    """Who changed what, when and why. Appended in the change's own transaction, never altered."""

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, null=True)
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=10)
    actor = models.CharField(max_length=150)
    action = models.CharField(max_length=64)
    subject_kind = models.CharField(max_length=40)
    subject = models.CharField(max_length=300)
    detail = models.JSONField(default=dict)
    reason = models.CharField(max_length=1000, blank=True)
    address = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(F("site"), F("id").desc(), name="audit_recent"),
            models.Index(fields=["subject_kind", "subject"], name="audit_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action} {self.subject}"
