"""Which static files of third parties are served."""

from __future__ import annotations

from django.contrib.staticfiles.apps import StaticFilesConfig


class ServedFiles(StaticFilesConfig):
    """Leaves out htmx's extensions: nothing here uses them, and some name files they lack."""

    # Django's own attribute, which is not a class variable to its type stubs.
    ignore_patterns = [*StaticFilesConfig.ignore_patterns, "hx-*.js", "htmax*"]  # noqa: RUF012
