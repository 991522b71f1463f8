

import django.db.models.deletion
import integrations.security.encrypted_fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("notifications", "0110_personal_notices"),
    ]

    operations = [
        migrations.AddField(
            model_name='channel',
            name='options',
            field=integrations.security.encrypted_fields.EncryptedJSONField(blank=True, default=dict, help_text="The kind's own fields.", null=True),
        ),
        migrations.AlterField(
            model_name='channel',
            name='kind',
            field=models.CharField(help_text='A name of notifications.channels.CHANNEL_KINDS.', max_length=30),
        ),
        migrations.AlterField(
            model_name='channel',
            name='recipients',
            field=models.JSONField(default=list, help_text='Phone numbers (+15551234567) or e-mail addresses; of other kinds, where messages go.'),
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
    ]
