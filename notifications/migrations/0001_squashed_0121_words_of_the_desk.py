"""What a new database gets in one step. One that has applied some of the migrations replaced here goes on with them."""

import django.db.models.deletion
import integrations.security.encrypted_fields
import uuid
from django.conf import settings
from django.db import migrations, models

from integrations.foundation.new_tables import CreateModels


class Migration(migrations.Migration):
    replaces = [
        ('notifications', '0001_initial'),
        ('notifications', '0002_channel_messages'),
        ('notifications', '0080_sent_messages'),
        ('notifications', '0101_words'),
        ('notifications', '0110_personal_notices'),
        ('notifications', '0120_channel_kinds'),
        ('notifications', '0121_words_of_the_desk'),
    ]

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ('deliveries', '0130_cases'),
        ('integrations', '0111_no_config_version_index'),
    ]

    operations = [
        CreateModels([
            migrations.CreateModel(
                name='Channel',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('name', models.CharField(max_length=100)),
                    ('kind', models.CharField(help_text='A name of notifications.channels.CHANNEL_KINDS.', max_length=30)),
                    ('recipients', models.JSONField(default=list, help_text='Phone numbers (+15551234567) or e-mail addresses; of other kinds, where messages go.')),
                    ('level', models.CharField(choices=[('info', 'info'), ('warning', 'warning'), ('error', 'error')], default='error', max_length=10, verbose_name='minimum level')),
                    ('account_sid', models.CharField(blank=True, max_length=64, verbose_name='Twilio account SID')),
                    ('auth_token', integrations.security.encrypted_fields.EncryptedTextField(blank=True, default='', verbose_name='Twilio auth token')),
                    ('sender', models.CharField(blank=True, help_text="Empty: the installation's token.", max_length=200, verbose_name='from')),
                    ('quiet_from', models.TimeField(blank=True, help_text='UTC. Messages are held until quiet hours end.', null=True)),
                    ('quiet_until', models.TimeField(blank=True, null=True)),
                    ('window_minutes', models.PositiveIntegerField(default=60, help_text='Deduplication window, in minutes: at most one message per incident and recipient.')),
                    ('digest_minutes', models.PositiveIntegerField(default=0, help_text='Digest interval, in minutes. 0 sends each message immediately.')),
                    ('is_enabled', models.BooleanField(default=True, verbose_name='enabled')),
                    ('last_error', models.TextField(blank=True, editable=False)),
                    ('last_sent_at', models.DateTimeField(blank=True, editable=False, null=True)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('integrations', models.ManyToManyField(blank=True, help_text='None selected: all.', related_name='+', to='integrations.integration')),
                    ('stores', models.ManyToManyField(blank=True, help_text='None selected: all.', related_name='+', to='integrations.store')),
                    ('options', integrations.security.encrypted_fields.EncryptedJSONField(blank=True, default=dict, help_text="The kind's own fields.", null=True)),
                ],
                options={
                    'ordering': ['name'],
                    'verbose_name': 'channel',
                    'verbose_name_plural': 'channels',
                },
            ),
            migrations.CreateModel(
                name='Notification',
                fields=[
                    ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                    ('level', models.CharField(choices=[('info', 'info'), ('warning', 'warning'), ('error', 'error')], max_length=10)),
                    ('summary', models.TextField()),
                    ('status', models.CharField(choices=[('open', 'open'), ('resolved', 'resolved')], default='open', max_length=10)),
                    ('resolved_by', models.CharField(blank=True, help_text="auto, or a user's name.", max_length=200, null=True)),
                    ('occurrences', models.PositiveBigIntegerField(default=1)),
                    ('key', models.CharField(help_text='Deduplication key: one notification per store and key.', max_length=200)),
                    ('created_at', models.DateTimeField()),
                    ('last_at', models.DateTimeField()),
                    ('resolved_at', models.DateTimeField(blank=True, null=True)),
                    ('delivery', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='notifications', to='deliveries.delivery')),
                    ('failure_group', models.OneToOneField(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='notification', to='deliveries.failuregroup')),
                    ('integration', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='notifications', to='integrations.integration')),
                    ('store', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='notifications', to='integrations.store')),
                ],
                options={
                    'ordering': ['-last_at'],
                    'indexes': [models.Index(fields=['status', '-last_at'], name='notification_open'), models.Index(fields=['store', '-last_at'], name='notification_of_store')],
                    'constraints': [models.UniqueConstraint(fields=('store', 'key'), name='notification_key_is_unique'), models.CheckConstraint(condition=models.Q(models.Q(('resolved_at', None), ('status', 'open')), models.Q(('resolved_at__isnull', False), ('status', 'resolved')), _connector='OR'), name='notification_resolved_has_time')],
                    'verbose_name': 'notification',
                    'verbose_name_plural': 'notifications',
                },
            ),
            migrations.CreateModel(
                name='ChannelMessage',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('recipient', models.CharField(max_length=200)),
                    ('text', models.TextField()),
                    ('status', models.CharField(choices=[('waiting', 'waiting'), ('sending', 'sending'), ('sent', 'sent'), ('failed', 'failed')], default='waiting', max_length=10)),
                    ('send_after', models.DateTimeField(help_text='While sending: when the attempt counts as interrupted.')),
                    ('window', models.BigIntegerField(help_text='Number of the deduplication window.')),
                    ('attempts', models.PositiveSmallIntegerField(default=0)),
                    ('error', models.TextField(blank=True)),
                    ('created_at', models.DateTimeField()),
                    ('sent_at', models.DateTimeField(null=True)),
                    ('channel', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='messages', to='notifications.channel')),
                    ('notification', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='messages', to='notifications.notification')),
                ],
                options={
                    'indexes': [models.Index(condition=models.Q(('status', 'waiting')), fields=['send_after'], name='channel_message_waiting'), models.Index(condition=models.Q(('status', 'sending')), fields=['send_after'], name='channel_message_sending'), models.Index(fields=['created_at'], name='channel_message_age'), models.Index(condition=models.Q(('status', 'sent')), fields=['channel', 'recipient', 'sent_at'], name='channel_message_sent')],
                    'constraints': [models.UniqueConstraint(fields=('channel', 'recipient', 'notification', 'window'), name='channel_message_once_per_window')],
                },
            ),
            migrations.CreateModel(
                name='PersonalNotice',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('key', models.CharField(max_length=200)),
                    ('text', models.TextField()),
                    ('path', models.CharField(help_text='The page of the desk where to act.', max_length=300)),
                    ('at', models.DateTimeField()),
                    ('read_at', models.DateTimeField(null=True)),
                    ('mail', models.CharField(choices=[('none', 'none'), ('waiting', 'waiting'), ('sending', 'sending'), ('sent', 'sent'), ('failed', 'failed')], default='none', max_length=10)),
                    ('mailed_at', models.DateTimeField(null=True)),
                    ('mail_error', models.TextField(blank=True)),
                    ('case', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='deliveries.failuregroup')),
                    ('store', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='integrations.store')),
                    ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='notices', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'ordering': ['-at'],
                    'indexes': [models.Index(condition=models.Q(('mail__in', ['waiting', 'sending'])), fields=['at'], name='personal_notice_waiting'), models.Index(fields=['read_at'], name='personal_notice_age')],
                    'constraints': [models.UniqueConstraint(fields=('user', 'key'), name='personal_notice_is_unique')],
                },
            ),
            migrations.CreateModel(
                name='OpenIncident',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('recipient', models.CharField(max_length=200)),
                    ('reference', models.CharField(blank=True, help_text='What the receiver calls the message.', max_length=300)),
                    ('acknowledged_by', models.CharField(blank=True, help_text='Who has the case since it was told.', max_length=200)),
                    ('is_acknowledged', models.BooleanField(default=False, help_text='The receiver knows who has it.')),
                    ('attempts', models.PositiveSmallIntegerField(default=0)),
                    ('try_after', models.DateTimeField(help_text='A follow-up is sent then at the earliest.')),
                    ('told_at', models.DateTimeField()),
                    ('channel', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='notifications.channel')),
                    ('notification', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='notifications.notification')),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('channel', 'recipient', 'notification'), name='open_incident_is_unique')],
                },
            ),
        ]),
    ]
