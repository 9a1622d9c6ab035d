from django.db import migrations

from traceability.append_only import AppendOnly


class Migration(migrations.Migration):
    dependencies = [("review", "0008_line")]

    operations = [AppendOnly("review_holdacknowledgement")]
