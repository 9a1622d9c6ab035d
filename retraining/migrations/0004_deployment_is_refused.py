"""A failure that is final is told apart from one that is tried again."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Every failure there is so far was final."""

    dependencies = [("retraining", "0003_gate_policy")]
    operations = [
        migrations.AddField(
            model_name="deployment",
            name="is_refused",
            field=models.BooleanField(default=False),
        ),
        migrations.RunSQL(
            "UPDATE retraining_deployment SET is_refused = true WHERE failure <> ''",
            migrations.RunSQL.noop,
        ),
    ]
