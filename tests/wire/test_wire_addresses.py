"""Addresses: looked up in time, checked before and after connecting, and never by anybody else.

What name servers say is given by the tests; every address in it leads to this machine.
"""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.crawl.rules.addresses import Admission
from pipeline.crawl.wire.fetch import fetch
from pipeline.crawl.wire.lookup import KEEP_S, MAX_HANGING, Resolver
from pipeline.model.exchange import Failed, Fetched

HEADERS = (("User-Agent", "test/1"),)
NONE = Admission.of([], ())
LOOPBACK = Admission.of([], ("loopback",))
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answer(talk):
    talk.hear()
    talk.say(ANSWER)


class Names:
    """A name server: what it says for each name, and what it has been asked."""

    def __init__(self) -> None:
        self.says: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.let_go = threading.Event()

    def __call__(self, host, port, *_, **__):
        self.asked.append(host)
        ips = self.says.get(host)
        if host.startswith("slow"):
            assert self.let_go.wait(10)
        if ips is None:
            raise socket.gaierror(-2, "Name or service not known")
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (ip, 0, 0, 0))
            if ":" in ip
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 0))
            for ip in ips
        ]


@pytest.fixture
def names(monkeypatch):
    names = Names()
    monkeypatch.setattr("socket.getaddrinfo", names)
    yield names
    names.let_go.set()
    for thread in looking_up():
        thread.join(10)


def looking_up() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("look-up of ")]


@pytest.fixture
def untouched():
    """A port that must not be connected to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_address_that_is_not_admitted_is_never_connected_to(scheme, untouched, make_adapter):
    outcome = fetch(make_adapter(admission=NONE), f"{scheme}://127.0.0.1:{untouched}/", HEADERS)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "address"
    assert outcome.detail.startswith("127.0.0.1 is a loopback address; to reach")


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "[::ffff:127.0.0.1]"])
def test_other_spellings_of_an_address_are_the_address(host, untouched, make_adapter):
    outcome = fetch(make_adapter(admission=NONE), f"http://{host}:{untouched}/", HEADERS)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "address"


def test_a_name_that_leads_inside_is_refused_and_says_how_to_allow_it(
    names, untouched, make_adapter
):
    names.says["inside.example"] = ["127.0.0.1"]
    adapter = make_adapter(admission=NONE)
    outcome = fetch(adapter, f"http://inside.example:{untouched}/", HEADERS)
    assert outcome == Failed(
        "address",
        "inside.example: 127.0.0.1 is a loopback address; to reach such addresses, set"
        ' [crawl] allow_addresses = ["loopback"] in the seed file',
    )


def test_only_the_admitted_addresses_of_a_name_are_tried(names, serve, make_adapter):
    # 0.0.0.0 would lead to the server as well
    names.says["both.example"] = ["0.0.0.0", "127.0.0.1"]
    server = serve(answer)
    adapter = make_adapter(admission=LOOPBACK)
    connected = []
    real = socket.socket.connect

    class Watched(socket.socket):
        def connect(self, address):
            connected.append(address[0])
            return real(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("socket.socket", Watched)
        outcome = fetch(adapter, f"http://both.example:{server.port}/", HEADERS)
    assert isinstance(outcome, Fetched)
    assert connected == ["127.0.0.1"]


def test_a_name_that_changes_its_mind_is_judged_by_the_address_connected_to(
    names, serve, make_adapter
):
    """DNS rebinding: what was checked is what is connected to, and it is checked again."""
    names.says["rebinding.example"] = ["127.0.0.1"]
    server = serve(answer)
    adapter = make_adapter(admission=LOOPBACK)
    assert isinstance(fetch(adapter, f"http://rebinding.example:{server.port}/", ()), Fetched)
    assert names.asked == ["rebinding.example"]


def test_the_address_of_the_peer_is_checked_once_connected(serve, make_adapter):
    class Wary(Admission):
        """Admits an address once: when the name was looked up, and no more."""

        asked: list[str] = []  # noqa: RUF012

        def refusal(self, ip):
            self.asked.append(ip)
            return None if len(self.asked) == 1 else f"{ip} is somewhere else"

    server = serve(lambda talk: talk.hear())
    outcome = fetch(make_adapter(admission=Wary(frozenset())), server.url, HEADERS)
    assert outcome == Failed("address", "127.0.0.1 is somewhere else")
    assert server.finish().received == b""


def test_the_next_address_is_tried_when_one_refuses(names, serve, make_adapter):
    names.says["two.example"] = ["127.0.0.2", "127.0.0.1"]
    server = serve(answer)
    outcome = fetch(make_adapter(), f"http://two.example:{server.port}/", HEADERS)
    assert outcome.exchange.ip_address == "127.0.0.1"


def test_a_name_is_looked_up_once_a_minute_and_a_failure_each_time(names):
    seconds = [100.0]
    resolver = Resolver(lambda: seconds[0])
    names.says["a.example"] = ["127.0.0.1", "::1", "127.0.0.1"]
    first = resolver.look_up("a.example", 5)
    assert [address.ip for address in first] == ["127.0.0.1", "::1"]
    seconds[0] += KEEP_S - 1
    assert resolver.look_up("a.example", 5) == first
    seconds[0] += 2
    resolver.look_up("a.example", 5)
    for _ in range(2):
        assert isinstance(resolver.look_up("none.example", 5), Failed)
    assert names.asked == ["a.example"] * 2 + ["none.example"] * 2


def test_only_so_many_names_are_remembered(names):
    resolver = Resolver(lambda: 0.0)
    for number in range(1025):
        names.says[f"n{number}"] = ["127.0.0.1"]
        resolver.look_up(f"n{number}", 5)
    resolver.look_up("n1024", 5)
    assert len(names.asked) == 1025
    resolver.look_up("n0", 5)
    assert names.asked[-1] == "n0"


def test_addresses_are_not_looked_up(names, serve, make_adapter):
    server = serve(answer)
    assert isinstance(fetch(make_adapter(), server.url, HEADERS), Fetched)
    assert names.asked == []


def test_a_look_up_that_hangs_costs_its_time_limit(names, make_adapter):
    outcome = fetch(make_adapter(connect_timeout_s=0.05), "http://slow.example/", HEADERS)
    assert outcome == Failed("dns", "no address for slow.example in 0.05 s")


def test_a_few_look_ups_may_hang_and_no_more(names):
    resolver = Resolver(lambda: 0.0)
    slow = [f"slow{number}" for number in range(MAX_HANGING)]
    for name in slow:
        resolver.look_up(name, 0.01)
        resolver.look_up(name, 0.01)  # joins the one under way
    assert names.asked == slow
    assert len(looking_up()) == MAX_HANGING
    names.says["quick"] = ["127.0.0.1"]
    refused = Failed("dns", f"no address for quick: {MAX_HANGING} look-ups hang already")
    assert resolver.look_up("quick", 5) == refused
    names.let_go.set()
    for thread in looking_up():
        thread.join(10)
    assert not isinstance(resolver.look_up("quick", 5), Failed)


def test_who_asks_for_one_name_at_once_shares_the_look_up(names):
    resolver = Resolver(lambda: 0.0)
    names.says["slow.example"] = ["127.0.0.1"]
    with ThreadPoolExecutor(6) as threads:
        waiting = [threads.submit(resolver.look_up, "slow.example", 5) for _ in range(6)]
        names.let_go.set()
        answers = [each.result() for each in waiting]
    assert len(set(answers)) == 1
    assert answers[0][0].ip == "127.0.0.1"
    assert names.asked == ["slow.example"]
