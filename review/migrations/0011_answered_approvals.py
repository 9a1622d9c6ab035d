from django.db import migrations

FUNCTION = """
CREATE OR REPLACE FUNCTION loupe_refuse_second_answer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % refused: what is answered is never changed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$
"""
ANSWERED_ONCE = """
CREATE TRIGGER review_approval_answered_once BEFORE UPDATE ON review_approval
FOR EACH ROW WHEN (OLD.state <> 'OPEN') EXECUTE FUNCTION loupe_refuse_second_answer()
"""
NEVER_REMOVED = """
CREATE TRIGGER review_approval_no_delete BEFORE DELETE ON review_approval
FOR EACH ROW EXECUTE FUNCTION loupe_refuse_second_answer()
"""


class Migration(migrations.Migration):
    dependencies = [("review", "0010_approvals")]

    operations = [
        migrations.RunSQL(
            [
                FUNCTION,
                ANSWERED_ONCE,
                NEVER_REMOVED,
            ],
            [
                "DROP TRIGGER review_approval_no_delete ON review_approval",
                "DROP TRIGGER review_approval_answered_once ON review_approval",
            ],
        )
    ]
