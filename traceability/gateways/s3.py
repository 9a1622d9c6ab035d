"""A bucket on S3, through django-storages; races are decided by S3's conditional writes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.utils.translation import gettext as _
from storages.backends.s3 import S3Storage

from traceability.gateways.contract import BINARY, ObjectMissing, StoreUnavailable, check_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

IN_MEMORY: Final = 8 * 2**20
CONFLICT_TRIES: Final = 5
_MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound"})
_CONDITION_FAILED: Final = frozenset({"412", "PreconditionFailed"})
_RACE: Final = frozenset({"409", "ConditionalRequestConflict"})


class S3Store:
    """One client for all threads: making one costs far more than a request."""

    def __init__(self, bucket: str, *, region: str, endpoint: str) -> None:
        self.bucket = bucket
        storage = S3Storage(
            bucket_name=bucket,
            region_name=region,
            endpoint_url=endpoint or None,
            client_config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path" if endpoint else "virtual"},
                retries={"mode": "standard", "max_attempts": 4},
                connect_timeout=5,
                read_timeout=30,
                max_pool_connections=32,
            ),
        )
        self._client: S3Client = storage.connection.meta.client

    def read(self, key: str) -> bytes:
        with self._explained(key):
            return self._client.get_object(Bucket=self.bucket, Key=check_key(key))["Body"].read()

    def open(self, key: str) -> BinaryIO:
        stream = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  # the caller closes
        try:
            with self._explained(key):
                self._client.download_fileobj(self.bucket, check_key(key), stream)
        except BaseException:
            stream.close()
            raise
        stream.seek(0)
        return cast("BinaryIO", stream)

    def size(self, key: str) -> int:
        with self._explained(key):
            return self._client.head_object(Bucket=self.bucket, Key=check_key(key))["ContentLength"]

    def exists(self, key: str) -> bool:
        try:
            self.size(key)
        except ObjectMissing:
            return False
        return True

    def put_if_absent(self, key: str, data: bytes, *, content_type: str = BINARY) -> bool:
        return self._put_conditionally(key, data, content_type, {"IfNoneMatch": "*"})

    def put(self, key: str, data: bytes, *, content_type: str = BINARY) -> None:
        with self._explained(key):
            self._client.put_object(
                Bucket=self.bucket, Key=check_key(key), Body=data, ContentType=content_type
            )

    def read_tagged(self, key: str) -> tuple[bytes, str] | None:
        try:
            with self._explained(key):
                found = self._client.get_object(Bucket=self.bucket, Key=check_key(key))
                return found["Body"].read(), found["ETag"]
        except ObjectMissing:
            return None

    def replace_if(
        self, key: str, data: bytes, *, tag: str | None, content_type: str = BINARY
    ) -> bool:
        if tag is None:
            return self.put_if_absent(key, data, content_type=content_type)
        try:
            return self._put_conditionally(key, data, content_type, {"IfMatch": tag})
        except ObjectMissing:
            return False

    def list(self, prefix: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2")
        with self._explained(prefix):
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
                yield from (entry["Key"] for entry in page.get("Contents", ()))

    def path(self, key: str) -> Path | None:
        check_key(key)
        return None

    def address(self, key: str, *, seconds: int) -> str | None:
        return self._client.generate_presigned_url(
            "get_object",
            Params={"Bucket": self.bucket, "Key": check_key(key)},
            ExpiresIn=seconds,
        )

    def _put_conditionally(
        self, key: str, data: bytes, content_type: str, condition: dict[str, str]
    ) -> bool:
        """S3 answers 412 when the condition does not hold, 409 when two writers met: ask again."""
        for _attempt in range(CONFLICT_TRIES):
            with self._explained(key):
                try:
                    self._client.put_object(
                        Bucket=self.bucket,
                        Key=check_key(key),
                        Body=data,
                        ContentType=content_type,
                        **condition,  # type: ignore[arg-type]  # one of two string parameters
                    )
                except ClientError as error:
                    if _code(error) in _CONDITION_FAILED:
                        return False
                    if _code(error) not in _RACE:
                        raise
                else:
                    return True
        raise StoreUnavailable(self.bucket, _("too many writers at %(key)s.") % {"key": key})

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            if _code(error) in _MISSING:
                raise ObjectMissing(self.bucket, key) from error
            raise StoreUnavailable(self.bucket, error) from error
        except BotoCoreError as error:
            raise StoreUnavailable(self.bucket, error) from error


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
