"""A prefix of a bucket on any S3-compatible server as a store (`AWS_ENDPOINT_URL` names the server)."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError

from rajobs.records.errors import StoreError, UsageError
from rajobs.records.store.base import Entry

_RETRY_WAITS = (0.2, 1.0, 3.0, 10.0)  # seconds before an object whose bytes broke off is requested again
_CONNECTIONS = 16
_BROKEN_OFF = (HTTPClientError, IncompleteReadError, ConnectionError)


class S3Store:
    """A prefix of a bucket. It can be pickled; its client is made where it is first used."""

    def __init__(self, uri: str) -> None:
        self.uri = "s3://" + uri.removeprefix("s3://").rstrip("/")
        self.bucket, _, self.prefix = self.uri.removeprefix("s3://").partition("/")
        if not self.bucket:
            raise StoreError(f"{uri!r} names no bucket; use s3://bucket/prefix")
        self._client: BaseClient | None = None

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_client": None}  # a client cannot be sent to another process

    @property
    def client(self) -> BaseClient:
        if self._client is None:
            # A wrong address is reported at once; a server that has answered before is asked again when it fails.
            self._call(self._check_reachable, self._make_client(retries=1))
            self._client = self._make_client(retries=10)
        return self._client

    def _make_client(self, retries: int) -> BaseClient:
        config = Config(
            retries={"max_attempts": retries, "mode": "standard"},
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=_CONNECTIONS,
        )
        region = os.environ.get("AWS_REGION", "us-east-1")
        try:
            return self._call(boto3.client, "s3", config=config, region_name=region)
        except ValueError:  # raised by botocore for an endpoint that is no URL
            endpoint = os.environ.get("AWS_ENDPOINT_URL", "the configured one")
            raise UsageError(
                f"cannot use s3://{self.bucket}: the endpoint {endpoint} is no address; "
                "write AWS_ENDPOINT_URL with its scheme, as http://host:9000"
            ) from None

    def _check_reachable(self, client: BaseClient) -> None:
        try:
            client.head_bucket(Bucket=self.bucket)
        except ClientError:
            return  # the server answered, if with a refusal: the request that follows reports what is wrong

    def put(self, key: str, data: bytes) -> None:
        self._call(self.client.put_object, Bucket=self.bucket, Key=self._full_key(key), Body=data)

    def put_file(self, key: str, path: Path) -> None:
        """A large file is uploaded in pieces; the object appears when all of them have arrived."""
        self._call(self.client.upload_file, str(path), self.bucket, self._full_key(key))

    def get(self, key: str) -> bytes:
        return self._read_object(Bucket=self.bucket, Key=self._full_key(key))

    def read_range(self, key: str, start: int, length: int) -> bytes:
        if length <= 0:
            return b""
        last = start + length - 1
        return self._read_object(Bucket=self.bucket, Key=self._full_key(key), Range=f"bytes={start}-{last}")

    def stat(self, key: str) -> Entry | None:
        client = self.client
        try:
            head = client.head_object(Bucket=self.bucket, Key=self._full_key(key))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise self._store_error(error) from None
        except Exception as error:  # noqa: BLE001 - botocore's other errors share no useful root
            raise self._store_error(error) from None
        return Entry(key=key, size=head["ContentLength"], etag=head["ETag"].strip('"'))

    def list(self, prefix: str = "") -> Iterator[Entry]:
        root = self._full_key("")
        token: dict[str, str] = {}
        while True:
            page = self._call(self.client.list_objects_v2, Bucket=self.bucket, Prefix=root + prefix, **token)
            for listed in page.get("Contents", []):
                yield Entry(key=listed["Key"][len(root) :], size=listed["Size"], etag=listed["ETag"].strip('"'))
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, key: str) -> None:
        self._call(self.client.delete_object, Bucket=self.bucket, Key=self._full_key(key))

    def sweep(self) -> None:
        """Abort uploads in pieces that were never completed: a large table's, or those of a tool that copied here."""
        token: dict[str, str] = {}
        while True:
            try:
                page = self._call(
                    self.client.list_multipart_uploads, Bucket=self.bucket, Prefix=self._full_key(""), **token
                )
            except StoreError:
                return  # forbidden by a policy, or unknown to the server; unfinished uploads harm no job
            for upload in page.get("Uploads", []):
                self._call(
                    self.client.abort_multipart_upload, Bucket=self.bucket, Key=upload["Key"],
                    UploadId=upload["UploadId"],
                )  # fmt: skip
            if not page.get("IsTruncated"):
                return
            token = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def _full_key(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _read_object(self, **request: str) -> bytes:
        """An object's bytes. botocore retries a request that fails, but not one whose answer breaks off half-way."""
        for wait in (*_RETRY_WAITS, None):
            try:
                return bytes(self.client.get_object(**request)["Body"].read())
            except (BotoCoreError, ClientError, OSError) as error:
                if wait is None or not isinstance(error, _BROKEN_OFF):
                    raise self._store_error(error) from None
                time.sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """A client's function with its errors as StoreError."""
        try:
            return function(*args, **kwargs)
        except (Boto3Error, BotoCoreError, ClientError, OSError) as error:
            raise self._store_error(error) from None

    def _store_error(self, error: Exception) -> StoreError:
        response = getattr(error, "response", None) or {}
        code = response.get("Error", {}).get("Code") or type(error).__name__
        endpoint = os.environ.get("AWS_ENDPOINT_URL", "the default endpoint")
        mend = {
            "EndpointConnectionError": "is the server up, and AWS_ENDPOINT_URL right?",
            "NoCredentialsError": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            "NoSuchBucket": "make the bucket first",
        }.get(code, "check the address, the credentials and the bucket's policy")
        return StoreError(f"cannot use s3://{self.bucket} at {endpoint}: {code}; {mend}")
