"""The last step of a publication: the marker that makes a version one, and the name `latest`."""

from __future__ import annotations

import json
from typing import Final

from django.utils.translation import gettext as _

from labeling.manifest import canonical
from labeling.models import DatasetVersion
from traceability.gateways.object_store import ObjectStore, StoreUnavailable

MARKER: Final = "_PUBLISHED"
_TRIES: Final = 10


def version_prefix(slug: str, number: int) -> str:
    """Where a version's files lie, without a slash at the end."""
    return f"datasets/{slug}/versions/{number:06d}"


def finish(store: ObjectStore, version: DatasetVersion) -> None:
    """Write the marker and point `latest` at the version. Safe to repeat after a crash."""
    said = canonical({"content_sha256": version.content_sha256})
    store.put_if_absent(f"{version.prefix}/{MARKER}", said, content_type="application/json")
    _point(store, version)


def _point(store: ObjectStore, version: DatasetVersion) -> None:
    key = f"datasets/{version.dataset.slug}/refs/latest.json"
    said = canonical(
        {
            "number": version.number,
            "prefix": version.prefix,
            "content_sha256": version.content_sha256,
        }
    )
    for _try in range(_TRIES):
        found = store.read_tagged(key)
        if found is not None and json.loads(found[0])["number"] >= version.number:
            return
        tag = found[1] if found else None
        if store.replace_if(key, said, tag=tag, content_type="application/json"):
            return
    raise StoreUnavailable(store.bucket, _("%(key)s changes all the time.") % {"key": key})
