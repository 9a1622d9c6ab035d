"""Hashed static files whose ES modules import each other by hashed name."""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage


class ModuleManifestStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # untyped
    """Rewrites import statements too, so that a module never meets a stale neighbour."""

    support_js_module_import_aggregation = True
