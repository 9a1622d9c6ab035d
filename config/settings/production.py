"""Behind TLS, on AWS or in a plant. Starting with an unsafe setting is refused here."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from config.settings.base import *  # noqa: F403
from config.settings.environment import ENVIRONMENT, UNSAFE_MES_SECRET, UNSAFE_SECRET_KEY

SECURE_SSL_REDIRECT = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_NAME = "__Host-sessionid"
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_NAME = "__Host-csrftoken"


def _unsafe() -> list[str]:
    """Every reason not to start, as sentences that say how to mend it."""
    key = ENVIRONMENT.secret_key.get_secret_value()
    secret = ENVIRONMENT.mes_secret.get_secret_value()
    reasons = {
        "LOUPE_SECRET_KEY is the default or shorter than 50 characters; set a long random one.": (
            key == UNSAFE_SECRET_KEY or len(key) < 50
        ),
        "DATABASE_URL is empty; set the address of the PostgreSQL server.": (
            not ENVIRONMENT.database_url
        ),
        "LOUPE_ALLOWED_HOSTS has no name of this site; set it to the names users type.": (
            "*" in ENVIRONMENT.allowed_hosts
            or set(ENVIRONMENT.allowed_hosts) <= {"localhost", "127.0.0.1", "[::1]"}
        ),
        "LOUPE_MES_SECRET is the default while LOUPE_MES_URL is set; set the shared secret.": (
            bool(ENVIRONMENT.mes_url) and secret == UNSAFE_MES_SECRET
        ),
        "LOUPE_MES_URL holds a name or password; leave it out, LOUPE_MES_SECRET is enough.": (
            "@" in ENVIRONMENT.mes_url.partition("://")[2].partition("/")[0]
        ),
        "LOUPE_DEMO is on; demo logins have no place in production.": ENVIRONMENT.demo,
    }
    return [sentence for sentence, unsafe in reasons.items() if unsafe]


if refusals := _unsafe():
    raise ImproperlyConfigured(
        "Loupe does not start with these settings:\n- " + "\n- ".join(refusals)
    )
