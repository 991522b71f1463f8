"""Every setting of Hookdesk. Everything that differs between installations comes from the environment (or a
`.env` file next to `manage.py`); `.env.example` lists the variables in the order of this file.
"""

from pathlib import Path

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config.accounts.allauth_settings import allauth_settings
from integrations.wire_formats.base import VERSION

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(env.str("ENV_FILE", default=str(BASE_DIR / ".env")))

# --- What must be set in production -------------------------------------------------------------------

# Shows tracebacks and uses throw-away keys. Never in production.
DEBUG = env.bool("DEBUG", default=False)


def required(name: str, development: str) -> str:
    """The variable `name`; in development `development`; in production a refusal that says what to do."""
    value: str = env.str(name, default="")
    if value or DEBUG:
        return value or development
    raise ImproperlyConfigured(
        f"{name} is not set. Set it in the environment or in .env (make one with: "
        f'python3 -c "import secrets; print(secrets.token_urlsafe(48))"), or set DEBUG=true to try things out.'
    )


# Signs sessions and the task queue's packages.
SECRET_KEY = required("SECRET_KEY", "development-only-secret-key-that-is-long-enough-to-pass-the-checks")
# Comma-separated; the first encrypts tokens, secrets and parameters, all of them decrypt.
ENCRYPTION_KEYS = [key.strip() for key in required("ENCRYPTION_KEYS", "development-only-encryption-key").split(",")]

# Host names that the web server answers to, comma-separated.
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
# Where people reach the admin: links in SMS and e-mail, and the CSRF check behind a TLS proxy.
PUBLIC_URL = env.str("PUBLIC_URL", default="http://localhost:8000").rstrip("/")

# --- Database and queue -------------------------------------------------------------------------------

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'hookdesk.sqlite3'}")}
DATABASES["default"]["CONN_MAX_AGE"] = None
IS_SQLITE = DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"
if IS_SQLITE:
    # WAL lets readers and the one writer work side by side; IMMEDIATE makes the writer wait its turn instead
    # of failing half-way; FULL makes a 202 survive a power cut. Checkpoints after 32 MB instead of 4 write a page that
    # changes again and again less often.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-32768;"
        " PRAGMA mmap_size=268435456; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=8000;",
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # A dead database server must cause a 503, not a hang.
    # One that vanishes silently breaks no connection: TCP notices with these (seconds; the last in milliseconds).
    alive = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}
    given = DATABASES["default"].get("OPTIONS", {})
    DATABASES["default"]["OPTIONS"] = {"connect_timeout": 5, **alive, **given}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Set: django-q2 uses Redis as its broker. Unset: its ORM broker.
REDIS_URL = env.str("REDIS_URL", default="")
# Engines per host, one process each; two more workers run the other tasks (SMS, replays, sweeps).
ENGINE_PROCESSES = env.int("ENGINE_PROCESSES", default=2)
# "requests" or "curl" (needs the extra `curl`: thousands in flight in one thread).
TRANSPORT = env.str("TRANSPORT", default="requests")
# Requests in flight per engine process.
ENGINE_CAPACITY = env.int("ENGINE_CAPACITY", default=0) or {"requests": 256, "curl": 2000}.get(TRANSPORT, 256)
# An engine task ends after this many seconds and hands over to a fresh one.
ENGINE_RUN_SECONDS = env.int("ENGINE_RUN_SECONDS", default=600)
# Jitter of the retry schedule as a fraction; tests set 0.
RETRY_JITTER = env.float("RETRY_JITTER", default=0.1)
# The shortest interval of a polling subscription, in seconds.
POLL_MIN_SECONDS = env.int("POLL_MIN_SECONDS", default=60)

Q_CLUSTER = {
    "name": "hookdesk",
    "workers": ENGINE_PROCESSES + 2,
    # An engine runs for long: the task time-out is above its run time, and `retry` above the time-out.
    "timeout": ENGINE_RUN_SECONDS + 300,
    "retry": ENGINE_RUN_SECONDS + 360,
    "save_limit": -1,
    "log_level": "WARNING",
    "queue_limit": 4,
    "recycle": 10_000,
    # A death or a free slot ends the guard's pause.
    "guard_cycle": 3,
    "poll": 1.0,
    "max_attempts": 3,
    "ack_failures": True,
    "catch_up": False,
    "label": "Task queue",
}
if REDIS_URL:
    # Without these, a hanging server would hang health checks and the worker guard.
    timeouts = "socket_timeout=5" if REDIS_URL.startswith("unix:") else "socket_timeout=5&socket_connect_timeout=3"
    Q_CLUSTER["redis"] = f"{REDIS_URL}{'&' if '?' in REDIS_URL else '?'}{timeouts}"
else:
    Q_CLUSTER["orm"] = "default"

# --- Outbound -----------------------------------------------------------------------------------------

# CIDRs that deliveries may reach beyond public addresses, comma-separated: 10.0.0.0/8,127.0.0.0/8
OUTBOUND_ALLOW = env.list("OUTBOUND_ALLOW", default=[])
# SMS notifications of channels that name no account of their own.
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
# The most objects taken from one response.
ANSWER_MAX_OBJECTS = env.int("ANSWER_MAX_OBJECTS", default=1_000)
# Who may read /metrics: a bearer token, or addresses.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
METRICS_ALLOW = env.list("METRICS_ALLOW", default=["127.0.0.0/8", "::1/128"])
# How many integrations have figures of their own there; the rest is `other`.
METRICS_MAX_INTEGRATIONS = env.int("METRICS_MAX_INTEGRATIONS", default=500)

