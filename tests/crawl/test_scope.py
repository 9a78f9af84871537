"""crawl/rules/scope.py: what belongs to a collection, and the rule that says so."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.crawl.rules.decision import Decision
from pipeline.crawl.rules.domains import registrable
from pipeline.crawl.rules.patterns import PatternError, Patterns
from pipeline.crawl.rules.scope import MAX_REDIRECTS, Scope, ScopeTable, ScopeType
from pipeline.model.target import longer


def scope_of(
    type: ScopeType,  # noqa: A002
    *seeds: str,
    has_sources: bool = False,
    year: int = 2026,
    **table: Any,
) -> Scope:
    return Scope.of(ScopeTable(type=type, **table), seeds, has_sources=has_sources, year=year)


PREFIX = scope_of(
    "prefix",
    "https://www.example.org/archive/etext/index.html?x=/y/",
    "http://example.net:8080/a/",
    "http://example.com/~ann/",
)
HOST = scope_of("host", "https://www.example.org/archive/", "http://example.net:8080/a/")

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
    assert PREFIX.place(url).accepted is accepted


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
    assert HOST.place(url).accepted is accepted


def test_a_decision_names_its_rule() -> None:
    assert PREFIX.place("http://www.example.org/archive/etext/x") == Decision(
        True, "scope: prefix https://www.example.org/archive/etext/"
    )
    assert PREFIX.place("http://elsewhere.example/") == Decision(
        False, "scope: no seed has this host", "scope"
    )
    assert PREFIX.place("http://www.example.org/") == Decision(
        False, "scope: on a seed's host, but in no seed's folder", "scope"
    )
    assert HOST.place("http://example.net:8080/z").rule == "scope: host http://example.net:8080/"


def test_the_rules_can_be_listed_each_once() -> None:
    seeds = ["http://h/a/1.html", "http://h/a/2.html", "http://g/", "http://h/b/"]
    assert scope_of("prefix", *seeds).rules == (
        "scope: prefix http://h/a/",
        "scope: prefix http://h/b/",
        "scope: prefix http://g/",
    )
    assert scope_of("host", *seeds).rules == ("scope: host http://h/", "scope: host http://g/")


def test_ipv6_hosts_are_told_apart() -> None:
    scope = scope_of("host", "http://[2001:db8::1]:8080/", "http://[2001:db8::2]/")
    assert scope.decide("http://[2001:db8::1]:8080/x", "L").accepted
    assert not scope.decide("http://[2001:db8::1]/x", "L").accepted
    assert scope.decide("https://[2001:db8::2]/x", "L").accepted


def test_a_scope_travels_to_worker_processes() -> None:
    assert pickle.loads(pickle.dumps(PREFIX)) == PREFIX


def test_ten_thousand_seeds_on_one_host_and_a_url_of_slashes_are_no_burden() -> None:
    scope = scope_of("prefix", *[f"http://h/{number}/" for number in range(10_000)], traps=False)
    deep = "http://h/x" + "/" * 8000
    assert not any(scope.decide(deep, "L").accepted for _ in range(10_000))
    assert scope.decide("http://h/9999/x", "L").accepted


SEED = "https://www.example.org/a/index.html"
ELSEWHERE = "https://cdn.example.net/x.png"


def reason(scope: Scope, url: str, hops: str = "L") -> str:
    decision = scope.decide(url, hops)
    assert decision.accepted is (decision.reason == "")
    return decision.reason


@pytest.mark.parametrize("type", ["page", "list"])
def test_page_and_list_admit_the_seeds_alone(type: ScopeType) -> None:  # noqa: A002
    scope = scope_of(type, SEED, "http://example.org/?q=1")
    assert scope.decide(SEED) == Decision(True, "scope: seed")
    assert scope.decide("http://www.example.org/a/index.html", "L").accepted
    assert scope.decide("http://example.org/?q=2", "L") == Decision(
        False, "scope: no seed", "scope"
    )
    assert scope.rules == ("scope: seed",)
    assert scope.decide(ELSEWHERE, "E").accepted is (type == "page")


IN_DOMAIN = {
    "https://example.co.uk/": True,
    "http://a.b.example.co.uk/x": True,
    "https://example.co.uk:8443/": False,
    "https://another.co.uk/": False,
    "https://notexample.co.uk/": False,
    "http://127.0.0.1:8000/x": True,
    "http://127.0.0.1/x": False,
    "http://ann.pages.example:81/": True,
    "http://pages.example:81/": True,
    "http://pages.example/": False,
    "http://x.localhost/": True,
    "http://[::1]/x": True,
    "http://[::2]/x": False,
    "http://sub.example.org./": True,
}


@pytest.mark.parametrize(("url", "accepted"), IN_DOMAIN.items(), ids=IN_DOMAIN)
def test_a_domain_scope_admits_registered_domains_with_all_below(url: str, accepted: bool) -> None:
    scope = scope_of(
        "domain",
        "https://www.example.co.uk/deep/page.html",
        "http://127.0.0.1:8000/",
        "http://bob.pages.example:81/",
        "http://localhost/",
        "http://[::1]/",
        "http://www.example.org./",
    )
    assert scope.place(url).accepted is accepted


def test_a_domain_scope_names_the_domain() -> None:
    scope = scope_of("domain", "https://www.example.co.uk/deep/page.html")
    rule = "scope: domain https://example.co.uk/"
    assert scope.decide("http://shop.example.co.uk/", "L") == Decision(True, rule)
    assert scope.rules == (rule,)
    assert scope.decide("http://co.uk/", "L").rule == "scope: no seed has this domain"


def test_what_has_no_registered_domain_is_left_as_it_is() -> None:
    for host in ("127.0.0.1", "[::1]", "localhost", "co.uk", "github.io"):
        assert registrable(host) == host
    assert registrable("www.ann.github.io") == "ann.github.io"
    assert registrable("www.xn--bcher-kva.example.") == "xn--bcher-kva.example."


MATCHES = {
    ("https://example.org/shop/*", "http://example.org/shop/x?y"): True,
    ("http://Example.org/shop/*", "https://example.org/shop/"): True,
    ("https://example.org/~ann/*", "https://example.org/%7Eann/x"): True,
    ("https://example.org/%7eann/*", "https://example.org/~ann/x"): True,
    ("https://example.org/shop", "https://example.org/shop"): True,
    ("https://example.org/shop", "https://example.org/shop/"): False,
    ("https://example.org", "https://example.org/"): True,
    ("https://example.org/", "https://example.org/x"): False,
    ("https://example.org/*", "https://example.org.evil.example/"): False,
    ("https://*.example.org/*", "https://www.example.org/x"): True,
    ("https://*.Example.org", "https://www.example.org/"): True,
    ("https://*.example.org/*", "https://example.org/x"): False,
    ("*://example.org/*", "http://example.org/x"): True,
    ("http*://example.org/*", "https://example.org/x"): True,
    ("https://bücher.example/ä/*", "https://xn--bcher-kva.example/%C3%A4/x"): True,
    ("https://example.org:8080/*", "http://example.org:8080/x"): True,
    ("https://example.org/*", "https://example.org:8080/x"): False,
    ("*.pdf", "https://example.org/x.pdf"): True,
    ("*.pdf", "https://example.org/x.pdf?y"): False,
    ("*/a*b*c", "https://example.org/axxbyybzzc"): True,
    ("*/a*b*c", "https://example.org/axxcyyc"): False,
    ("*?action=edit", "https://example.org/index.php?action=edit"): True,
    ("*", "https://example.org/"): True,
    ("re:/page/[0-9]{3}$", "https://example.org/page/123"): True,
    ("re:/page/[0-9]{3}$", "https://example.org/page/1234"): False,
    ("re:^https:", "http://example.org/"): False,
}


@pytest.mark.parametrize(("case", "found"), MATCHES.items(), ids=[" ".join(c) for c in MATCHES])
def test_patterns_match_as_they_are_written(case: tuple[str, str], found: bool) -> None:
    pattern, url = case
    assert Patterns.of([pattern]).find(url) == (pattern if found else None)
    others = ["https://h/*", pattern, "re:nowhere", "*.nothing"]
    assert Patterns.of(others).find(url) == (pattern if found else None)


@pytest.mark.parametrize(
    "pattern", ["example.org/*", "/shop/", "re:", "re:(", "re:a{1,9999999999}", "https://a b/", ""]
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        Patterns.of([pattern])


def test_a_url_made_against_a_pattern_is_matched_at_once() -> None:
    """Would take years if each star were tried at each place."""
    pattern = "*" + "a*" * 20 + "b"
    assert Patterns.of([pattern]).find("https://h/" + "a" * 8000) is None


def test_exclude_wins_over_everything_but_robots_txt() -> None:
    scope = scope_of("host", SEED, include=("https://b.example/*",), exclude=("*/b*", "*.txt"))
    told = Decision(False, "exclude: */b*", "exclude")
    for hops in ("", "L", "E", "R", "LLE"):
        assert scope.decide("https://www.example.org/b", hops) == told
        assert scope.decide("https://b.example/x", hops) == told
    assert scope.decide("https://www.example.org/robots.txt", "P").accepted


def test_include_admits_what_lies_elsewhere() -> None:
    scope = scope_of("prefix", SEED, include=("https://files.example.net/*",))
    rule = "scope: include https://files.example.net/*"
    assert scope.decide("http://files.example.net/x", "LL") == Decision(True, rule)
    assert scope.rules == ("scope: prefix https://www.example.org/a/", rule)
    assert reason(scope, "https://other.example.net/") == "scope"


def test_only_links_count_as_hops() -> None:
    scope = scope_of("host", SEED, max_hops=2)
    inside = "https://www.example.org/x"
    for hops in ("", "L", "LL", "LRLREX", "PM", "PML", "PMM", "PMMM", "EEEE", "MM"):
        assert reason(scope, inside, hops) == "", hops
    for hops in ("LLL", "LRLRL", "PMMMM", "MMM", "12+LLE"):
        assert reason(scope, inside, hops) == "hops", hops
    assert scope.decide(inside, "LLL").rule == "hops: more than 2 links from a seed"


def test_max_hops_counts_ways_that_are_written_short() -> None:
    scope, hops = scope_of("host", SEED, max_hops=60), ""
    for step in range(1, 100):
        hops = longer(hops, "L")
        assert (reason(scope, "https://www.example.org/x", hops) == "") is (step <= 60)


def test_what_a_page_embeds_is_fetched_from_elsewhere_within_its_hops() -> None:
    scope = scope_of("prefix", SEED)
    rule = "scope: embedded in a page of the collection"
    for hops in ("E", "X", "LE", "LEE", "LER", "LREXR"):
        assert scope.decide(ELSEWHERE, hops) == Decision(True, rule), hops
    for hops in ("L", "LL", "EL", "EEE", "LEEE", "LEREXR"):
        assert reason(scope, ELSEWHERE, hops) == "scope", hops
    assert reason(scope_of("prefix", SEED, embed_hops=0), ELSEWHERE, "E") == "scope"
    assert reason(scope_of("prefix", SEED, embed_hops=3), ELSEWHERE, "EEE") == ""
    assert reason(scope_of("list", SEED), ELSEWHERE, "E") == "scope"
    assert reason(scope_of("list", SEED, embed_hops=1), ELSEWHERE, "E") == ""


def test_a_redirect_that_leads_out_is_followed_or_not() -> None:
    follow, stay = scope_of("host", SEED), scope_of("host", SEED, redirects="stay")
    assert follow.decide(ELSEWHERE, "LR").rule == "scope: a page of the collection redirects to it"
    assert reason(follow, ELSEWHERE, "LRL") == "scope"
    assert reason(stay, ELSEWHERE, "R") == "scope"
    assert reason(stay, "https://www.example.org/else", "R") == ""
    assert reason(stay, ELSEWHERE, "ER") == "", "an embed, wherever it has moved to"


def test_redirects_without_end_are_given_up() -> None:
    scope = scope_of("host", SEED)
    assert reason(scope, SEED, "L" + "R" * MAX_REDIRECTS) == ""
    assert reason(scope, SEED, "L" + "R" * (MAX_REDIRECTS + 1)) == "redirects"
    assert reason(scope, SEED, "R" * 30 + "L") == ""


@pytest.mark.parametrize("type", ["page", "prefix", "host", "domain", "list"])
def test_entries_of_a_seed_source_are_seeds(type: ScopeType) -> None:  # noqa: A002
    scope = scope_of(type, SEED, has_sources=True, max_hops=0)
    rule = "scope: listed in a seed source"
    for hops in ("M", "MM", "RM", "MRM", "N", "NM", "NNM", "RNRM"):
        assert scope.decide("https://news.example.net/1", hops) == Decision(True, rule)
    for hops in ("ML", "MMM", "LM", "NMM", "NL", "LN"):
        assert reason(scope, "https://news.example.net/1", hops) == "scope"
    assert reason(scope_of(type, SEED), "https://news.example.net/1", "M") == "scope"


def test_a_seed_source_is_no_link_on_the_way() -> None:
    scope = scope_of("host", SEED, has_sources=True, max_hops=1)
    for hops, told in {"ML": "", "MML": "", "RML": "", "MLL": "hops", "MMLL": "hops"}.items():
        assert reason(scope, "https://www.example.org/x", hops) == told, hops


def test_sitemaps_that_robots_txt_names_are_read_on_the_hosts_of_seeds() -> None:
    sitemap, nested = "https://www.example.org/map/all", "https://www.example.org/sitemap-2.xml.gz"
    for scope in (scope_of("prefix", SEED), scope_of("domain", "https://example.org/a/")):
        assert reason(scope, sitemap, "PM") == ""
        assert reason(scope, nested, "PMM") == ""
    prefix = scope_of("prefix", SEED)
    assert prefix.decide(sitemap, "PM").rule == "scope: sitemap of a seed's host"
    assert reason(prefix, sitemap, "PMM") == "scope", "an entry, which must be in scope itself"
    assert reason(prefix, sitemap, "LM") == "scope"
    assert reason(prefix, "https://www.example.org/a/page", "PMM") == ""
    assert reason(prefix, "https://other.example/sitemap.xml", "PM") == "scope"
    assert reason(scope_of("page", SEED), "https://www.example.org/sitemap.xml", "PM") == "scope"


def test_sitemaps_that_an_index_names_are_read_whatever_they_are_called() -> None:
    part = "https://www.example.org/feeds/part-1?x"
    for scope in (scope_of("prefix", SEED), scope_of("domain", "https://example.org/a/")):
        for hops in ("PMN", "PMNN", "PMRN"):
            assert scope.decide(part, hops).accepted, hops
    prefix = scope_of("prefix", SEED)
    assert prefix.decide(part, "PMN").rule == "scope: sitemap of a seed's host"
    assert reason(prefix, part, "PMNM") == "scope", "an entry, which must be in scope itself"
    assert reason(prefix, "https://other.example/part-1", "PMN") == "scope"
    assert reason(prefix, part, "LN") == "scope"
    assert reason(scope_of("page", SEED), part, "PMN") == "scope"


def test_an_index_of_sitemaps_is_no_link_on_the_way() -> None:
    inside = "https://www.example.org/x"
    for hops in ("PM", "PMNM", "PMNNM"):
        assert reason(scope_of("host", SEED, max_hops=1), inside, hops) == "", hops
    assert reason(scope_of("host", SEED, max_hops=1), inside, "PMNML") == "hops"
    scope = scope_of("host", SEED, has_sources=True, max_hops=1)
    for hops, told in {"NML": "", "NNML": "", "NMLL": "hops"}.items():
        assert reason(scope, inside, hops) == told, hops


def test_traps_are_left_out_unless_they_are_seeds_or_the_rule_is_off() -> None:
    url = "https://www.example.org/a/b/c/a/b/c/a/b/c/"
    assert reason(scope_of("host", SEED), url, "L") == "trap-path"
    assert reason(scope_of("host", SEED), url, "E") == "trap-path"
    assert reason(scope_of("host", SEED), url, "") == ""
    assert reason(scope_of("host", SEED, traps=False), url, "L") == ""
    ahead = "https://www.example.org/2032/01/"
    assert reason(scope_of("host", SEED), ahead) == "trap-calendar"
    assert reason(scope_of("host", SEED, year=2031), ahead) == ""


SESSIONS = {
    "http://h/x": "http://h/x",
    "http://h/?PHPSESSID=abc": "http://h/",
    "http://h/?a=1&PHPSESSID=abc&b=2": "http://h/?a=1&b=2",
    "http://h/?phpsessid=abc;a=1": "http://h/?a=1",
    "http://h/x;jsessionid=0A1B.node1?y=1": "http://h/x?y=1",
    "http://h/x;JSESSIONID=0A1B/y": "http://h/x/y",
    "http://h/x;v=1": "http://h/x;v=1",
    "http://h/?ASPSESSIONIDQQABCD=XY&a": "http://h/?a",
    "http://h/?CFID=1&CFTOKEN=2": "http://h/",
    "http://h/?sid=" + "0f" * 16: "http://h/",
    "http://h/?sid=12": "http://h/?sid=12",
    "http://h/?s=" + "0f" * 16 + "&t=1": "http://h/?t=1",
    "http://h/?s=word": "http://h/?s=word",
    "http://h/?osCsid=x&zenid=y&q=": "http://h/?q=",
    "http://h/(S(55mfgkraqcxirg55a5z3ymq3))/page.aspx": "http://h/page.aspx",
    "http://h/?": "http://h/?",
    "http://h/?x=PHPSESSID": "http://h/?x=PHPSESSID",
}


@pytest.mark.parametrize(("url", "key"), SESSIONS.items(), ids=SESSIONS)
def test_session_ids_do_not_tell_urls_apart(url: str, key: str) -> None:
    assert HOST.canonical(url) == key


def test_parameters_that_the_operator_names_do_not_tell_urls_apart() -> None:
    scope = scope_of("host", SEED, ignore_parameters=("ref", "utm"))
    assert scope.canonical("http://h/?ref=1&a=2&ref=3&utm") == "http://h/?a=2"
    assert scope.canonical("http://h/?Ref=1&ref=2") == "http://h/?Ref=1"
    assert scope.canonical("https://h/?ref") == "https://h/"


def test_an_ordinary_url_is_its_own_key() -> None:
    url = "https://www.example.org/a/b"
    assert HOST.canonical(url) is url


SEGMENTS = st.sampled_from(
    ["a", "b", "calendar", "2040", "12", ";jsessionid=1", "(S(" + "a" * 24 + "))", "%7E", "", "*"]
)
PARAMETERS = st.sampled_from(
    [
        "a=1",
        "PHPSESSID=2",
        "sid=" + "0" * 32,
        "ref",
        "",
        "year=2040",
        "month=1",
        "amp;s=" + "f" * 40,
    ]
)
URLS = st.builds(
    lambda site, path, marks, query: f"{site}/{'/'.join(path)}{marks}{query}",
    st.sampled_from(["http://h", "https://www.example.org", "http://h:81", "http://[::1]:8"]),
    st.lists(SEGMENTS, max_size=12),
    st.sampled_from(["", "?", ";"]),
    st.lists(PARAMETERS, max_size=5).map("&".join) | st.text("a&;=?/", max_size=12),
)
SCOPES = (
    PREFIX,
    HOST,
    scope_of("domain", SEED, include=("*a*",), exclude=("*c*a*",), max_hops=3, has_sources=True),
    scope_of("page", SEED, ignore_parameters=("ref",)),
    scope_of("list", SEED, redirects="stay"),
)


@settings(max_examples=300)
@given(st.sampled_from(SCOPES), URLS, st.text("LEXRMP", max_size=30))
def test_every_url_gets_a_decision_and_a_key_that_stays(scope: Scope, url: str, hops: str) -> None:
    decision = scope.decide(url, hops)
    assert decision.rule
    assert decision.accepted is (decision.reason == "")
    key = scope.canonical(url)
    assert scope.canonical(key) == key
    assert len(key) <= len(url)


@settings(max_examples=200)
@given(st.text(max_size=30), URLS)
def test_whatever_is_written_as_a_pattern_is_usable_or_refused(written: str, url: str) -> None:
    try:
        patterns = Patterns.of([written])
    except PatternError as error:
        assert str(error)
    else:
        assert patterns.find(url) in (None, written)
