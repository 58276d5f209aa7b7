"""Whom the explorer answers, and what its pages may do."""

from __future__ import annotations

import pytest

from pipeline.base.errors import ConfigError
from pipeline.base.explore_settings import ExploreOptions
from pipeline.web.guard import is_loopback
from pipeline.web.server import explore


@pytest.mark.parametrize("host", ["127.0.0.1:8600", "localhost:8600", "localhost", "[::1]:8600"])
def test_names_of_this_machine_are_answered(explorer, host):
    assert explorer.get("/words", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example:8600", "127.0.0.1.evil.example", "", "[::2]:8600"])
def test_other_names_are_not(explorer, host):
    answer = explorer.get("/words", headers={"Host": host})
    assert answer.status_code == 403 and "was not started for" in answer.text


def test_every_answer_has_the_policy(explorer, run):
    for address in ("/", run, "/words", "/static/app.css", "/nothing"):
        headers = explorer.get(address).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy and "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin", "none at all would make Origin null"
    embedded = explorer.get(f"{run}?embed=true").headers["content-security-policy"]
    assert "default-src 'none'" in embedded and "frame-ancestors" not in embedded


def test_a_change_that_another_site_asks_for_is_refused(explorer):
    for headers in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert explorer.post("/again", headers=headers).status_code == 403
    same = explorer.post(
        "/again", headers={"Origin": "http://127.0.0.1:8600"}, follow_redirects=False
    )
    assert same.status_code == 303


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.3.2.1", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("192.168.1.5", False), ("example.org", False)],
)  # fmt: skip
def test_what_other_machines_can_reach_is_known(host, expected):
    assert is_loopback(host) is expected


def test_other_machines_are_answered_only_if_that_is_said(tiny_warehouse):
    with pytest.raises(ConfigError, match="--expose") as told:
        explore(str(tiny_warehouse), ExploreOptions(host="0.0.0.0", port=0))
    assert "sees every image" in str(told.value)
