import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import traceability.identifiers


class Migration(migrations.Migration):
    dependencies = [
        ("review", "0004_append_only_comments"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Escalation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "uuid",
                    models.UUIDField(
                        default=traceability.identifiers.new_id, editable=False, unique=True
                    ),
                ),
                (
                    "fence",
                    models.PositiveBigIntegerField(help_text="The claim it was handed on from."),
                ),
                ("comment", models.CharField(blank=True, max_length=1000)),
                ("at", models.DateTimeField()),
                (
                    "seen_at",
                    models.DateTimeField(help_text="When he saw the lead's answer.", null=True),
                ),
                (
                    "inspector",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "site",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="traceability.site"
                    ),
                ),
                (
                    "task",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="escalations",
                        to="review.reviewtask",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("inspector"),
                        models.OrderBy(models.F("at"), descending=True),
                        name="escalation_by_person",
                    ),
                    models.Index(
                        condition=models.Q(("seen_at__isnull", True)),
                        fields=["inspector"],
                        name="escalation_unseen",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("task", "fence"), name="escalation_once_per_claim"
                    )
                ],
            },
        ),
    ]
