from django.db import migrations

from traceability.append_only import AppendOnly


class Migration(migrations.Migration):
    dependencies = [("governance", "0004_tablets")]

    operations = [AppendOnly("governance_duty")]
