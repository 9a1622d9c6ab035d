"""People, where their roles hold, and the record of what they did."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from governance.roles import Role
from traceability.identifiers import new_id
from traceability.models import Line, Site, Station


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

    def pairs(self) -> list[tuple[str, object]]:
        """The detail for a page, whose `detail.items` would be a key of that name."""
        return list(self.detail.items())


class Device(models.Model):
    """A tablet at a station. It shows a token, kept as a hash, until a lead revokes it.

    Tasks are leased to its `account`, so that they stay when operators change.
    """

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    station = models.ForeignKey(Station, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=64)
    account = models.OneToOneField(User, on_delete=models.PROTECT, related_name="+")
    token_sha256 = models.CharField(max_length=64, null=True, unique=True)
    code_sha256 = models.CharField(
        max_length=64, null=True, unique=True, help_text=_("Of the code it is registered with.")
    )
    code_expires_at = models.DateTimeField(null=True)
    px_per_mm = models.FloatField(
        null=True, help_text=_("CSS pixels to a millimetre, measured with a bank card.")
    )
    ahead = models.PositiveSmallIntegerField(
        default=20, help_text=_("Units it keeps ready for a time without network.")
    )
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    registered_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    unsent = models.PositiveIntegerField(default=0, help_text=_("What it last said it keeps."))
    # Where the request came from that showed its token; not kept.
    address = ""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["station", "name"], name="device_name_once"),
            models.CheckConstraint(
                condition=Q(revoked_at__isnull=True) | Q(token_sha256__isnull=True),
                name="device_revoked_has_no_token",
            ),
            models.CheckConstraint(
                condition=Q(code_sha256__isnull=True, code_expires_at__isnull=True)
                | Q(code_sha256__isnull=False, code_expires_at__isnull=False),
                name="device_code_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(px_per_mm__isnull=True) | Q(px_per_mm__gte=1, px_per_mm__lte=30),
                name="device_scale_is_possible",
            ),
            models.CheckConstraint(
                condition=Q(ahead__gte=1, ahead__lte=240), name="device_keeps_some_ahead"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Pin(models.Model):
    """What a person types after his badge was scanned. Set by a lead, kept as a hash."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="pin")
    secret = models.CharField(max_length=128)
    set_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    set_at = models.DateTimeField()
    failures = models.PositiveSmallIntegerField(default=0)
    locked_at = models.DateTimeField(
        null=True, help_text=_("Until a lead sets a new PIN nobody comes in with this one.")
    )

    def __str__(self) -> str:
        return f"PIN of {self.user}"


class Attendance(models.Model):
    """A person at a tablet, from badge and PIN until he leaves or his time is up.

    While it lasts his badge alone brings him back. `is_current`: whose presses count now.
    """

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="attendances")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    began_at = models.DateTimeField()
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    is_current = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["device"], condition=Q(is_current=True), name="attendance_one_at_a_device"
            ),
            models.UniqueConstraint(
                fields=["device", "user"],
                condition=Q(ended_at__isnull=True),
                name="attendance_once_while_it_lasts",
            ),
            models.CheckConstraint(
                condition=Q(is_current=False) | Q(ended_at__isnull=True),
                name="attendance_current_has_not_ended",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} at {self.device}"


class Duty(models.Model):
    """Who answers for a site's open holds from a moment on, until somebody takes over."""

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    began_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(F("site"), F("id").desc(), name="duty_latest")]

    def __str__(self) -> str:
        return f"{self.user} at {self.site} from {self.began_at:%Y-%m-%d %H:%M}"
