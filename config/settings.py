"""All settings of Hookdesk. Everything that differs between installations comes from the environment, or from a `.env`
file next to `manage.py`; `.env.example` lists the variables in the order of this file.
"""

from pathlib import Path

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy

from config.accounts.allauth_settings import allauth_settings
from config.api_settings import rest_framework_settings, spectacular_settings
from config.observability.log_settings import logging_settings

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(env.str("ENV_FILE", default=str(BASE_DIR / ".env")))

# --- What must be set in production -------------------------------------------------------------------

# Shows tracebacks and uses development keys. Never use it in production.
DEBUG = env.bool("DEBUG", default=False)


def required(name: str, development: str) -> str:
    """Return the variable `name`. If unset: `development` in development, else an error with instructions."""
    value: str = env.str(name, default="")
    if value or DEBUG:
        return value or development
    raise ImproperlyConfigured(
        f"{name} is not set. Set it in the environment or in .env (make one with: "
        f'python3 -c "import secrets; print(secrets.token_urlsafe(48))"), or set DEBUG=true to try things out.'
    )


# Signs sessions and the task queue's messages.
SECRET_KEY = required("SECRET_KEY", "development-only-secret-key-that-is-long-enough-to-pass-the-checks")
# Comma-separated. The first key encrypts tokens, secrets and parameters; all of them decrypt.
ENCRYPTION_KEYS = [key.strip() for key in required("ENCRYPTION_KEYS", "development-only-encryption-key").split(",")]

# Host names that the web server accepts, comma-separated.
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
# The public address of the admin, for links in SMS and e-mail and for the CSRF check behind a TLS proxy.
PUBLIC_URL = env.str("PUBLIC_URL", default="http://localhost:8000").rstrip("/")

# --- Database and queue -------------------------------------------------------------------------------

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'hookdesk.sqlite3'}")}
DATABASES["default"]["CONN_MAX_AGE"] = None
IS_SQLITE = DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"
if IS_SQLITE:
    # WAL lets readers and the single writer work concurrently; IMMEDIATE makes a writer wait for its turn instead of
    # failing half-way; FULL makes a 202 survive a power failure. Checkpoints after 32 MB instead of 4 write pages that
    # change repeatedly less often.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-32768;"
        " PRAGMA mmap_size=268435456; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=8000;",
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # A dead database server must cause a 503, not a hang. If it vanishes silently, connections stay open: these let TCP
    # detect it (seconds; the last one in milliseconds).
    alive = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}
    given = DATABASES["default"].get("OPTIONS", {})
    DATABASES["default"]["OPTIONS"] = {"connect_timeout": 5, **alive, **given}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# If set, django-q2 uses Redis as its broker, otherwise its ORM broker.
REDIS_URL = env.str("REDIS_URL", default="")
# Engines per host, one process each; one or two more workers run the other tasks (SMS, replays, sweeps).
ENGINE_PROCESSES = env.int("ENGINE_PROCESSES", default=2)
# "requests" or "curl" (needs the extra `curl`: thousands in flight in one thread).
TRANSPORT = env.str("TRANSPORT", default="requests")
# Requests in flight per engine process.
ENGINE_CAPACITY = env.int("ENGINE_CAPACITY", default=0) or {"requests": 256, "curl": 2000}.get(TRANSPORT, 256)
# An engine task ends after this many seconds, and a new one starts.
ENGINE_RUN_SECONDS = env.int("ENGINE_RUN_SECONDS", default=600)
# Jitter of the retry schedule as a fraction; tests set 0.
RETRY_JITTER = env.float("RETRY_JITTER", default=0.1)
# The shortest interval of a polling subscription, in seconds.
POLL_MIN_SECONDS = env.int("POLL_MIN_SECONDS", default=60)

