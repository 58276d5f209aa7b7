"""Credentials in URLs: refused where we would keep them (`secrets` takes them out of what we keep and say).

A URL of a shard or a warehouse is written into records, ``views.sql``, logs and messages, which people
pass on. So a password or a signature in one is refused; the environment and fsspec's configuration
carry them instead. The URL where an image came from is kept without them.
"""

from __future__ import annotations

from pipeline.base.errors import ConfigError
from pipeline.base.secrets import has_password, has_signature, hide_credentials


def refuse_credentials(url: str) -> None:
    """Refuse a URL that says a password or carries a signature.

    Raises:
        ConfigError: Says how else to give them; not what they are.
    """
    if not (has_password(url) or has_signature(url)):
        return
    kind = "a password" if has_password(url) else "a key or signature"
    raise ConfigError(
        f"{hide_credentials(url)} holds {kind}, which would be written into records and messages.",
        "Give the URL without it, and the credentials by the environment: s3 AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY (or a profile), gs GOOGLE_APPLICATION_CREDENTIALS, others by fsspec's "
        'configuration, such as FSSPEC_HTTPS=\'{"headers": {"Authorization": "..."}}\'. What only '
        "has a presigned URL is downloaded first.",
    )
