from typing import ClassVar

from django.db import migrations

VIEW = """
CREATE VIEW published.user_v1 AS
    SELECT user_id, email, display_name, roles, create_time, update_time, version
    FROM users
    WHERE is_active
"""

# The order of lists, and what they are searched by.
INDEXES = """
CREATE INDEX users_email_order ON users ((lower(email) COLLATE "C"));
CREATE INDEX users_name_prefix ON users ((lower(display_name) COLLATE "C"))
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("accounts", "0001_accounts")]

    operations: ClassVar = [
        migrations.RunSQL(VIEW, "DROP VIEW published.user_v1"),
        migrations.RunSQL(INDEXES, "DROP INDEX users_email_order; DROP INDEX users_name_prefix"),
    ]