Q_CLUSTER = {
    "name": "hookdesk",
    # One for all other tasks; the guard adds another while a task waits for it (`deliveries/runtime/cluster.py`).
    "workers": ENGINE_PROCESSES + 1,
    # An engine is a long task: the task timeout must exceed its run time, and `retry` must exceed the timeout.
    "timeout": ENGINE_RUN_SECONDS + 300,
    "retry": ENGINE_RUN_SECONDS + 360,
    "save_limit": -1,
    "log_level": "WARNING",
    "queue_limit": 4,
    "recycle": 10_000,
    # The guard also wakes when a child dies or a slot becomes free.
    "guard_cycle": 3,
    "poll": 1.0,
    "max_attempts": 3,
    "ack_failures": True,
    "catch_up": False,
    "label": gettext_lazy("Task queue"),
}
if REDIS_URL:
    # Without these, a hanging Redis would block health checks and the worker guard.
    timeouts = "socket_timeout=5" if REDIS_URL.startswith("unix:") else "socket_timeout=5&socket_connect_timeout=3"
    Q_CLUSTER["redis"] = f"{REDIS_URL}{'&' if '?' in REDIS_URL else '?'}{timeouts}"
else:
    Q_CLUSTER["orm"] = "default"

# --- Outbound -----------------------------------------------------------------------------------------

# CIDRs that deliveries may reach beyond public addresses, comma-separated: 10.0.0.0/8,127.0.0.0/8
OUTBOUND_ALLOW = env.list("OUTBOUND_ALLOW", default=[])
# The account for SMS notifications of channels without an account of their own.
TWILIO_ACCOUNT_SID = env.str("TWILIO_ACCOUNT_SID", default="")
TWILIO_AUTH_TOKEN = env.str("TWILIO_AUTH_TOKEN", default="")
TWILIO_FROM = env.str("TWILIO_FROM", default="")
# Base URLs of the vendors' APIs; empty means the vendor's own.
TWILIO_BASE_URL = env.str("TWILIO_BASE_URL", default="")
MAILCHIMP_BASE_URL = env.str("MAILCHIMP_BASE_URL", default="")
CAMPAIGN_MONITOR_BASE_URL = env.str("CAMPAIGN_MONITOR_BASE_URL", default="")
SLACK_BASE_URL = env.str("SLACK_BASE_URL", default="")
PAGERDUTY_BASE_URL = env.str("PAGERDUTY_BASE_URL", default="")
OPSGENIE_BASE_URL = env.str("OPSGENIE_BASE_URL", default="")
# smtp+tls://user:password@host:587, consolemail:// …
EMAIL_URL = env.email_url("EMAIL_URL", default="consolemail://")
vars().update({key: value for key, value in EMAIL_URL.items() if key.isupper()})
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="hookdesk@localhost")

# --- Limits and housekeeping --------------------------------------------------------------------------

# Finished deliveries, their attempts and events are pruned after this many days.
RETENTION_DAYS = env.int("RETENTION_DAYS", default=90)
# The largest body the API accepts, in bytes.
MAX_BODY_BYTES = 10 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
# Pushes and events per store and second, over all web processes and hosts; 0 means no limit.
PUSH_RATE_LIMIT = env.int("PUSH_RATE_LIMIT", default=0)
# Events with more hops than this through receivers' responses, or other Hookdesks, are stored but not forwarded.
HOP_LIMIT = env.int("HOP_LIMIT", default=8)
# How many deliveries the events of one response may cause, over all hops; the rest is stored but not forwarded.
CASCADE_LIMIT = env.int("CASCADE_LIMIT", default=2_000)
# Most objects that are accepted from one response.
ANSWER_MAX_OBJECTS = env.int("ANSWER_MAX_OBJECTS", default=1_000)
# Who may read /metrics: a bearer token, or addresses.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
METRICS_ALLOW = env.list("METRICS_ALLOW", default=["127.0.0.0/8", "::1/128"])
# Most integrations with metrics of their own; the rest are combined as `other`.
METRICS_MAX_INTEGRATIONS = env.int("METRICS_MAX_INTEGRATIONS", default=500)

# --- Logging in ---------------------------------------------------------------------------------------

