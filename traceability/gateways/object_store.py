"""The one way to images, datasets and models: a bucket by its name, on files or on S3."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings
from django.utils.translation import gettext as _

from traceability.gateways.contract import (
    BINARY,
    KeyRefused,
    ObjectMissing,
    ObjectStore,
    StoreUnavailable,
    check_key,
)
from traceability.gateways.files import FileStore
from traceability.gateways.s3 import S3Store
from traceability.refusals import Unknown

__all__ = [
    "BINARY",
    "KeyRefused",
    "ObjectMissing",
    "ObjectStore",
    "StoreUnavailable",
    "check_key",
    "datasets",
    "images",
    "store",
]


def store(bucket: str) -> ObjectStore:
    """The bucket's store; Unknown for a bucket Loupe was not told to use."""
    environment = settings.LOUPE
    if bucket != environment.dataset_bucket and bucket not in environment.image_buckets:
        raise Unknown(
            _("The bucket %(bucket)s is not one of Loupe's. Add it to LOUPE_IMAGE_BUCKETS.")
            % {"bucket": bucket},
            code="unknown_bucket",
        )
    if environment.storage == "files":
        return FileStore(bucket, environment.state / "buckets" / bucket)
    return _s3(bucket, environment.aws_region, environment.aws_endpoint_url)


def datasets() -> ObjectStore:
    """The bucket of dataset versions, models and previews."""
    return store(settings.LOUPE.dataset_bucket)


def images() -> ObjectStore:
    """The bucket images go to that Loupe itself stores."""
    return store(settings.LOUPE.image_buckets[0])


@lru_cache(maxsize=32)
def _s3(bucket: str, region: str, endpoint: str) -> S3Store:
    return S3Store(bucket, region=region, endpoint=endpoint)
