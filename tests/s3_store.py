"""An S3-type store for tests: moto behind a proxy that checks what moto does not.

The proxy verifies SigV4 signature and expiry of presigned addresses, counts the bytes of each part,
and does what a test scripts: drop the connection, answer 503, redirect, be slow.
"""

import asyncio
import hashlib
import hmac
import http.client
import ssl
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import boto3
from botocore.client import Config

from agent.contract.commands import UploadAddress, UploadUrls
from agent.simulators.broker import free_port

BUCKET, KEY_ID, SECRET = "clips", "AKIDEXAMPLE", "canary-store-secret"
REGION = "us-east-1"


class StoreProxy:
    """`faults` are done once each, in order; "ok" lets one request through."""

    def __init__(self, store_port: int, context: ssl.SSLContext | None = None):
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self):
                proxy.put(self)

            def log_message(self, *_):
                pass

        self.store_port, self.faults = store_port, []
        self.received, self.puts, self.statuses = {}, [], []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        self._server.handle_error = lambda *_: None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def put(self, request):
        fault = self.faults.pop(0) if self.faults else "ok"
        query = parse_qs(urlsplit(request.path).query)
        part = int(query.get("partNumber", ["0"])[0])
        self.puts.append(part)
        refusal = refused_because(request.path, dict(request.headers))
        if fault == "redirect":
            self.say(request, 307, {"Location": "http://127.0.0.1:1/stolen"})
        elif refusal:
            self.say(request, 403)
        elif (body := self.read(request, part, fault)) is not None:
            self.store(request, body, fault)

    def read(self, request, part, fault):
        body, left = b"", int(request.headers["Content-Length"])
        while left:
            chunk = request.rfile.read(min(65536, left))
            if not chunk:
                return None
            left -= len(chunk)
            body += chunk
            self.received[part] = self.received.get(part, 0) + len(chunk)
            if fault == "drop" and len(body) > 500_000:
                request.close_connection = True
                with suppress(OSError):
                    request.connection.shutdown(2)
                return None
            if fault == "slow":
                threading.Event().wait(0.01)
        return body

    def store(self, request, body, fault):
        if fault == "503":
            self.say(request, 503)
            return
        store = http.client.HTTPConnection("127.0.0.1", self.store_port, timeout=20)
        store.request("PUT", request.path, body, {"Host": request.headers["Host"]})
        answer = store.getresponse()
        answer.read()
        store.close()
        if fault == "unheard":  # stored, but the answer is lost
            request.close_connection = True
            request.connection.shutdown(2)
            return
        self.say(request, answer.status, {"ETag": answer.getheader("ETag") or ""})

    def say(self, request, status, headers=None):
        self.statuses.append(status)
        request.close_connection = True
        with suppress(OSError):
            request.send_response(status)
            for name, value in ({"Content-Length": "0"} | (headers or {})).items():
                request.send_header(name, value)
            request.end_headers()


def refused_because(target, headers):
    """Check a presigned PUT as S3 does: its signature, and whether it is still valid."""
    parts = urlsplit(target)
    pairs = dict(parse_qsl(parts.query, keep_blank_values=True))
    given = pairs.pop("X-Amz-Signature", "")
    at = datetime.strptime(pairs.get("X-Amz-Date", "19700101T000000Z"), "%Y%m%dT%H%M%S%z")
    until = at + timedelta(seconds=int(pairs.get("X-Amz-Expires", "0")))
    lower = {name.lower(): value for name, value in headers.items()}
    signed = pairs.get("X-Amz-SignedHeaders", "host")
    canonical = "\n".join(
        [
            "PUT",
            parts.path,
            "&".join(f"{quote(k, '-_.~')}={quote(v, '-_.~')}" for k, v in sorted(pairs.items())),
            *(f"{name}:{lower.get(name, '')}" for name in signed.split(";")),
            "",
            signed,
            "UNSIGNED-PAYLOAD",
        ]
    )
    scope = pairs.get("X-Amz-Credential", "").partition("/")[2]
    text = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            pairs.get("X-Amz-Date", ""),
            scope,
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = f"AWS4{SECRET}".encode()
    for word in scope.split("/"):
        key = hmac.new(key, word.encode(), "sha256").digest()
    if not hmac.compare_digest(hmac.new(key, text.encode(), "sha256").hexdigest(), given):
        return "signature"
    return "expired" if datetime.now(UTC) > until else ""


