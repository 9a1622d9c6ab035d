"""Tables whose rows are never changed or removed, guarded by the database itself."""

from __future__ import annotations

from django.db import migrations

_FUNCTION = """
CREATE OR REPLACE FUNCTION loupe_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % refused: its rows are never changed, only superseded',
        TG_OP, TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END
$$
"""


class AppendOnly(migrations.RunSQL):
    """Migration operation: UPDATE, DELETE and TRUNCATE on `table` raise IntegrityError."""

    def __init__(self, table: str) -> None:
        super().__init__(
            sql=[
                _FUNCTION,
                (
                    f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
                    "FOR EACH ROW EXECUTE FUNCTION loupe_refuse_change()"
                ),
                (
                    f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
                    "FOR EACH STATEMENT EXECUTE FUNCTION loupe_refuse_change()"
                ),
            ],
            reverse_sql=[
                f"DROP TRIGGER {table}_no_truncate ON {table}",
                f"DROP TRIGGER {table}_append_only ON {table}",
            ],
        )
        self._table = table

    def deconstruct(self) -> tuple[str, list[str], dict[str, object]]:
        return self.__class__.__name__, [self._table], {}
