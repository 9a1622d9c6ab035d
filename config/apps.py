"""The composition root as an app, for its management commands and its migration."""

from __future__ import annotations

from django.apps import AppConfig

from config.celery import app as celery_app


class CompositionConfig(AppConfig):
    """Floor 6: knows every app, has no models. Loading it makes Celery's app the current one."""

    name = "config"
    celery = celery_app
