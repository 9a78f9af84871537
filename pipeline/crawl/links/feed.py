"""RSS, RDF and Atom feeds, and JSON feeds: the items, what they carry, and what their text shows.

Links of a feed and its items are hop M, enclosures and pictures E; what stands in the HTML of an
item has the letters of HTML. Pure, linear, bounded, never raises; no entity is expanded twice.
"""

from __future__ import annotations

import json
import re

from pipeline.crawl.links import html
from pipeline.crawl.links.decoding import Text
from pipeline.crawl.links.gather import Gathering
from pipeline.crawl.links.markup import content, plain
from pipeline.crawl.links.relation import hop_of
from pipeline.crawl.links.tokens import attributes
from pipeline.model.policy import LinkPolicy
from pipeline.model.url import Rejected, resolve

# A start tag (2: name without prefix, 3: attributes, 4: the text up to the next tag)
_ELEMENT = re.compile(
    r"""<!--(?:[^-]++|-(?!->))*+(?:-->)?+
    | <(?:([\w.-]++):)?+([A-Za-z][\w.-]*+)((?:[^<>"']++|"[^"]*+"|'[^']*+'|["'])*+)>?+
      ((?:[^<]++|<!\[CDATA\[(?:[^\]]++|\](?!\]>))*+(?:\]\]>)?+)*+)""",
    re.VERBOSE,
)
_TEXTS = {
    "comments": "M",
    "commentRss": "M",
    "icon": "E",
    "link": "M",
    "logo": "E",
    "origLink": "M",
    "url": "E",
}
_ATTRIBUTES = {
    "content": {"src": "M", "url": "E"},
    "enclosure": {"url": "E"},
    "image": {"href": "E"},
    "player": {"url": "L"},
    "source": {"url": "M"},
    "thumbnail": {"url": "E"},
}
_QUOTING = frozenset({"content", "description", "encoded", "summary"})

_JSON_MEMBER = re.compile(
    r""""(attachments|url|external_url|home_page_url|feed_url|next_url|image|banner_image|icon
    |favicon|avatar|content_html)" \s*+:\s*+ (?: "((?:[^"\\]++|\\.)*+)" | (\[) )""",
    re.DOTALL | re.VERBOSE,
)
_JSON_HOPS = {
    "external_url": "L",
    "feed_url": "M",
    "home_page_url": "M",
    "next_url": "M",
    "url": "M",
}


def scan(text: Text, gathering: Gathering, policy: LinkPolicy) -> None:
    """Take what an XML feed refers to."""
    base = gathering.url
    for match in _ELEMENT.finditer(text.whole):
        if gathering.full:
            return
        _, name, body, inner = match.groups()
        if name is None:
            continue
        found = attributes(body) if body else {}
        if "xml:base" in found:
            base = _resolve(_value(text, found["xml:base"]), gathering.url, text)
        _take_attributes(name, found, text, gathering, base)
        hop = _TEXTS.get(name, "")
        if name == "guid" and found.get("ispermalink", "true").strip().lower() == "true":
            _take_guid(content(text.read(inner)), gathering)
        elif hop and inner.strip():
            gathering.add(content(text.read(inner)), hop, "feed", base, text.encoding)
        elif name in _QUOTING and ("<" in inner or "&lt;" in inner):
            html.scan(Text.of(content(text.read(inner))), gathering, policy, base)
    # what stands in an item as XHTML, not quoted, is found as on any page
    if 'type="xhtml"' in text.whole:
        html.scan(text, gathering, policy, base)


def scan_json(text: Text, gathering: Gathering, policy: LinkPolicy) -> None:
    """Take what a JSON feed refers to (jsonfeed.org, version 1.1)."""
    attached_until = -1
    for match in _JSON_MEMBER.finditer(text.whole):
        if gathering.full:
            return
        name, written, opening = match.groups()
        if opening:
            if name == "attachments" and match.start() > attached_until:
                end = text.whole.find("]", match.end())
                attached_until = end if end >= 0 else len(text.whole)
            continue
        value = _json_string(text.read(written)) if written is not None else ""
        if name == "content_html":
            html.scan(Text.of(value), gathering, policy)
        elif name != "attachments":
            attached = name == "url" and match.start() < attached_until
            hop = "E" if attached else _JSON_HOPS.get(name, "E")
            gathering.add(value, hop, "feed")


def _take_attributes(
    name: str, found: dict[str, str], text: Text, gathering: Gathering, base: str
) -> None:
    if name == "link" and "href" in found:
        relation = found.get("rel")
        hop = "E" if relation == "enclosure" else hop_of(relation)
        if hop:
            value = _value(text, found["href"])
            gathering.add(value, "M" if hop == "L" else hop, "feed", base, text.encoding)
    for attribute, hop in _ATTRIBUTES.get(name, {}).items():
        if attribute in found:
            gathering.add(_value(text, found[attribute]), hop, "feed", base, text.encoding)


def _take_guid(value: str, gathering: Gathering) -> None:
    """A guid is a link unless it says it is none (RSS 2.0); many are none and do not say so."""
    if value.strip().lower().startswith(("http://", "https://")):
        gathering.add(value, "M", "feed")


def _value(text: Text, written: str) -> str:
    return plain(text.read(written))


def _resolve(value: str, url: str, text: Text) -> str:
    target = resolve(value, url, text.encoding)
    return url if isinstance(target, Rejected) else target


def _json_string(inner: str) -> str:
    try:
        value = json.loads(f'"{inner}"', strict=False)
    except ValueError:
        return inner
    return str(value)
