"""Where objects live: a folder or an S3-compatible bucket behind one small interface.

An object is put whole or not at all. Nothing is renamed, moved or copied on a store, and what is there is not written
again; a job's manifest is put last.
"""

import hashlib
import io
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from rajobs.records.errors import StoreError, UsageError

_EDGE = 1 << 16  # bytes of head and tail in a local file's etag
_UNFINISHED = ".part-"  # what a local file is called until it is whole
_AT_A_TIME, _LOT = 16, 512  # requests under way, and answers held, when many small objects are read
_WAITS = (0.2, 1.0, 3.0, 10.0)  # seconds before an answer that broke off is asked for again


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """An object: its key below the store's root, its size in bytes, and a tag that changes with its content."""

    key: str
    size: int
    etag: str


class Store(Protocol):
    """A flat place of objects under one root URI."""

    uri: str

    def put(self, key: str, data: bytes) -> None:
        """Write one object, atomically."""

    def put_file(self, key: str, path: Path) -> None:
        """Write one object, atomically, from a local file that may be larger than the memory."""

    def get(self, key: str) -> bytes:
        """One object's bytes."""

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """At most `length` bytes from `start`."""

    def stat(self, key: str) -> Entry | None:
        """The object's entry, or None."""

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Every object whose key starts with `prefix`, in the order of keys."""

    def delete(self, key: str) -> None:
        """Remove one object if it is there."""

    def sweep(self) -> None:
        """Remove what writers left that were killed while they wrote; nobody may be writing."""


def open_store(uri: str | os.PathLike[str], *, private: bool = False) -> Store:
    """The store at a local path or at `s3://bucket/prefix`; files of a `private` one are their owner's alone.

    Other files follow the umask; on a server it is the bucket's policy that says who reads.
    """
    text = os.fspath(uri)
    if text.startswith("s3://"):
        return S3Store(text)
    if "://" in text:
        raise StoreError(
            f"cannot open a store of kind {text.split('://')[0]!r}; use a local path or s3://bucket/prefix"
        )
    return LocalStore(text, private=private)


def absolute(uri: str) -> str:
    """A URI that means the same in another process, whatever folder that stands in."""
    return uri if "://" in uri else str(Path(uri).expanduser().absolute())


def split_uri(uri: str) -> tuple[str, str]:
    """A URI as its parent's URI and its last name: an object's store and key."""
    head, _, tail = uri.rstrip("/").rpartition("/")
    if uri.startswith("s3://"):
        return head, tail
    path = Path(uri).absolute()
    return str(path.parent), path.name


def read_text(uri: str, what: str) -> str:
    """A small text file of a user's, on this machine or a store."""
    place, key = split_uri(uri)
    store = open_store(place)
    if store.stat(key) is None:
        raise UsageError(f"there is no {what} {uri}")
    try:
        return store.get(key).decode()
    except UnicodeDecodeError:
        raise UsageError(f"the {what} {uri} is no text in UTF-8") from None


def get_many(store: Store, keys: Sequence[str]) -> Iterator[bytes]:
    """The bytes of many small objects, in order; several are fetched at a time, since a store may be far away."""
    if not keys:
        return
    yield store.get(keys[0])  # alone: it makes the client that the others share
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for first in range(1, len(keys), _LOT):
            yield from pool.map(store.get, keys[first : first + _LOT])


