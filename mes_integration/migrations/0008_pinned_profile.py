from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("mes_integration", "0007_nonconformances"),
        ("traceability", "0009_rework"),
    ]

    operations = [
        # First what only writers wait for: pages are read while a long table is indexed.
        migrations.AddIndex(
            model_name="writeback",
            index=models.Index(
                condition=models.Q(("state__in", ["PENDING", "RETRY", "SENT", "UNCERTAIN"])),
                fields=["target", "due_at", "id"],
                name="write_back_turn",
            ),
        ),
        migrations.AddIndex(
            model_name="writeback",
            index=models.Index(
                condition=models.Q(("state", "SENDING")),
                fields=["lease_expires_at"],
                name="write_back_leased",
            ),
        ),
        migrations.RemoveIndex(model_name="writeback", name="write_back_due"),
        migrations.AddField(
            model_name="writeback",
            name="profile_name",
            field=models.CharField(
                help_text="Which shipped mapping that was.", max_length=80, null=True
            ),
        ),
    ]
