"""What a new database gets in one step. One that has applied some of the migrations replaced here goes on with them."""

import django.db.models.deletion
import integrations.foundation.document_field
import integrations.models.store
import integrations.security.encrypted_fields
import uuid
from django.conf import settings
from django.db import migrations, models

from integrations.config_version import clock_first, clock_triggers
from integrations.foundation.new_tables import CreateModels


INTEGRATION = [
    "name", "url", "connector", "wire_format", "auth_type", "auth_header", "token", "parameters", "headers",
    "additional_data", "retry_policy", "timeout", "max_in_flight", "rate_limit", "permanent_statuses",
    "is_enabled", "deleted_at",
]
TOKEN = ["store_id", "token_hash", "scopes", "expires_at", "revoked_at"]


def create_clock(apps, schema_editor):
    apps.get_model("integrations", "ConfigVersion").objects.get_or_create(id=1)


class Migration(migrations.Migration):
    replaces = [
        ('integrations', '0001_initial'),
        ('integrations', '0002_config_clock'),
        ('integrations', '0003_turn_context'),
        ('integrations', '0004_store_ticks_the_clock'),
        ('integrations', '0010_clock_first'),
        ('integrations', '0030_staff_profile'),
        ('integrations', '0040_token_issuers'),
        ('integrations', '0041_recall_issuers'),
        ('integrations', '0042_approval_rule'),
        ('integrations', '0050_recent_outcomes'),
        ('integrations', '0100_model_names'),
        ('integrations', '0101_words'),
        ('integrations', '0110_registered_kinds'),
        ('integrations', '0111_no_config_version_index'),
        ('integrations', '0120_sources'),
        ('integrations', '0135_retention'),
        ('integrations', '0145_objectives'),
        ('integrations', '0150_token_addresses'),
        ('integrations', '0151_words_of_the_desk'),
    ]

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        CreateModels([
            migrations.CreateModel(
                name='Store',
                fields=[
                    ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                    ('name', models.CharField(max_length=200)),
                    ('singular_overrides', models.JSONField(blank=True, default=dict, help_text='Plural to singular, for words where English rules fail: {"kudos": "kudos"}.', validators=[integrations.models.store.validate_overrides])),
                    ('is_reason_required', models.BooleanField(default=False, help_text='Staff must say why when they edit or discard a payload.', verbose_name='a reason is required')),
                    ('is_approval_required', models.BooleanField(default=False, help_text='An edited payload is sent only after another member of staff has approved it.', verbose_name='a second approver is required')),
                    ('config_version', models.BigIntegerField(default=0, editable=False)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('staff', models.ManyToManyField(blank=True, help_text='Staff who see this store, in addition to superusers and those who see all stores. Set by superusers.', related_name='stores', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'ordering': ['name'],
                    'permissions': [('set_approval_rule', 'Can switch the second approver on; off, together with another person'), ('export_lists', 'Can export lists, payloads included, as files')],
                    'verbose_name': 'store',
                    'verbose_name_plural': 'stores',
                },
            ),
            migrations.CreateModel(
                name='Integration',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                    ('slug', models.SlugField(max_length=100)),
                    ('name', models.CharField(max_length=200)),
                    ('url', models.TextField(blank=True, verbose_name='URL')),
                    ('connector', models.CharField(blank=True, max_length=30, null=True)),
                    ('wire_format', models.CharField(default='standard', max_length=20)),
                    ('auth_type', models.CharField(choices=[('none', 'None'), ('bearer', 'Authorization: Bearer …'), ('token', 'Authorization: Token …'), ('basic', 'HTTP Basic (user:password as the token)'), ('header', 'Custom header'), ('hub', 'X-Hub-Token')], default='none', max_length=10)),
                    ('auth_header', models.CharField(blank=True, max_length=100)),
                    ('token', integrations.security.encrypted_fields.EncryptedTextField(blank=True, default='')),
                    ('parameters', integrations.security.encrypted_fields.EncryptedJSONField(blank=True, default=dict)),
                    ('headers', models.JSONField(blank=True, default=dict)),
                    ('additional_data', models.CharField(blank=True, max_length=500)),
                    ('retry_policy', models.JSONField(blank=True, default=str, help_text="A policy's name, or a list of seconds.")),
                    ('timeout', models.FloatField(default=30, help_text='Seconds, for the whole attempt.')),
                    ('max_in_flight', models.PositiveIntegerField(default=512)),
                    ('rate_limit', models.FloatField(blank=True, help_text='Requests per second; empty for no limit.', null=True)),
                    ('permanent_statuses', models.JSONField(blank=True, default=list)),
                    ('is_enabled', models.BooleanField(default=True, verbose_name='enabled')),
                    ('disabled_reason', models.CharField(blank=True, max_length=500)),
                    ('handshake', models.JSONField(blank=True, editable=False, null=True)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('updated_at', models.DateTimeField(auto_now=True)),
                    ('deleted_at', models.DateTimeField(blank=True, editable=False, null=True)),
                    ('store', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='integrations', to='integrations.store')),
                    ('keeps_bodies', models.BooleanField(help_text='False: what was sent and answered is deleted once a delivery has succeeded.', null=True)),
                ],
                options={
                    'ordering': ['name'],
                    'constraints': [models.UniqueConstraint(condition=models.Q(('deleted_at', None)), fields=('store', 'slug'), name='integration_slug_is_unique'), models.CheckConstraint(condition=models.Q(('connector__isnull', False), models.Q(('url', ''), _negated=True), _connector='OR'), name='integration_has_url_or_connector'), models.CheckConstraint(condition=models.Q(('timeout__gt', 0), ('timeout__lte', 180)), name='integration_timeout_in_bounds'), models.CheckConstraint(condition=models.Q(('max_in_flight__gte', 1)), name='integration_sends_at_least_one'), models.CheckConstraint(condition=models.Q(('rate_limit', None), ('rate_limit__gt', 0), _connector='OR'), name='integration_rate_limit_is_positive')],
                    'verbose_name': 'integration',
                    'verbose_name_plural': 'integrations',
                },
            ),
            migrations.CreateModel(
                name='AuditEntry',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('actor', models.CharField(help_text="The user's name, or “token …” for a program.", max_length=200)),
                    ('action', models.CharField(max_length=50)),
                    ('target_type', models.CharField(max_length=50)),
                    ('target_id', models.CharField(max_length=64)),
                    ('target_name', models.CharField(blank=True, max_length=300)),
                    ('before', integrations.foundation.document_field.DocumentField(null=True)),
                    ('after', integrations.foundation.document_field.DocumentField(null=True)),
                    ('reason', models.TextField(blank=True)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ('store', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='integrations.store')),
                ],
                options={
                    'verbose_name_plural': 'audit entries',
                    'ordering': ['-id'],
                    'indexes': [models.Index(fields=['target_type', 'target_id', '-id'], name='audit_by_target')],
                    'verbose_name': 'audit entry',
                },
            ),
            migrations.CreateModel(
                name='AccessToken',
                fields=[
                    ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                    ('name', models.CharField(max_length=100)),
                    ('prefix', models.CharField(editable=False, max_length=32, unique=True)),
                    ('token_hash', models.CharField(editable=False, max_length=64)),
                    ('scopes', models.JSONField(default=list)),
                    ('expires_at', models.DateTimeField(blank=True, null=True)),
                    ('last_used_at', models.DateTimeField(blank=True, editable=False, null=True)),
                    ('revoked_at', models.DateTimeField(blank=True, editable=False, null=True)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('store', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tokens', to='integrations.store')),
                    ('is_issuer_known', models.BooleanField(editable=False, help_text='If not true: anyone who may issue tokens may have issued it.', null=True)),
                    ('issuers', models.ManyToManyField(help_text='The people who issued it, or the token that issued it: they may know the token.', related_name='+', to=settings.AUTH_USER_MODEL)),
                    ('addresses', models.JSONField(editable=False, null=True)),
                ],
                options={
                    'ordering': ['-created_at'],
                },
            ),
            migrations.CreateModel(
                name='IntegrationHealth',
                fields=[
                    ('integration', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='health', serialize=False, to='integrations.integration')),
                    ('breaker', models.CharField(choices=[('closed', 'closed'), ('open', 'open'), ('half_open', 'half-open')], default='closed', max_length=10)),
                    ('consecutive_failures', models.PositiveIntegerField(default=0)),
                    ('first_failure_at', models.DateTimeField(blank=True, null=True)),
                    ('opened_at', models.DateTimeField(blank=True, null=True)),
                    ('probe_at', models.DateTimeField(blank=True, null=True)),
                    ('throttled_until', models.DateTimeField(blank=True, null=True)),
                    ('rate_tokens', models.FloatField(default=0)),
                    ('rate_refilled_at', models.DateTimeField(blank=True, null=True)),
                    ('last_success_at', models.DateTimeField(blank=True, null=True)),
                    ('last_failure_at', models.DateTimeField(blank=True, null=True)),
                    ('recent', models.JSONField(blank=True, default=list, help_text='The last outcomes, oldest first: [what, how many in a row].', null=True)),
                ],
                options={
                    'verbose_name_plural': 'integration health',
                    'constraints': [models.CheckConstraint(condition=models.Q(('breaker', 'closed'), ('probe_at__isnull', False), _connector='OR'), name='health_open_breaker_has_probe')],
                },
            ),
            migrations.CreateModel(
                name='Secret',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('value', integrations.security.encrypted_fields.EncryptedTextField()),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('expires_at', models.DateTimeField(blank=True, help_text='Empty: the current one.', null=True)),
                    ('integration', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='secrets', to='integrations.integration')),
                ],
                options={
                    'constraints': [models.UniqueConstraint(condition=models.Q(('expires_at', None)), fields=('integration',), name='secret_one_is_current')],
                },
            ),
            migrations.CreateModel(
                name='TurnContext',
                fields=[
                    ('integration', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='turn_context', serialize=False, to='integrations.integration')),
                    ('actions', integrations.foundation.document_field.DocumentField(default=dict)),
                    ('answered_at', models.DateTimeField()),
                ],
            ),
            migrations.CreateModel(
                name='StaffProfile',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('sees_all_stores', models.BooleanField(default=False)),
                    ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='staff_profile', to=settings.AUTH_USER_MODEL)),
                ],
            ),
            migrations.CreateModel(
                name='LiftRequest',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('status', models.CharField(choices=[('waiting', 'waiting'), ('confirmed', 'confirmed'), ('refused', 'refused'), ('expired', 'expired')], default='waiting', max_length=10)),
                    ('reason', models.TextField(blank=True)),
                    ('asked_by_name', models.CharField(max_length=200)),
                    ('asked_at', models.DateTimeField()),
                    ('decided_by_name', models.CharField(blank=True, max_length=200)),
                    ('decided_at', models.DateTimeField(null=True)),
                    ('asked_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ('store', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='lift_requests', to='integrations.store')),
                ],
                options={
                    'ordering': ['-id'],
                    'constraints': [models.UniqueConstraint(condition=models.Q(('status', 'waiting')), fields=('store',), name='lift_request_one_waits')],
                },
            ),
            migrations.CreateModel(
                name='ConfigVersion',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('version', models.BigIntegerField(default=0)),
                ],
                options={
                    'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='config_clock_has_one_row')],
                    'db_table': 'integrations_configclock',
                },
            ),
            migrations.CreateModel(
                name='Source',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('slug', models.SlugField(max_length=100)),
                    ('name', models.CharField(max_length=200)),
                    ('kind', models.CharField(max_length=30)),
                    ('options', models.JSONField(blank=True, default=dict, help_text='Settings of the kind.')),
                    ('mapping', models.JSONField(blank=True, default=dict, help_text='JMESPath by field, where the default is not meant.')),
                    ('mode', models.CharField(choices=[('event', 'Events'), ('record', 'Records, merged as by a push')], default='event', max_length=10)),
                    ('is_enabled', models.BooleanField(default=True, verbose_name='enabled')),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('updated_at', models.DateTimeField(auto_now=True)),
                    ('deleted_at', models.DateTimeField(blank=True, editable=False, null=True)),
                    ('store', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='sources', to='integrations.store')),
                ],
                options={
                    'ordering': ['name'],
                    'constraints': [models.UniqueConstraint(condition=models.Q(('deleted_at', None)), fields=('store', 'slug'), name='source_slug_is_unique')],
                    'verbose_name': 'source',
                    'verbose_name_plural': 'sources',
                },
            ),
            migrations.CreateModel(
                name='SourceAddress',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('token', integrations.security.encrypted_fields.EncryptedTextField()),
                    ('digest', models.CharField(help_text='Its SHA-256, to find it by.', max_length=64, unique=True)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('expires_at', models.DateTimeField(blank=True, help_text='Empty: the current one.', null=True)),
                    ('source', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='addresses', to='integrations.source')),
                ],
                options={
                    'constraints': [models.UniqueConstraint(condition=models.Q(('expires_at', None)), fields=('source',), name='source_address_one_is_current')],
                },
            ),
            migrations.CreateModel(
                name='SourceCount',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('shard', models.PositiveSmallIntegerField()),
                    ('accepted', models.PositiveBigIntegerField(default=0)),
                    ('duplicate', models.PositiveBigIntegerField(default=0)),
                    ('rejected', models.PositiveBigIntegerField(default=0)),
                    ('ignored', models.PositiveBigIntegerField(default=0)),
                    ('last_at', models.DateTimeField()),
                    ('source', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='counts', to='integrations.source')),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('source', 'shard'), name='source_count_shard_is_unique')],
                },
            ),
            migrations.CreateModel(
                name='SourceSecret',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('value', integrations.security.encrypted_fields.EncryptedTextField()),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('expires_at', models.DateTimeField(blank=True, help_text='Empty: the current one.', null=True)),
                    ('source', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='secrets', to='integrations.source')),
                ],
                options={
                    'constraints': [models.UniqueConstraint(condition=models.Q(('expires_at', None)), fields=('source',), name='source_secret_one_is_current')],
                },
            ),
            migrations.CreateModel(
                name='Retention',
                fields=[
                    ('store', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='retention', serialize=False, to='integrations.store')),
                    ('successes', models.PositiveIntegerField(blank=True, help_text='Deliveries that succeeded, with their attempts.', null=True)),
                    ('failures', models.PositiveIntegerField(blank=True, help_text='Deliveries that failed, were discarded or superseded.', null=True)),
                    ('records', models.PositiveIntegerField(blank=True, help_text='Since their last change.', null=True)),
                    ('notifications', models.PositiveIntegerField(blank=True, help_text='Resolved ones.', null=True)),
                    ('audit', models.PositiveIntegerField(blank=True, null=True)),
                ],
                options={
                    'verbose_name_plural': 'retention',
                },
            ),
            migrations.CreateModel(
                name='Objectives',
                fields=[
                    ('integration', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='objectives', serialize=False, to='integrations.integration')),
                    ('target', models.FloatField(blank=True, help_text='Per cent of the deliveries.', null=True)),
                    ('within', models.PositiveIntegerField(default=300, help_text='Seconds from push to delivery.')),
                    ('days', models.PositiveSmallIntegerField(default=30, help_text='Over so many days.')),
                    ('max_backlog', models.PositiveIntegerField(blank=True, help_text='Deliveries that are not finished.', null=True)),
                    ('max_wait', models.PositiveIntegerField(blank=True, help_text='Seconds that a due delivery waits.', null=True)),
                    ('budget_alert_at', models.DateTimeField(editable=False, null=True)),
                    ('backlog_alert_at', models.DateTimeField(editable=False, null=True)),
                    ('wait_alert_at', models.DateTimeField(editable=False, null=True)),
                ],
                options={
                    'verbose_name_plural': 'objectives',
                    'constraints': [models.CheckConstraint(condition=models.Q(('target', None), models.Q(('target__gte', 50), ('target__lt', 100)), _connector='OR'), name='objectives_target_in_bounds'), models.CheckConstraint(condition=models.Q(('days__gte', 1), ('days__lte', 30)), name='objectives_days_in_bounds')],
                },
            ),
        ]),
        migrations.RunPython(create_clock, migrations.RunPython.noop),
        clock_triggers("integrations_accesstoken", TOKEN),
        clock_triggers("integrations_integration", INTEGRATION),
        clock_triggers(
            "integrations_secret",
            ["value", "expires_at"],
            store="(SELECT store_id FROM integrations_integration WHERE id = {row}.integration_id)",
        ),
        clock_triggers("integrations_store", ["singular_overrides"], store="{row}.id"),
        clock_first("integrations_accesstoken", TOKEN),
        clock_first("integrations_integration", INTEGRATION),
        clock_first("integrations_secret", ["value", "expires_at"]),
        clock_first("integrations_store", ["singular_overrides"]),
    ]
