"""The plant of `make run`, opened to tablets on the plant network: TLS only."""

from __future__ import annotations

from config.settings.local import *  # noqa: F403

# Other names than on loopback: a browser keeps cookies by host, whatever the port.
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_NAME = "__Host-sessionid"
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_NAME = "__Host-csrftoken"
LANGUAGE_COOKIE_SECURE = True