# --- Logging in ---------------------------------------------------------------------------------------

# Proxies whose X-Forwarded-For is trusted, as CIDRs: failed logins are counted per client address. Behind TLS the
# proxy is taken to be on this machine.
TRUSTED_PROXIES = env.list(
    "TRUSTED_PROXIES", default=["127.0.0.0/8", "::1/128"] if PUBLIC_URL.startswith("https://") else []
)
# Staff who may change things confirm their password after this many idle minutes, and in any case
# after so many hours.
STAFF_IDLE_MINUTES = env.int("STAFF_IDLE_MINUTES", default=60)
STAFF_SESSION_HOURS = env.int("STAFF_SESSION_HOURS", default=12)
# For tokens, secrets, approval settings, users and roles: unless they did so within this many minutes.
CONFIRM_MINUTES = env.int("CONFIRM_MINUTES", default=10)
# Roles that need a second factor, comma-separated; superusers hold every role. Empty: it is everybody's own choice.
REQUIRE_SECOND_FACTOR = env.list("REQUIRE_SECOND_FACTOR", default=[])
# Off: people log in by single sign-on or with a passkey only.
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
    # Headers first: those that follow may refuse a request, and a refusal is a page too.
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
# Clients write API paths with or without the trailing slash; both are routed, nothing is redirected.
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
# Of all that is not a page: the API, commands, logs, what is stored.
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("fr", "Français")]
# Of pages for people whose browser asks for none of these, and of messages to staff.
DESK_LANGUAGE = env.str("DESK_LANGUAGE", default="en")
if DESK_LANGUAGE not in dict(LANGUAGES):
    raise ImproperlyConfigured(f"DESK_LANGUAGE is {DESK_LANGUAGE!r}. Write en, de or fr.")
LANGUAGE_COOKIE_NAME = "hookdesk_language"
LOCALE_PATHS = [BASE_DIR / "config" / "locale"]
# Of pages for people whose browser has not said its own yet.
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
FORMAT_MODULE_PATH = ["config.formats"]
USE_TZ = True
USE_I18N = True
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "templates" / "static"]
# The files are served from the apps' own folders: no collectstatic step that could be forgotten.
WHITENOISE_USE_FINDERS = True
LOGIN_URL = "admin:login"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["integrations.api.authentication.StoreAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["integrations.api.authentication.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["integrations.api.parsing.DocumentParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "integrations.api.parsing.JSONAlways",
    "DEFAULT_SCHEMA_CLASS": "integrations.api.openapi.APISchema",
    "EXCEPTION_HANDLER": "integrations.api.errors.error_list_handler",
    "UNAUTHENTICATED_USER": None,
    "DATETIME_FORMAT": "iso-8601",
    "COERCE_DECIMAL_TO_STRING": False,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Hookdesk API",
    "DESCRIPTION": "Push objects and events, manage integrations and subscriptions, see and resolve deliveries.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    # Cases and notifications have the same two; without a name of ours they would get one made of digits.
    "ENUM_NAME_OVERRIDES": {
        "OpenOrResolvedEnum": [("open", "open"), ("resolved", "resolved")],
        "KindEnum": "integrations.sources.SOURCE_KINDS",
        "ChannelKindEnum": "notifications.channels.CHANNEL_KINDS",
        "BulkActionEnum": "deliveries.api.bulk_bodies.ACTIONS",
        "LevelEnum": "notifications.models.Notification.Level",
    },
}

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

# "text" for people, "json" for what collects logs: one object a line, with one per attempt and per request.
LOG_FORMAT = env.str("LOG_FORMAT", default="text").strip().lower()
if LOG_FORMAT not in ("text", "json"):
    raise ImproperlyConfigured(f"LOG_FORMAT is {LOG_FORMAT!r}. Write text or json.")
# Where errors are reported (extra `sentry`), without payloads and secrets.
SENTRY_DSN = env.str("SENTRY_DSN", default="")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "class": "config.observability.log_lines.LineFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s: %(message)s",
        },
        "json": {"class": "config.observability.json_lines.JsonFormatter"},
    },
    "handlers": {
        "stderr": {"class": "config.observability.json_lines.StderrHandler", "formatter": "json"}
        if LOG_FORMAT == "json"
        else {"class": "logging.StreamHandler", "formatter": "line"},
    },
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="WARNING")},
    "loggers": {
        "hookdesk": {"level": env.str("LOG_LEVEL", default="INFO")},
        # In JSON without Django's own handlers, which print text while DEBUG is on.
        **({"django": {"handlers": []}, "django.server": {"handlers": []}} if LOG_FORMAT == "json" else {}),
    },
}
# TLS and its redirect are the proxy's (W008); policy for a whole domain is not ours to decide (W005, W021).
SILENCED_SYSTEM_CHECKS = ["security.W008", "security.W005", "security.W021"]
