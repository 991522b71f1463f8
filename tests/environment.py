"""The environment that tests run in: loaded by pytest before Django reads its settings, whatever a .env says."""

import os

os.environ.update(
    DEBUG="false",
    ENV_FILE="/dev/null",
    SECRET_KEY="a-secret-key-for-tests-that-is-long-enough-for-the-checks",
    ENCRYPTION_KEYS="a-passphrase-for-the-tests",
    OUTBOUND_ALLOW="127.0.0.0/8,::1/128",
    RETRY_JITTER="0",
)
