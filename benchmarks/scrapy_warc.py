"""A Scrapy spider that follows links on the hosts of its seeds and writes a WARC file with warcio.

The peer in benchmarks/crawl.py; runs under Scrapy's own Python, which has no Holdfast. For each
page one response and one request record in a gzip member each, laid out from what Scrapy's parser
kept: the bytes of the wire are not to be had from it.

Usage: python scrapy_warc.py OUTPUT.warc.gz URL...
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import BytesIO
from typing import Any, ClassVar
from urllib.parse import urlsplit

from scrapy import Request, Spider
from scrapy.crawler import CrawlerProcess
from scrapy.http import HtmlResponse, Response
from scrapy.linkextractors import LinkExtractor
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

# what a crawl of these pages needs too: images and styles, which Scrapy leaves out unless told
_TAGS = ("a", "area", "frame", "iframe", "img", "link", "script")


class Everything(Spider):
    """Follows every link that stays on a seed's host."""

    name = "everything"
    custom_settings: ClassVar[dict[str, Any]] = {
        "ROBOTSTXT_OBEY": True,
        "CONCURRENT_REQUESTS": 32,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
        "DOWNLOAD_DELAY": 0,
        "AUTOTHROTTLE_ENABLED": False,
        "COOKIES_ENABLED": False,
        "RETRY_ENABLED": False,
        "REDIRECT_ENABLED": False,
        "HTTPERROR_ALLOW_ALL": True,
        "TELNETCONSOLE_ENABLED": False,
        "DEFAULT_REQUEST_HEADERS": {"Accept": "*/*", "Accept-Encoding": "identity"},
    }

    def __init__(self, output: str, urls: list[str]) -> None:
        """Write to `output` what `urls` lead to."""
        super().__init__()
        self.start_urls = urls
        self._sites = {urlsplit(url).netloc for url in urls}
        self._links = LinkExtractor(tags=_TAGS, attrs=("href", "src"), deny_extensions=[])
        self._file = open(output, "wb")  # noqa: PTH123, SIM115 closed by closed()
        self._writer = WARCWriter(self._file, gzip=True, warc_version="1.1")

    def parse(self, response: Response) -> Iterator[Request]:
        """Store a page and follow its links."""
        self._store(response)
        location = response.headers.get("Location")
        urls = [response.urljoin(location.decode("latin-1"))] if location else []
        if isinstance(response, HtmlResponse):
            urls += [link.url for link in self._links.extract_links(response)]
        for url in urls:
            if urlsplit(url).netloc in self._sites:
                yield Request(url, callback=self.parse)

    def closed(self, _reason: str) -> None:
        """Finish the file."""
        self._file.close()

    def _store(self, response: Response) -> None:
        status = StatusAndHeaders(f"{response.status}", _fields(response.headers), "HTTP/1.1")
        stored = self._writer.create_warc_record(
            response.url, "response", payload=BytesIO(response.body), http_headers=status
        )
        request = response.request
        assert request is not None
        line = f"{request.method} {urlsplit(request.url).path} HTTP/1.1"
        asked = StatusAndHeaders(line, _fields(request.headers), is_http_request=True)
        sent = self._writer.create_warc_record(request.url, "request", http_headers=asked)
        self._writer.write_request_response_pair(sent, stored)


def _fields(headers: Any) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, values in headers.items()
        for value in values
    ]


if __name__ == "__main__":
    process = CrawlerProcess({"LOG_LEVEL": "ERROR"})
    process.crawl(Everything, output=sys.argv[1], urls=sys.argv[2:])
    process.start()
