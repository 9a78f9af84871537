"""The `seeds check` verb: what would be crawled, how far, how politely, and why a URL is in or out.

Reads config.toml and the seed files; asks no server and changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from pipeline.config import Config
from pipeline.crawl.rules import secrets
from pipeline.crawl.rules.addresses import Admission
from pipeline.crawl.rules.decision import Decision
from pipeline.crawl.rules.scope import Scope, ScopeTable
from pipeline.crawl.rules.seeds import ENDINGS, Collection, load_collections, other_files
from pipeline.errors import ConfigError
from pipeline.model.layout import Layout
from pipeline.model.policy import LinkPolicy, RunLimits
from pipeline.model.toml import shown
from pipeline.model.url import Rejected, absolute, split

_SHOWN_SEEDS = 10

_IN_WORDS = {
    "page": "each seed, and what it embeds",
    "prefix": "what lies in the folder of a seed, or below it",
    "host": "everything on the hosts of the seeds",
    "domain": "everything on the domains of the seeds and their subdomains",
    "list": "the seeds, and where they redirect to",
}
_BY_WAY = {"embed": "E", "redirect": "R"}


class CollectionCheck(Struct, frozen=True, kw_only=True):
    """What the crawl of one collection would be.

    Attributes:
        delay_s: pause between two requests to one host.
        decision: of the URL that was asked about, if one was: as a seed, or else as a link on the
            page of a seed.
        by_way: of the same URL, but as an embed of that page or the target of its redirect.

    """

    collection: Collection
    delay_s: float
    decision: Decision | None
    by_way: dict[str, Decision]

    @classmethod
    def of(cls, collection: Collection, config: Config, url: str | None) -> CollectionCheck:
        """Look at one collection, and ask its scope about a normal URL."""
        is_seed = any(seed.url == url for seed in collection.seeds)
        hops = "" if is_seed else "L"
        policy = collection.overrides.over(config.crawl)
        admission = Admission.of((seed.url for seed in collection.seeds), policy.allow_addresses)

        def decide(url: str, hops: str) -> Decision:
            decision = collection.scope.decide(url, hops)
            refusal = admission.refusal_of_host(split(url).host.strip("[]"))
            if decision.accepted and refusal:
                return Decision(False, f"address: {refusal}", "address")
            return decision

        return cls(
            collection=collection,
            delay_s=policy.delay_s,
            decision=decide(url, hops) if url else None,
            by_way={name: decide(url, hops + hop) for name, hop in _BY_WAY.items()} if url else {},
        )

    def as_json(self) -> dict[str, Any]:
        """Give one object of the list `collections`."""
        collection, scope = self.collection, self.collection.scope
        described: dict[str, Any] = {
            "collection": collection.name,
            "path": f"seeds/{collection.path.name}",
            "title": collection.title,
            "seeds": [seed.url for seed in collection.seeds if not seed.is_source],
            "seeds_from": [seed.url for seed in collection.seeds if seed.is_source],
            "scope": scope.type,
            "rules": list(scope.rules),
            "exclude": list(scope.exclude.written),
            "max_hops": scope.max_hops,
            "embed_hops": scope.embed_hops,
            "redirects": scope.redirects,
            "links": msgspec.structs.asdict(collection.links),
            "limits": msgspec.structs.asdict(collection.limits),
            "secrets": collection.secrets,
            "delay_s": self.delay_s,
        }
        if self.decision:
            described["accepted"] = self.decision.accepted
            described["rule"] = self.decision.rule
            for name, decision in self.by_way.items():
                described[f"accepted_as_{name}"] = decision.accepted
        return described

    def as_lines(self) -> list[str]:
        """Describe the collection to a person: what is always there, and what it does otherwise."""
        collection, scope = self.collection, self.collection.scope
        named = collection.title != collection.name
        excluded = sum(not scope.decide(seed.url).accepted for seed in collection.seeds)
        starts = [rule.rpartition(" ")[2] for rule in scope.rules if rule != "scope: seed"]
        return [
            f"{collection.name}: {collection.title}" if named else collection.name,
            f"  file   seeds/{collection.path.name}",
            *_column("seeds", [seed.url for seed in collection.seeds if not seed.is_source]),
            *_column("from", [seed.url for seed in collection.seeds if seed.is_source]),
            f"  scope  {scope.type}: {_IN_WORDS[scope.type]}",
            *_column("in", starts),
            *_column("out", list(scope.exclude.written)),
            *_column("also", list(_otherwise(scope))),
            *_column("never", [f"{excluded} of the seeds, being excluded"] if excluded else []),
            *_column("links", [f"{name}: {_yes(on)}" for name, on in _changed(collection.links)]),
            *_column(
                "limit", [f"{name}: {most:,.15g}" for name, most in _changed(collection.limits)]
            ),
            *_column("login", [collection.secrets] if collection.secrets else []),
            f"  delay  {self.delay_s:g} s between two requests to one host",
        ]

    def as_answer(self) -> list[str]:
        """Say whether the URL that was asked about is in or out, and by which rule."""
        if self.decision is None:
            return []
        verdict = "in " if self.decision.accepted else "out"
        lines = [f"  {verdict}  {self.collection.name}: {self.decision.rule}"]
        ways = [name for name, decision in self.by_way.items() if decision.accepted]
        if not self.decision.accepted and ways:
            lines.append(f"       but fetched as the {' or the '.join(ways)} of a page that is in")
        return lines


class SeedsReport(Struct, frozen=True, kw_only=True):
    """What `seeds check` found; the seed files are all sound.

    Attributes:
        url: the URL that was asked about, normal.
        ignored: names of files in seeds/ that are no seed files.

    """

    collections: tuple[CollectionCheck, ...]
    url: str | None
    ignored: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """Give 0; mistakes in seed files are raised, not reported."""
        return 0

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json seeds check` prints."""
        return {
            "collections": [collection.as_json() for collection in self.collections],
            "ignored": list(self.ignored),
            "url": self.url,
        }

    def as_text(self) -> str:
        """Tell it to a person: the collections, or what they say to the URL."""
        lines = self._answers() if self.url else self._descriptions()
        if self.ignored:
            lines += ["", f"Not read, because no seed file: {', '.join(self.ignored)}"]
        return "\n".join(lines)

    def _descriptions(self) -> list[str]:
        if not self.collections:
            endings = f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
            return [f"No collections: there is no {endings} file in seeds/."]
        lines = []
        for collection in self.collections:
            lines += [*collection.as_lines(), ""]
        return [*lines, "Sound. robots.txt is asked and obeyed when the crawl runs."]

    def _answers(self) -> list[str]:
        lines = [str(self.url)]
        for collection in self.collections:
            lines += collection.as_answer()
        return lines


