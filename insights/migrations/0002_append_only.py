from django.db import migrations

from traceability.append_only import AppendOnly


class Migration(migrations.Migration):
    dependencies = [("insights", "0001_initial")]

    operations = [AppendOnly("insights_handover")]
