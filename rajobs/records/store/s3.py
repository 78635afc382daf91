"""A prefix of a bucket on any S3-compatible server as a store (`AWS_ENDPOINT_URL` names the server)."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from urllib3.exceptions import HTTPError

from rajobs.records.errors import MediumFault, StoreError, Unreadable, UsageError
from rajobs.records.store.base import Entry
from rajobs.records.store.verified_reads import LEAST_RATE, PATIENCE, BadAnswer, Range, read_answer

_RETRY_WAITS = (0.2, 1.0, 3.0, 10.0)  # seconds before an answer that cannot be right is asked for again
_CONNECTIONS = 16
_LONGEST = 600.0  # seconds for a request with its retries; the library waits as long as a byte comes now and then
_FAULTS = (HTTPClientError, HTTPError, ConnectionError, TimeoutError, BadAnswer)
"""Of the connection or of what stands behind it; whatever else goes wrong is an answer."""
_EXISTS, _CHANGED, _GONE = 412, 412, 404
_AT_THE_SAME_TIME = 409  # another conditional put was under way; it has succeeded, or is to be tried again


class _Refused(StoreError):
    """A request that the server has answered with a refusal."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


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
            read_timeout=PATIENCE,
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
        self._put(key, data)

    def put_new(self, key: str, data: bytes) -> bool:
        """The server decides: it refuses the put if there is an object."""
        for wait in (*_RETRY_WAITS, None):
            try:
                self._put(key, data, IfNoneMatch="*")
            except _Refused as refused:
                if refused.status == _EXISTS:
                    # Perhaps by ourselves: an earlier attempt whose answer was lost.
                    return self.get(key) == data
                if refused.status != _AT_THE_SAME_TIME or wait is None:
                    raise
                time.sleep(wait)
            else:
                return True
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _put(self, key: str, data: bytes, **conditions: Any) -> None:
        self._call(
            self.client.put_object, Bucket=self.bucket, Key=self._full_key(key), Body=data, **conditions,
            _seconds=_LONGEST + len(data) / LEAST_RATE,
        )  # fmt: skip

    def put_file(self, key: str, path: Path) -> None:
        """A large file is uploaded in pieces; the object appears when all of them have arrived."""
        size = path.stat().st_size
        self._call(
            self.client.upload_file, str(path), self.bucket, self._full_key(key),
            _seconds=_LONGEST + size / LEAST_RATE,
        )  # fmt: skip

    def get(self, key: str, etag: str = "") -> bytes:
        return self._read_object(key, etag, None)

    def read_range(self, key: str, start: int, length: int, etag: str = "") -> bytes:
        return self._read_object(key, etag, Range(start=start, length=length)) if length > 0 else b""

    def stat(self, key: str) -> Entry | None:
        head = self._head(key)
        return None if head is None else Entry(key=key, size=head["ContentLength"], etag=head["ETag"].strip('"'))

    def age(self, key: str) -> float | None:
        head = self._head(key)
        if head is None:
            return None
        now = parsedate_to_datetime(head["ResponseMetadata"]["HTTPHeaders"]["date"])
        return float((now - head["LastModified"]).total_seconds())

    def _head(self, key: str) -> Mapping[str, Any] | None:
        try:
            head: Mapping[str, Any] = self._call(self.client.head_object, Bucket=self.bucket, Key=self._full_key(key))
        except _Refused as refused:
            if refused.status == _GONE:
                return None
            raise
        return head

    def list(self, prefix: str = "") -> Iterator[Entry]:
        root = self._full_key("")
        token: str | None = None
        while True:
            page = self._list_page(root + prefix, token)
            for listed in page.get("Contents", []):
                yield Entry(key=listed["Key"][len(root) :], size=listed["Size"], etag=listed["ETag"].strip('"'))
            if not page.get("IsTruncated"):
                return
            token = page["NextContinuationToken"]

    def _list_page(self, prefix: str, token: str | None) -> Mapping[str, Any]:
        """A page of a listing; a listing that cannot be complete is asked for again and never taken for one."""
        more: dict[str, Any] = {} if token is None else {"ContinuationToken": token}
        for wait in (*_RETRY_WAITS, None):
            page: Mapping[str, Any] = self._call(self.client.list_objects_v2, Bucket=self.bucket, Prefix=prefix, **more)
            listed, following = page.get("Contents", []), page.get("NextContinuationToken")
            goes_on = following not in (None, token) if page.get("IsTruncated") else True
            if goes_on and page.get("KeyCount", len(listed)) == len(listed):
                return page
            if wait is not None:
                time.sleep(wait)
        raise self._fault("a listing breaks off without saying where it goes on")

    def delete(self, key: str) -> None:
        self._call(self.client.delete_object, Bucket=self.bucket, Key=self._full_key(key))

    def sweep(self) -> None:
        """Abort uploads in pieces that were never completed: a large table's, or those of a tool that copied here."""
        token: dict[str, Any] = {}
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
            if not page.get("NextKeyMarker"):
                return
            token = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def _full_key(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _read_object(self, key: str, etag: str, asked: Range | None) -> bytes:
        """An object's bytes, verified. botocore retries a request that fails, but not one whose answer breaks off."""
        request: dict[str, Any] = {"Bucket": self.bucket, "Key": self._full_key(key)}
        request |= {"Range": asked.header} if asked is not None else {}
        request |= {"IfMatch": f'"{etag}"'} if etag else {}
        why = ""
        for wait in (*_RETRY_WAITS, None):
            try:
                answer = self._call(self.client.get_object, **request)
                if etag and answer["ETag"].strip('"') != etag:
                    raise self._changed()
                return read_answer(answer, asked)
            except _Refused as refused:
                if refused.status == _GONE and "NoSuchKey" in str(refused):
                    raise Unreadable(f"an object that was listed is no longer at {self.uri}") from None
                raise (self._changed() if etag and refused.status == _CHANGED else refused) from None
            except _FAULTS as error:
                why = str(error) if isinstance(error, BadAnswer) else type(error).__name__
                if wait is not None:
                    time.sleep(wait)
        raise self._fault(why)

    def _call(self, function: Callable[..., Any], *args: Any, _seconds: float | None = None, **kwargs: Any) -> Any:
        """A client's function with its errors as ours, and with an end."""
        try:
            return _within(_LONGEST if _seconds is None else _seconds, lambda: function(*args, **kwargs))
        except (Boto3Error, BotoCoreError, ClientError, OSError) as error:
            raise self._store_error(error) from None

    def _changed(self) -> StoreError:
        return StoreError(f"an object at {self.uri} has changed since it was listed; start the job again")

    def _fault(self, why: str) -> MediumFault:
        endpoint = os.environ.get("AWS_ENDPOINT_URL", "the default endpoint")
        return MediumFault(
            f"cannot read from s3://{self.bucket} at {endpoint}: {why}, {len(_RETRY_WAITS) + 1} times; "
            "mend the connection, and start the job again: it goes on from here"
        )

    def _store_error(self, error: Exception) -> StoreError | MediumFault:
        response = getattr(error, "response", None) or {}
        code = response.get("Error", {}).get("Code") or type(error).__name__
        endpoint = os.environ.get("AWS_ENDPOINT_URL", "the default endpoint")
        mend = {
            "EndpointConnectionError": "is the server up, and AWS_ENDPOINT_URL right?",
            "NoCredentialsError": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            "NoSuchBucket": "make the bucket first",
        }.get(code, "check the address, the credentials and the bucket's policy")
        text = f"cannot use s3://{self.bucket} at {endpoint}: {code}; {mend}"
        if response:
            return _Refused(text, response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        # Of a server that has answered before, this is no wrong address.
        return MediumFault(text) if self._client is not None and isinstance(error, _FAULTS) else StoreError(text)


def _within(seconds: float, function: Callable[[], Any]) -> Any:
    """What a function returns or raises; TimeoutError if that takes too long. Ctrl-C is heeded meanwhile."""
    outcome: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not outcome:
        raise TimeoutError
    return outcome[0]
