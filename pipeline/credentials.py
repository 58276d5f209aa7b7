"""Credentials in URLs: refused where we would keep them, taken out of what we keep and say.

A URL of a shard or a warehouse is written into records, ``views.sql``, logs and messages, which people
pass on. So a password or a signature in one is refused; the environment and fsspec's configuration
carry them instead. The URL where an image came from is kept without them.
"""

from __future__ import annotations

import re

from pipeline.errors import ConfigError

_NAMES = (
    "x-amz-signature|x-amz-credential|x-amz-security-token|awsaccesskeyid|x-goog-signature|"
    "x-goog-credential|googleaccessid|signature|sig|token|access_token|auth_token|sas|"
    "api_?key|apikey|access_?key|secret|client_secret|password|passwd|pwd|auth|"
    "key-pair-id|policy|sv|se|sp"
)
_STRONG = "|".join(name for name in _NAMES.split("|") if name not in ("sv", "se", "sp", "policy"))
_PASSWORD = re.compile(r"(?<=://)[^/\s?#'\"]*:[^/\s?#'\"]*@")
_SECRET = re.compile(rf"(?<=[?&;])(?:{_STRONG})=[^&;#\s'\"]+", re.IGNORECASE)
_DROPPED = re.compile(
    rf"(?<=[?&])(?:{_NAMES}|x-amz-[a-z-]+|x-goog-[a-z-]+)=[^&#]*&?", re.IGNORECASE
)


def refuse_credentials(url: str) -> None:
    """Refuse a URL that says a password or carries a signature.

    Raises:
        ConfigError: Says how else to give them; not what they are.
    """
    if not (_PASSWORD.search(url) or _SECRET.search(url)):
        return
    kind = "a password" if _PASSWORD.search(url) else "a key or signature"
    raise ConfigError(
        f"{hide_credentials(url)} holds {kind}, which would be written into records and messages.",
        "Give the URL without it, and the credentials by the environment: s3 AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY (or a profile), gs GOOGLE_APPLICATION_CREDENTIALS, others by fsspec's "
        'configuration, such as FSSPEC_HTTPS=\'{"headers": {"Authorization": "..."}}\'. What only '
        "has a presigned URL is downloaded first.",
    )


def hide_credentials(text: str) -> str:
    """A text with the passwords and signatures of its URLs blotted out, to be shown."""
    text = _PASSWORD.sub("***@", text)
    return _SECRET.sub(lambda match: f"{match[0].split('=', 1)[0]}=***", text)


def drop_credentials(url: str) -> str:
    """A URL without its password, and without the query's signature, if it has one; to be kept."""
    url = _PASSWORD.sub("", url)
    if _SECRET.search(url):
        url = _DROPPED.sub("", url)
        url = re.sub(r"[?&]+(?=#|$)", "", url)
    return url
