"""Which static files of third parties are served."""

from __future__ import annotations

from django.contrib.staticfiles.apps import StaticFilesConfig


class ServedFiles(StaticFilesConfig):
    """Leaves out what no page asks for by its own name.

    Nothing here uses htmx's extensions, and some name files they lack. The modules of the bench
    and of the line reach the browser as bundles, static/built.
    """

    # Django's own attribute, which is not a class variable to its type stubs.
    ignore_patterns = [  # noqa: RUF012
        *StaticFilesConfig.ignore_patterns,
        *("hx-*.js", "htmax*"),
        *("js/review/*", "js/line/*", "weights.json", "*.part"),
    ]
