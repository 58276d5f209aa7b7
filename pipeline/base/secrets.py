"""Passwords and signatures in URLs, found in any text: to be blotted out of what is shown or kept."""

from __future__ import annotations

import re

_NAMES = (
    "x-amz-signature|x-amz-credential|x-amz-security-token|awsaccesskeyid|x-goog-signature|"
    "x-goog-credential|googleaccessid|signature|sig|token|access_token|auth_token|sas|"
    "api_?key|apikey|access_?key|secret|client_secret|password|passwd|pwd|auth|"
    "key-pair-id|policy|sv|se|sp"
)
_STRONG = "|".join(name for name in _NAMES.split("|") if name not in ("sv", "se", "sp", "policy"))
_PASSWORD = re.compile(r"(?<=://)[^/\s?#'\"]*:[^/\s?#'\"]*@")
_SHOWN_PASSWORD = re.compile(r"(?<=:/)(/?)[^/\s?#'\"]*:[^/\s?#'\"]*@")  # a URL taken for a path
_SECRET = re.compile(rf"(?<=[?&;#])(?:{_STRONG})=[^&;#\s'\"]+", re.IGNORECASE)
_DROPPED = re.compile(
    rf"(?<=[?&#])(?:{_NAMES}|x-amz-[a-z-]+|x-goog-[a-z-]+)=[^&#]*&?", re.IGNORECASE
)


def has_password(url: str) -> bool:
    """Whether a URL says a password."""
    return bool(_PASSWORD.search(url))


def has_signature(url: str) -> bool:
    """Whether a URL carries a key, a token or a signature."""
    return bool(_SECRET.search(url))


def hide_credentials(text: str) -> str:
    """A text with the passwords and signatures of its URLs blotted out, to be shown."""
    text = _SHOWN_PASSWORD.sub(r"\1***@", text)
    return _SECRET.sub(lambda match: f"{match[0].split('=', 1)[0]}=***", text)


def drop_credentials(url: str) -> str:
    """A URL without its password, and without the query's signature, if it has one; to be kept."""
    url = _PASSWORD.sub("", url)
    if has_signature(url):
        url = _DROPPED.sub("", url)
        url = re.sub(r"[?&#]+(?=#|$)", "", url)
    return url