class S3Store:
    """moto as a process, and the clients that presign for a proxy and look into the store."""

    def __init__(self):
        self.port = free_port()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.client = client(f"http://127.0.0.1:{self.port}")
        while True:
            with suppress(OSError):
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/moto-api/")
                connection.getresponse().read()
                connection.close()
                break
            threading.Event().wait(0.1)
        self.client.create_bucket(Bucket=BUCKET)

    def close(self):
        self.client.close()
        self._process.terminate()
        self._process.wait()


def client(url):
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


class StoreDesk:
    """A center over S3: presigns for `proxy`, lists parts, completes, checks the sha256."""

    def __init__(self, store, proxy_url, valid_s=600):
        self._store, self._signer, self.valid_s = store.client, client(proxy_url), valid_s
        self._multipart = {}
        self.completed = set()

    def presigned(self, key, upload_id=None, number=0):
        call, more = "put_object", {}
        if upload_id:
            call, more = "upload_part", {"UploadId": upload_id, "PartNumber": number}
        return self._signer.generate_presigned_url(
            call, Params={"Bucket": BUCKET, "Key": key, **more}, ExpiresIn=self.valid_s
        )

    async def answer(self, upload, need):
        return await asyncio.to_thread(self._answer, upload, need)

    def abort(self, key):
        """The box sends no more of it: what a center does with its multipart upload then."""
        self._store.abort_multipart_upload(
            Bucket=BUCKET, Key=key, UploadId=self._multipart.pop(key)
        )

    def in_parts(self):
        """The keys of what has come in part."""
        listed = self._store.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return [one["Key"] for one in listed]

    def half(self, key):
        """Make an object of the parts that have come, and return it."""
        upload_id = self._multipart.pop(key)
        listed = self._store.list_parts(Bucket=BUCKET, Key=key, UploadId=upload_id)
        etags = [{"PartNumber": p["PartNumber"], "ETag": p["ETag"]} for p in listed["Parts"]]
        self._store.complete_multipart_upload(
            Bucket=BUCKET, Key=key, UploadId=upload_id, MultipartUpload={"Parts": etags}
        )
        return self.body(key)

    def body(self, key):
        return self._store.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def _answer(self, key, need):
        if key in self.completed:
            return UploadUrls(upload=key, complete=True)
        if not need.is_multipart:
            return UploadUrls(upload=key, parts=(UploadAddress(number=1, url=self.presigned(key)),))
        if key not in self._multipart:
            made = self._store.create_multipart_upload(Bucket=BUCKET, Key=key)
            self._multipart[key] = made["UploadId"]
        upload_id = self._multipart[key]
        listed = self._store.list_parts(Bucket=BUCKET, Key=key, UploadId=upload_id)
        here = {part["PartNumber"]: part["ETag"] for part in listed.get("Parts", [])}
        if len(here) == need.parts_total and not need.parts:
            etags = [{"PartNumber": n, "ETag": tag} for n, tag in sorted(here.items())]
            self._store.complete_multipart_upload(
                Bucket=BUCKET, Key=key, UploadId=upload_id, MultipartUpload={"Parts": etags}
            )
            del self._multipart[key]
            if hashlib.sha256(self.body(key)).hexdigest() != need.sha256:
                return UploadUrls(upload=key, have=())
            self.completed.add(key)
            return UploadUrls(upload=key, complete=True)
        return UploadUrls(
            upload=key,
            have=tuple((n, n) for n in sorted(here)),
            parts=tuple(
                UploadAddress(number=n, url=self.presigned(key, upload_id, n))
                for n in need.parts
                if n not in here
            ),
        )