def check(
    layout: Layout, config: Config, names: Sequence[str] = (), url: str | None = None
) -> SeedsReport:
    """Read the seed files of the named collections, or of all, and explain what they mean.

    Raises:
        ConfigError: one line for each mistake in a seed file or a file of secrets; or `url` is no
            URL.

    """
    normal = absolute(url) if url is not None else None
    if isinstance(normal, Rejected):
        raise ConfigError(f"--url: expected an http or https URL, got {shown(url)}: {normal.value}")
    collections = load_collections(layout.seeds, names, year=datetime.now(UTC).year)
    for collection in collections:
        secrets.load(layout.root, collection.secrets, os.environ)
    return SeedsReport(
        collections=tuple(CollectionCheck.of(each, config, normal) for each in collections),
        url=normal,
        ignored=tuple(other_files(layout.seeds)),
    )


def _otherwise(scope: Scope) -> Iterator[str]:
    """Tell what a scope does otherwise than most."""
    usual = Scope.of(ScopeTable(type=scope.type), ())
    if scope.max_hops is not None:
        yield f"at most {scope.max_hops} links from a seed"
    if scope.embed_hops != usual.embed_hops:
        yield f"what pages embed elsewhere: {scope.embed_hops} steps far"
    if scope.redirects != usual.redirects:
        yield "redirects that lead out are not followed"
    if scope.ignored:
        yield f"parameters that do not count: {', '.join(sorted(scope.ignored))}"
    if not scope.traps:
        yield "no trap is avoided"


def _changed(settings: LinkPolicy | RunLimits) -> Iterator[tuple[str, Any]]:
    """Give what is set otherwise than by default."""
    usual = msgspec.structs.asdict(type(settings)())
    for name, value in msgspec.structs.asdict(settings).items():
        if value != usual[name]:
            yield name, value


def _yes(on: bool) -> str:
    return "yes" if on else "no"


def _column(name: str, values: Sequence[str]) -> list[str]:
    shown_values = list(values[:_SHOWN_SEEDS])
    if len(values) > _SHOWN_SEEDS:
        shown_values.append(f"... and {len(values) - _SHOWN_SEEDS} more")
    return [
        f"  {name if number == 0 else '':5}  {value}" for number, value in enumerate(shown_values)
    ]
