"""The WSGI application gunicorn serves."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from config.long_polls import LongPolls
from config.settings.environment import ENVIRONMENT

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

application = LongPolls(
    get_wsgi_application(),
    working=ENVIRONMENT.request_threads,
    waiting=ENVIRONMENT.line_waiting,
)
