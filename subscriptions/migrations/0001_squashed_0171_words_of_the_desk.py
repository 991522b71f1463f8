"""What a new database gets in one step. One that has applied some of the migrations replaced here goes on with them."""

import django.db.models.deletion
import integrations.foundation.document_field
import integrations.security.encrypted_fields
import uuid
from django.db import migrations, models

from integrations.config_version import clock_first, clock_triggers
from integrations.foundation.new_tables import CreateModels


TOPIC = ["name", "schema", "condition"]
SUBSCRIPTION = [
    "integration_id", "topics", "intents", "event_names", "path", "filter", "transform", "parameters",
    "is_ordered", "is_active", "deleted_at",
]


class Migration(migrations.Migration):
    replaces = [
        ('subscriptions', '0001_initial'),
        ('subscriptions', '0002_config_clock'),
        ('subscriptions', '0101_words'),
        ('subscriptions', '0160_versions'),
        ('subscriptions', '0170_topic_is_searchable'),
        ('subscriptions', '0171_words_of_the_desk'),
    ]

    initial = True

    dependencies = [
        ('integrations', '0120_sources'),
    ]

    operations = [
        CreateModels([
            migrations.CreateModel(
                name='Subscription',
                fields=[
                    ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                    ('topics', models.JSONField(blank=True, default=list)),
                    ('intents', models.JSONField(blank=True, default=list)),
                    ('event_names', models.JSONField(blank=True, default=list, help_text="For event.created: the data's event_name.")),
                    ('path', models.CharField(blank=True, help_text="Appended to the integration's URL: send_sms.", max_length=500)),
                    ('filter', models.TextField(blank=True, help_text='JMESPath over the data; truthy results pass.')),
                    ('transform', models.TextField(blank=True, help_text='JMESPath over the data; its result is sent.')),
                    ('parameters', integrations.security.encrypted_fields.EncryptedJSONField(blank=True, default=dict)),
                    ('is_ordered', models.BooleanField(default=False, help_text='Strictly one at a time per record; a failed delivery holds the later ones.', verbose_name='ordered')),
                    ('poll_every', models.PositiveIntegerField(blank=True, help_text='Seconds; empty: no polling.', null=True)),
                    ('last_poll_at', models.DateTimeField(blank=True, editable=False, null=True)),
                    ('next_poll_at', models.DateTimeField(blank=True, editable=False, null=True)),
                    ('is_active', models.BooleanField(default=True, verbose_name='active')),
                    ('inactive_reason', models.CharField(blank=True, max_length=500)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('updated_at', models.DateTimeField(auto_now=True)),
                    ('deleted_at', models.DateTimeField(blank=True, editable=False, null=True)),
                    ('integration', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='subscriptions', to='integrations.integration')),
                    ('store', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='subscriptions', to='integrations.store')),
                ],
                options={
                    'ordering': ['-created_at'],
                    'indexes': [models.Index(condition=models.Q(('next_poll_at__isnull', False)), fields=['next_poll_at'], name='subscription_next_poll')],
                    'verbose_name': 'subscription',
                    'verbose_name_plural': 'subscriptions',
                },
            ),
            migrations.CreateModel(
                name='Topic',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('name', models.CharField(max_length=255)),
                    ('description', models.TextField(blank=True)),
                    ('schema', integrations.foundation.document_field.DocumentField(blank=True, null=True)),
                    ('condition', models.TextField(blank=True, help_text='JMESPath over old and new; emits this topic if a pushed record makes it true.')),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('updated_at', models.DateTimeField(auto_now=True)),
                    ('store', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='topics', to='integrations.store')),
                    ('is_searchable', models.BooleanField(db_default=True, default=True, help_text='Its events, deliveries and records are found by what is in them. Off: the search forgets them.', verbose_name='searchable')),
                ],
                options={
                    'ordering': ['name'],
                    'constraints': [models.UniqueConstraint(fields=('store', 'name'), name='topic_name_is_unique')],
                    'verbose_name': 'topic',
                    'verbose_name_plural': 'topics',
                },
            ),
            migrations.CreateModel(
                name='SubscriptionVersion',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('number', models.PositiveIntegerField()),
                    ('since', models.DateTimeField()),
                    ('topics', models.JSONField(default=list)),
                    ('intents', models.JSONField(default=list)),
                    ('event_names', models.JSONField(default=list)),
                    ('path', models.CharField(blank=True, max_length=500)),
                    ('filter', models.TextField(blank=True)),
                    ('transform', models.TextField(blank=True)),
                    ('is_ordered', models.BooleanField(default=False)),
                    ('is_active', models.BooleanField(default=True)),
                    ('is_deleted', models.BooleanField(default=False)),
                    ('changed_by', models.CharField(blank=True, max_length=200)),
                    ('integration', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='integrations.integration')),
                    ('subscription', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='versions', to='subscriptions.subscription')),
                ],
                options={
                    'ordering': ['subscription', 'number'],
                    'constraints': [models.UniqueConstraint(fields=('subscription', 'number'), name='subscription_version_is_unique')],
                },
            ),
        ]),
        clock_triggers("subscriptions_topic", TOPIC),
        clock_triggers("subscriptions_subscription", SUBSCRIPTION),
        clock_first("subscriptions_topic", TOPIC),
        clock_first("subscriptions_subscription", SUBSCRIPTION),
    ]
