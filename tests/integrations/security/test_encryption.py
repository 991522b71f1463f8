"""Encryption at rest: the keys, their rotation, and the model fields."""

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import FieldError, ValidationError
from django.db import connection, models
from django.test.utils import isolate_apps
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from integrations.security.encrypted_fields import EncryptedJSONField, EncryptedTextField
from integrations.security.encryption import (
    DecryptionError,
    EncryptionKeyError,
    decrypt_bytes,
    decrypt_text,
    encrypt_bytes,
    encrypt_text,
    encryption_keys,
    reencrypt,
)

OLD = "a passphrase that is long enough"
NEW = Fernet.generate_key().decode()


@pytest.fixture(autouse=True)
def keys(settings):
    settings.ENCRYPTION_KEYS = [OLD]
    return settings


@hypothesis_settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(), st.binary())
def test_what_is_encrypted_can_be_read_back(text, raw):
    assert decrypt_text(encrypt_text(text)) == text
    assert decrypt_bytes(encrypt_bytes(raw)) == raw


def test_the_plain_text_is_not_in_the_token_and_no_two_tokens_are_alike():
    first, second = encrypt_text("whsec_canary"), encrypt_text("whsec_canary")
    assert "canary" not in first
    assert first != second


def test_keys_may_be_one_text_with_commas_or_a_list(keys):
    keys.ENCRYPTION_KEYS = f" {NEW}, {OLD} ,"
    assert encryption_keys() == (NEW, OLD)
    keys.ENCRYPTION_KEYS = [NEW, OLD]
    assert encryption_keys() == (NEW, OLD)


def test_a_fernet_key_is_used_as_it_is(keys):
    keys.ENCRYPTION_KEYS = NEW
    assert Fernet(NEW).decrypt(encrypt_text("plain").encode()) == b"plain"


def test_keys_are_rotated_while_running(keys):
    token = encrypt_text("plain")
    keys.ENCRYPTION_KEYS = [NEW, OLD]
    assert decrypt_text(token) == "plain"
    fresh = reencrypt(token)
    assert fresh is not None
    assert reencrypt(fresh) is None
    keys.ENCRYPTION_KEYS = [NEW]
    assert decrypt_text(fresh) == "plain"


def test_a_key_that_was_taken_away_opens_nothing_any_more(keys):
    token = encrypt_text("plain")
    assert decrypt_text(token) == "plain"
    keys.ENCRYPTION_KEYS = [NEW]
    with pytest.raises(
        DecryptionError, match=r"none of the 1 keys in ENCRYPTION_KEYS decrypts it.*enter the value again"
    ):
        decrypt_text(token)
    with pytest.raises(DecryptionError):
        reencrypt(token)


@pytest.mark.parametrize("token", ["", "nonsense", "gAAAAA", "ключ"])
def test_what_is_no_token_is_refused(token):
    with pytest.raises(DecryptionError):
        decrypt_text(token)


def test_a_long_value_is_read_back_too():
    text = "long " * 10_000
    assert decrypt_text(encrypt_text(text)) == text


def test_bytes_that_are_no_text_are_refused_as_text():
    with pytest.raises(DecryptionError, match="not text"):
        decrypt_text(encrypt_bytes(b"\xff").decode())


def test_an_empty_token_needs_no_reencryption():
    assert reencrypt("") is None


@pytest.mark.parametrize("missing", ["", [], " , "])
def test_without_a_key_the_error_says_what_to_set(keys, missing):
    keys.ENCRYPTION_KEYS = missing
    with pytest.raises(EncryptionKeyError, match="Set ENCRYPTION_KEYS"):
        encrypt_text("plain")


def test_a_short_key_is_refused_without_showing_it(keys):
    keys.ENCRYPTION_KEYS = [OLD, "short-secret"]
    with pytest.raises(EncryptionKeyError, match="Key 2 of ENCRYPTION_KEYS has 12 characters") as caught:
        encrypt_text("plain")
    assert "short-secret" not in str(caught.value)


@pytest.fixture
def safe(db):
    """A model with both fields and a table that goes away with the test's transaction."""
    with isolate_apps("integrations"):

        class Safe(models.Model):
            token = EncryptedTextField(default="", blank=True)
            parameters = EncryptedJSONField(default=dict, blank=True)

            class Meta:
                app_label = "integrations"
                db_table = "test_safe"

        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE test_safe (id integer PRIMARY KEY, token text, parameters text)")
        yield Safe


def stored(column):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM test_safe")
        return cursor.fetchone()[0]


def test_fields_hold_plain_values_in_python_and_ciphertext_in_the_database(safe):
    safe.objects.create(id=1, token="tök", parameters={"auth_token": "canary", "n": [1, None]})
    found = safe.objects.get(pk=1)
    assert (found.token, found.parameters) == ("tök", {"auth_token": "canary", "n": [1, None]})
    assert decrypt_text(stored("token")) == "tök"
    assert "canary" not in stored("parameters")


def test_bulk_updates_encrypt_too(safe):
    row = safe.objects.create(id=1, token="old")
    row.token = "new"
    safe.objects.bulk_update([row], ["token"])
    assert decrypt_text(stored("token")) == "new"
    safe.objects.update(token="newer")
    assert safe.objects.get(pk=1).token == "newer"


def test_empty_values_are_stored_empty(safe):
    safe.objects.create(id=1)
    assert (stored("token"), stored("parameters")) == ("", "")
    found = safe.objects.get(pk=1)
    assert (found.token, found.parameters) == ("", {})


def test_two_reads_do_not_share_an_object(safe):
    safe.objects.create(id=1, parameters={"list": []})
    safe.objects.get(pk=1).parameters["list"].append("changed")
    assert safe.objects.get(pk=1).parameters == {"list": []}


@pytest.mark.parametrize("lookup", ["token", "token__contains", "token__isnull", "parameters__auth_token"])
def test_lookups_are_refused(safe, lookup):
    with pytest.raises(FieldError, match="is encrypted and cannot be searched"):
        safe.objects.filter(**{lookup: "x"}).exists()


def test_an_unreadable_value_says_so_when_it_is_loaded(safe, keys):
    safe.objects.create(id=1, token="plain")
    keys.ENCRYPTION_KEYS = [NEW]
    with pytest.raises(DecryptionError):
        safe.objects.get(pk=1)


def test_exports_hold_nothing_of_encrypted_fields(safe):
    row = safe(token="canary", parameters={"auth_token": "canary"})
    assert [field.value_to_string(row) for field in row._meta.fields[1:]] == ["", ""]


@pytest.mark.parametrize("field", [EncryptedTextField(default=""), EncryptedJSONField(default=dict, blank=True)])
def test_migrations_can_write_the_fields_down(field):
    _, path, arguments, options = field.deconstruct()
    assert path == f"integrations.security.encrypted_fields.{type(field).__name__}"
    assert type(field)(*arguments, **options).deconstruct()[3] == options


@pytest.mark.parametrize("value", ["[1]", "nonsense", "1", [1], 5, "[" * 100_000])
def test_only_objects_go_into_a_json_field(value):
    with pytest.raises(ValidationError, match="not a JSON object"):
        EncryptedJSONField().to_python(value)


@pytest.mark.parametrize(("value", "document"), [('{"a": 1}', {"a": 1}), ("", {}), (None, None), ({"a": 1}, {"a": 1})])
def test_a_json_field_reads_text_and_objects(value, document):
    assert EncryptedJSONField().to_python(value) == document


def test_a_json_field_is_edited_as_json():
    form_field = EncryptedJSONField(blank=True).formfield()
    assert form_field.clean('{"a": 1}') == {"a": 1}