# Proxies whose X-Forwarded-For is trusted, as CIDRs: failed logins are counted per client address. With an https
# PUBLIC_URL, the default is a proxy on this machine.
TRUSTED_PROXIES = env.list(
    "TRUSTED_PROXIES", default=["127.0.0.0/8", "::1/128"] if PUBLIC_URL.startswith("https://") else []
)
# Staff who may change things must confirm their password after this many idle minutes, and in any case after this many
# hours.
STAFF_IDLE_MINUTES = env.int("STAFF_IDLE_MINUTES", default=60)
STAFF_SESSION_HOURS = env.int("STAFF_SESSION_HOURS", default=12)
# Before they change tokens, secrets, approval settings, users or roles, they must have confirmed it within this many
# minutes.
CONFIRM_MINUTES = env.int("CONFIRM_MINUTES", default=10)
# Roles that require a second factor, comma-separated; superusers have every role. Empty: it is optional for everybody.
REQUIRE_SECOND_FACTOR = env.list("REQUIRE_SECOND_FACTOR", default=[])
# If off, people can only log in by single sign-on or with a passkey.
LOGIN_PASSWORDS = env.bool("LOGIN_PASSWORDS", default=True)
# Single sign-on by OpenID Connect. The redirect address to register is PUBLIC_URL/accounts/oidc/sso/login/callback/.
OIDC_ISSUER = env.str("OIDC_ISSUER", default="")
OIDC_CLIENT_ID = env.str("OIDC_CLIENT_ID", default="")
OIDC_CLIENT_SECRET = env.str("OIDC_CLIENT_SECRET", default="")
OIDC_SCOPES = env.str("OIDC_SCOPES", default="openid profile email")
# The claim that lists a person's groups, and what each group may do: support=Operator:my-shop,admins=Manager
OIDC_GROUPS_CLAIM = env.str("OIDC_GROUPS_CLAIM", default="groups")
OIDC_ROLES = env.str("OIDC_ROLES", default="")
vars().update(allauth_settings())

# --- Django -------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "integrations",
    "subscriptions",
    "deliveries",
    "notifications",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "config.desk.admin_site.HookdeskAdminConfig",
    "django_q",
    "rest_framework",
    "drf_spectacular",
    "csp",
    "config.accounts.apps.AccountConfig",
    "config.accounts.apps.UserSessionsConfig",
    "allauth.mfa",
    "allauth.socialaccount",
    # Last: its admins replace other apps'.
    "config",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    # Middleware that sets headers comes first: later ones may refuse a request, and that response needs them too.
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.server.page_policy.PagePolicyMiddleware",
    "config.desk.odd_input.RefuseNul",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.server.page_middleware.PageSessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "config.server.page_middleware.PageUserMiddleware",
    "config.server.page_middleware.PageMessageMiddleware",
    "config.desk.time_zone.PageZoneMiddleware",
    "config.desk.language.PageLanguageMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
# Clients may write API paths with or without the trailing slash: both are routed, without a redirect.
APPEND_SLASH = True
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# The language of everything except pages: the API, commands, logs and stored texts.
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("fr", "Français")]
# The language of pages for browsers that ask for none of these, and of messages to staff.
DESK_LANGUAGE = env.str("DESK_LANGUAGE", default="en")
if DESK_LANGUAGE not in dict(LANGUAGES):
    raise ImproperlyConfigured(f"DESK_LANGUAGE is {DESK_LANGUAGE!r}. Write en, de or fr.")
LANGUAGE_COOKIE_NAME = "hookdesk_language"
LOCALE_PATHS = [BASE_DIR / "config" / "locale"]
# The time zone of pages for browsers that have not reported their own yet.
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
FORMAT_MODULE_PATH = ["config.formats"]
USE_TZ = True
USE_I18N = True
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "templates" / "static"]
# Files are served directly from the apps' folders, without a collectstatic step.
WHITENOISE_USE_FINDERS = True
LOGIN_URL = "admin:login"

REST_FRAMEWORK = rest_framework_settings()
SPECTACULAR_SETTINGS = spectacular_settings()

# --- Security headers ---------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
if PUBLIC_URL.startswith("https://"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000)

# "text" for people; "json" for log collectors: one object per line, with a line per attempt and per request.
LOG_FORMAT = env.str("LOG_FORMAT", default="text").strip().lower()
if LOG_FORMAT not in ("text", "json"):
    raise ImproperlyConfigured(f"LOG_FORMAT is {LOG_FORMAT!r}. Write text or json.")
# Where errors are reported (extra `sentry`), without payloads and secrets.
SENTRY_DSN = env.str("SENTRY_DSN", default="")
LOGGING = logging_settings(
    is_json=LOG_FORMAT == "json",
    root_level=env.str("LOG_LEVEL", default="WARNING"),
    own_level=env.str("LOG_LEVEL", default="INFO"),
)
# TLS and its redirect are the proxy's job (W008); HSTS for a whole domain is not ours to decide (W005, W021).
SILENCED_SYSTEM_CHECKS = ["security.W008", "security.W005", "security.W021"]
