"""What a worker knows of a host that it has leased: its robots.txt and its cookies."""

from __future__ import annotations

from msgspec import Struct

from pipeline.crawl.frontier.share import HostLease
from pipeline.crawl.rules.cookies import Jar
from pipeline.crawl.rules.robots import Robots


class Host(Struct):
    """One leased host, changed by the threads that ask it.

    Attributes:
        robots: None until its robots.txt is known.
        jar: its cookies, those that the operator gave left out.

    """

    jar: Jar
    robots: Robots | None = None

    @classmethod
    def of(cls, lease: HostLease) -> Host:
        """Take up what earlier leases left."""
        robots = Robots.parse(*lease.robots) if lease.robots is not None else None
        return cls(Jar.load(lease.cookies), robots)

    def crawl_delay(self, user_agent: str) -> float | None:
        """Give the seconds between requests that its robots.txt asks for."""
        return self.robots.crawl_delay(user_agent) if self.robots else None
