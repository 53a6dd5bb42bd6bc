from typing import ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

import tricorn.data.ids


class Migration(migrations.Migration):
    initial = True

    dependencies: ClassVar[list[tuple[str, str]]] = []

    operations: ClassVar = [
        migrations.CreateModel(
            name="Secret",
            fields=[
                ("name", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("value", models.TextField()),
            ],
            options={
                "db_table": "secrets",
            },
        ),
        migrations.CreateModel(
            name="SigningKey",
            fields=[
                ("kid", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("private_pem", models.TextField()),
                ("modulus", models.TextField()),
                ("exponent", models.CharField(max_length=16)),
                ("sign_time", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("expire_time", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "signing_keys",
            },
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "user_id",
                    models.UUIDField(default=tricorn.data.ids.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("email", models.EmailField(max_length=254)),
                ("password", models.CharField(db_default="!", max_length=128)),
                ("display_name", models.CharField(max_length=80)),
                (
                    "roles",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=32), blank=True, db_default=[], default=list, size=None
                    ),
                ),
                ("is_active", models.BooleanField(db_default=True, default=True, verbose_name="active")),
                ("version", models.BigIntegerField(db_default=1, default=1, editable=False)),
                (
                    "create_time",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="registered"
                    ),
                ),
                (
                    "update_time",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="changed"
                    ),
                ),
            ],
            options={
                "db_table": "users",
                "constraints": [
                    models.UniqueConstraint(
                        django.db.models.functions.text.Lower("email"),
                        name="users_email_key",
                        violation_error_message="Email is taken.",
                    ),
                    models.CheckConstraint(condition=models.Q(("version__gte", 1)), name="users_version_positive"),
                ],
            },
        ),
        migrations.CreateModel(
            name="LoginTally",
            fields=[
                ("key", models.CharField(max_length=80, primary_key=True, serialize=False)),
                ("window_start", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("current", models.IntegerField(db_default=0, default=0)),
                ("previous", models.IntegerField(db_default=0, default=0)),
            ],
            options={
                "db_table": "login_tallies",
                "indexes": [models.Index(fields=["window_start"], name="login_tallies_window_start")],
            },
        ),
        migrations.CreateModel(
            name="Session",
            fields=[
                ("session_id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("address", models.CharField(db_default="", default="", max_length=64)),
                ("generation", models.IntegerField(db_default=0, default=0)),
                (
                    "create_time",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="began"),
                ),
                ("rotate_time", models.DateTimeField(null=True, verbose_name="last refreshed")),
                ("expire_time", models.DateTimeField(verbose_name="ends")),
                ("access_expire_time", models.DateTimeField()),
                ("revoke_time", models.DateTimeField(null=True, verbose_name="ended")),
                ("ended_by", models.CharField(db_default="", default="", max_length=16)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="logins", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "db_table": "sessions",
            },
        ),
        migrations.CreateModel(
            name="RefreshToken",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("generation", models.IntegerField(db_default=0, default=0)),
                (
                    "session",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="tokens", to="accounts.session"
                    ),
                ),
            ],
            options={
                "db_table": "refresh_tokens",
            },
        ),
        migrations.AddIndex(
            model_name="session",
            index=models.Index(fields=["expire_time"], name="sessions_expire_time"),
        ),
        migrations.AddIndex(
            model_name="session",
            index=models.Index(
                condition=models.Q(("revoke_time__isnull", False)),
                fields=["access_expire_time"],
                name="sessions_revoked",
            ),
        ),
    ]