class LocalStore:
    """A folder. Files are written beside their place and linked in whole."""

    def __init__(self, root: str, *, private: bool = False) -> None:
        self.root = Path(root).expanduser().absolute()
        self.uri = str(self.root)
        self._mode = 0o600 if private else 0o666  # less the umask, as for any new file

    def put(self, key: str, data: bytes) -> None:
        self._put(key, io.BytesIO(data))

    def put_file(self, key: str, path: Path) -> None:
        with path.open("rb") as source:
            self._put(key, source)

    def _put(self, key: str, source: BinaryIO) -> None:
        path = self.root / key
        with _local_errors("write to", self.uri):
            handle, name = _beside(path, self._mode)
            try:
                with os.fdopen(handle, "wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
                    file.flush()
                    os.fsync(file.fileno())
                name.replace(path)
            except BaseException:
                name.unlink(missing_ok=True)
                raise

    def get(self, key: str) -> bytes:
        with _local_errors("read from", self.uri):
            return (self.root / key).read_bytes()

    def read_range(self, key: str, start: int, length: int) -> bytes:
        with _local_errors("read from", self.uri), (self.root / key).open("rb") as file:
            file.seek(start)
            return file.read(length)

    def stat(self, key: str) -> Entry | None:
        path = self.root / key
        with _local_errors("look at", self.uri):
            return self._entry(path) if path.is_file() else None

    def list(self, prefix: str = "") -> Iterator[Entry]:
        with _local_errors("list", self.uri):
            yield from self._below(prefix[: prefix.rfind("/") + 1], prefix, ())

    def _below(self, folder: str, prefix: str, above: tuple[str, ...]) -> Iterator[Entry]:
        """A folder's objects. Names are sorted as whole keys, as S3 does: a folder's name with its slash."""
        base = self.root / folder
        here = os.path.realpath(base)
        if here in above or not base.is_dir():
            return  # a link that leads back up, or nothing
        with os.scandir(base) as found:
            names = sorted(f"{item.name}/" if item.is_dir() else item.name for item in found)
        for name in names:
            key = folder + name
            if name.endswith("/"):
                if key.startswith(prefix) or prefix.startswith(key):
                    yield from self._below(key, prefix, (*above, here))
            elif key.startswith(prefix) and not name.startswith(_UNFINISHED) and (self.root / key).is_file():
                yield self._entry(self.root / key)

    def delete(self, key: str) -> None:
        with _local_errors("delete from", self.uri):
            path = self.root / key
            path.unlink(missing_ok=True)
            with suppress(OSError):
                for folder in path.parents[: len(Path(key).parents) - 1]:
                    folder.rmdir()  # a store has no folders: one that is empty is not there

    def sweep(self) -> None:
        with _local_errors("delete from", self.uri):
            for folder, _, names in os.walk(self.root):
                for name in names:
                    if name.startswith(_UNFINISHED):
                        (Path(folder) / name).unlink(missing_ok=True)

    def _entry(self, path: Path) -> Entry:
        size = path.stat().st_size
        with path.open("rb") as file:
            digest = hashlib.sha256(file.read(_EDGE))
            if size > _EDGE:
                file.seek(max(_EDGE, size - _EDGE))
                digest.update(file.read(_EDGE))
        # From the content, not the clock: the same archive under another date is the same input.
        return Entry(key=path.relative_to(self.root).as_posix(), size=size, etag=f"{digest.hexdigest()[:24]}-{size}")


def _beside(path: Path, mode: int) -> tuple[int, Path]:
    """A new file in a path's folder, which another process may be removing because it was empty."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        name = path.parent / f"{_UNFINISHED}{secrets.token_hex(8)}"
        try:
            return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), name
        except FileNotFoundError:
            continue


class _local_errors:  # noqa: N801 - used as a function
    """Turns an OSError into one line without the path of the file (it may be a patient's name)."""

    def __init__(self, verb: str, uri: str) -> None:
        self.what = f"cannot {verb} {uri}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise StoreError(f"{self.what}: {error.strerror or type(error).__name__}") from None


class S3Store:
    """A prefix of a bucket on any S3-compatible server (`AWS_ENDPOINT_URL`)."""

    def __init__(self, uri: str) -> None:
        self.uri = "s3://" + uri.removeprefix("s3://").rstrip("/")
        self.bucket, _, self.prefix = self.uri.removeprefix("s3://").partition("/")
        if not self.bucket:
            raise StoreError(f"{uri!r} names no bucket; use s3://bucket/prefix")
        self._client: Any = None

    @property
    def client(self) -> Any:
        if self._client is None:
            # A wrong address is told at once; a server that has answered is waited for when it stumbles.
            self._call(self._greet, self._connect(retries=1))
            self._client = self._connect(retries=10)
        return self._client

    def _connect(self, retries: int) -> Any:
        import boto3
        from botocore.config import Config

        config = Config(
            retries={"max_attempts": retries, "mode": "standard"},
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=16,
        )
        region = os.environ.get("AWS_REGION", "us-east-1")
        try:
            return self._call(boto3.client, "s3", config=config, region_name=region)
        except ValueError:  # the library's word for an endpoint that is no address
            where = os.environ.get("AWS_ENDPOINT_URL", "the configured one")
            raise UsageError(
                f"cannot use s3://{self.bucket}: the endpoint {where} is no address; "
                "write AWS_ENDPOINT_URL with its scheme, as http://host:9000"
            ) from None

    def _greet(self, client: Any) -> None:
        from botocore.exceptions import ClientError

        try:
            client.head_bucket(Bucket=self.bucket)
        except ClientError:
            return  # an answer, if a refusal: the request that follows tells what is wrong with it

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_client": None}  # a client does not travel to another process

    def put(self, key: str, data: bytes) -> None:
        self._call(self.client.put_object, Bucket=self.bucket, Key=self._full(key), Body=data)

    def put_file(self, key: str, path: Path) -> None:
        """Above some size in pieces; the object is there once all of them are."""
        self._call(self.client.upload_file, str(path), self.bucket, self._full(key))

    def get(self, key: str) -> bytes:
        return self._body(Bucket=self.bucket, Key=self._full(key))

    def read_range(self, key: str, start: int, length: int) -> bytes:
        if length <= 0:
            return b""
        return self._body(Bucket=self.bucket, Key=self._full(key), Range=f"bytes={start}-{start + length - 1}")

    def stat(self, key: str) -> Entry | None:
        from botocore.exceptions import ClientError

        client = self.client
        try:
            head = client.head_object(Bucket=self.bucket, Key=self._full(key))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise self._error(error) from None
        except Exception as error:  # noqa: BLE001 - botocore's other errors share no useful root
            raise self._error(error) from None
        return Entry(key=key, size=head["ContentLength"], etag=head["ETag"].strip('"'))

    def list(self, prefix: str = "") -> Iterator[Entry]:
        root = f"{self.prefix}/" if self.prefix else ""
        token: dict[str, str] = {}
        while True:
            page = self._call(self.client.list_objects_v2, Bucket=self.bucket, Prefix=root + prefix, **token)
            for item in page.get("Contents", []):
                yield Entry(key=item["Key"][len(root) :], size=item["Size"], etag=item["ETag"].strip('"'))
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, key: str) -> None:
        self._call(self.client.delete_object, Bucket=self.bucket, Key=self._full(key))

    def sweep(self) -> None:
        """Uploads in pieces that were never completed: a large table's, or a tool's that copied an OUT here."""
        token: dict[str, str] = {}
        while True:
            try:
                page = self._call(
                    self.client.list_multipart_uploads, Bucket=self.bucket, Prefix=self._full(""), **token
                )
            except StoreError:
                return  # a policy or a server that knows no such uploads: ours are whole or not there
            for upload in page.get("Uploads", []):
                self._call(
                    self.client.abort_multipart_upload, Bucket=self.bucket, Key=upload["Key"],
                    UploadId=upload["UploadId"],
                )  # fmt: skip
            if not page.get("IsTruncated"):
                return
            token = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _body(self, **request: str) -> bytes:
        """An object's bytes. The library asks again when a request fails, not when an answer breaks off half-way."""
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError

        broken = (HTTPClientError, IncompleteReadError, ConnectionError)
        for wait in (*_WAITS, None):
            try:
                return bytes(self.client.get_object(**request)["Body"].read())
            except (BotoCoreError, ClientError, OSError) as error:
                if wait is None or not isinstance(error, broken):
                    raise self._error(error) from None
                time.sleep(wait)
        raise AssertionError("the last answer is given or refused")

    def _call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return function(*args, **kwargs)
        except (Boto3Error, BotoCoreError, ClientError, OSError) as error:
            raise self._error(error) from None

    def _error(self, error: Exception) -> StoreError:
        response = getattr(error, "response", None) or {}
        code = response.get("Error", {}).get("Code") or type(error).__name__
        where = os.environ.get("AWS_ENDPOINT_URL", "the default endpoint")
        mend = {
            "EndpointConnectionError": "is the server up, and AWS_ENDPOINT_URL right?",
            "NoCredentialsError": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            "NoSuchBucket": "make the bucket first",
        }.get(code, "check the address, the credentials and the bucket's policy")
        return StoreError(f"cannot use s3://{self.bucket} at {where}: {code}; {mend}")
