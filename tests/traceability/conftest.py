"""An S3 endpoint for the tests of this folder."""

from __future__ import annotations

from tests.traceability.s3 import s3_bucket, s3_endpoint

__all__ = ["s3_bucket", "s3_endpoint"]
