from typing import ClassVar

from django.db import migrations

# What gateways outside of this process must hear of: sessions that ended, users whose copies are out of date.
VIEW = """
CREATE VIEW published.accounts_events_v1 AS
    SELECT position, id, type, subject, sequence, time, traceparent, causation, data
    FROM outbox
    WHERE type IN ('tricorn.v1.SessionRevoked', 'agora.accounts.v1.UserUpdated')
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("accounts", "0002_published_users")]

    operations: ClassVar = [migrations.RunSQL(VIEW, "DROP VIEW published.accounts_events_v1")]
