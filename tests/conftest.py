"""Settings that every test runs under; fixtures that several folders share."""

import os

os.environ.setdefault("DEBUG", "false")
os.environ.setdefault("SECRET_KEY", "a-secret-key-for-tests-that-is-long-enough-for-the-checks")
os.environ.setdefault("ENCRYPTION_KEYS", "a-passphrase-for-the-tests")
os.environ.setdefault("OUTBOUND_ALLOW", "127.0.0.0/8,::1/128")
os.environ.setdefault("RETRY_JITTER", "0")
os.environ.setdefault("ENV_FILE", "/dev/null")
