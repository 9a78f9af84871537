"""The verify verb at the levels that need what extraction needs: `extracts` and `reproduce`.

Apart from `verify`, which must start fast and without any parser in memory.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import structs

from pipeline.extract.policy import ExtractPolicy
from pipeline.fixity import audit
from pipeline.model.finding import Finding
from pipeline.model.layout import Layout
from pipeline.stages.extract_workers import Workers
from pipeline.stages.verify import VerifyProgress, read_accounts, tasks_for, verify
from pipeline.stages.verify_extracts import check_extracts
from pipeline.stages.verify_file import Level, Task
from pipeline.stages.verify_report import VerifyReport
from pipeline.stages.verify_reproduce import reproduce


def verify_deep(
    layout: Layout,
    policy: ExtractPolicy,
    level: Level,
    observe: Callable[[Any], None],
    workers: int | None = None,
    against: Path | None = None,
) -> VerifyReport:
    """Check the archive, its documents among the rest.

    Args:
        layout: the archive.
        policy: its settings for extraction.
        level: `extracts` or `reproduce`.
        observe: is told the progress after each file.
        workers: processes; None means one per core.
        against: a checkpoint that was kept elsewhere, which the ledger must continue.

    Raises:
        ConfigError: `against` is no checkpoint.
        HoldfastError: a process that was checking files was killed.

    """
    examine = partial(check_extracts, policy)
    report = verify(layout, level, observe, workers, examine=examine, against=against)
    if level != "reproduce":
        return report
    findings, left, documents = list(report.findings), Counter(report.left), 0
    tasks = _latest(layout, left)
    with Workers(policy, workers or os.cpu_count() or 1) as pool:
        for number, task in enumerate(tasks, 1):
            compared = reproduce(task, policy, pool)
            findings += compared.findings
            left.update(compared.left)
            documents += compared.documents
            observe(
                VerifyProgress(
                    files=number,
                    total=len(tasks),
                    bytes_read=report.bytes_read,
                    findings=len(findings),
                )
            )
    return structs.replace(
        report, findings=sorted(findings, key=_path), left=dict(left), reproduced=documents
    )


def _path(finding: Finding) -> str:
    return finding.path


def _latest(layout: Layout, left: Counter[str]) -> list[Task]:
    """Give the latest revision of documents of each WARC file; count what the others hold."""
    accounts = read_accounts(layout)
    expected = audit.expect(accounts.manifest, accounts.ledger)
    latest = []
    for task in tasks_for(layout.root, expected, "reproduce", accounts.ledger):
        if task.holds("documents") and task.is_latest:
            latest.append(task)
        elif task.holds("documents") and task.extraction:
            left["superseded"] += task.extraction.documents
    return latest
