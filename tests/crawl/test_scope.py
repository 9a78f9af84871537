"""crawl/scope.py: what belongs to a collection, and the rule that says so."""

from __future__ import annotations

import pickle

import pytest

from pipeline.crawl.rules.scope import Decision, Scope

PREFIX = Scope.of(
    "prefix",
    [
        "https://www.example.org/archive/etext/index.html?x=/y/",
        "http://example.net:8080/a/",
        "http://example.com/~ann/",
    ],
)
HOST = Scope.of("host", ["https://www.example.org/archive/", "http://example.net:8080/a/"])

IN_PREFIX = {
    "https://www.example.org/archive/etext/": True,
    "https://www.example.org/archive/etext/a/b/c.html?q=/../": True,
    "http://www.example.org/archive/etext/x": True,  # the other scheme on its own port
    "https://www.example.org/archive/": False,
    "https://www.example.org/archive/etext": False,
    "https://www.example.org/archive/etext2/": False,
    "https://www.example.org/?/archive/etext/": False,
    "https://www.example.org:8443/archive/etext/": False,
    "https://example.org/archive/etext/": False,
    "https://www.example.org.evil.example/archive/etext/": False,
    "http://example.net:8080/a/b": True,
    "https://example.net:8080/a/b": False,  # one of the two is not what its port speaks
    "http://example.net/a/b": False,
    "http://example.com/%7Eann/x": True,
    "http://example.com/%7eann/x": True,
    "http://example.com/~bob/x": False,
}


@pytest.mark.parametrize(("url", "accepted"), IN_PREFIX.items(), ids=IN_PREFIX)
def test_a_prefix_scope_admits_the_folders_of_its_seeds(url: str, accepted: bool) -> None:
    assert PREFIX.decide(url).accepted is accepted


IN_HOST = {
    "https://www.example.org/": True,
    "http://www.example.org/else/where": True,
    "http://example.net:8080/": True,
    "http://example.net/": False,
    "http://example.net:8081/": False,
    "http://sub.www.example.org/": False,
}


@pytest.mark.parametrize(("url", "accepted"), IN_HOST.items(), ids=IN_HOST)
def test_a_host_scope_admits_the_hosts_and_ports_of_its_seeds(url: str, accepted: bool) -> None:
    assert HOST.decide(url).accepted is accepted


def test_a_decision_names_its_rule() -> None:
    assert PREFIX.decide("http://www.example.org/archive/etext/x") == Decision(
        True, "scope: prefix https://www.example.org/archive/etext/"
    )
    assert PREFIX.decide("http://elsewhere.example/") == Decision(
        False, "scope: no seed has this host", "scope"
    )
    assert PREFIX.decide("http://www.example.org/") == Decision(
        False, "scope: on a seed's host, but in no seed's folder", "scope"
    )
    assert HOST.decide("http://example.net:8080/z").rule == "scope: host http://example.net:8080/"


def test_the_rules_can_be_listed_each_once() -> None:
    seeds = ["http://h/a/1.html", "http://h/a/2.html", "http://g/", "http://h/b/"]
    assert Scope.of("prefix", seeds).rules == (
        "scope: prefix http://h/a/",
        "scope: prefix http://h/b/",
        "scope: prefix http://g/",
    )
    assert Scope.of("host", seeds).rules == ("scope: host http://h/", "scope: host http://g/")


def test_ipv6_hosts_are_told_apart() -> None:
    scope = Scope.of("host", ["http://[2001:db8::1]:8080/", "http://[2001:db8::2]/"])
    assert scope.decide("http://[2001:db8::1]:8080/x").accepted
    assert not scope.decide("http://[2001:db8::1]/x").accepted
    assert scope.decide("https://[2001:db8::2]/x").accepted


def test_a_scope_travels_to_worker_processes() -> None:
    assert pickle.loads(pickle.dumps(PREFIX)) == PREFIX


def test_ten_thousand_seeds_on_one_host_and_a_url_of_slashes_are_no_burden() -> None:
    scope = Scope.of("prefix", [f"http://h/{number}/" for number in range(10_000)])
    deep = "http://h/x" + "/" * 8000
    assert not any(scope.decide(deep).accepted for _ in range(10_000))
    assert scope.decide("http://h/9999/x").accepted
