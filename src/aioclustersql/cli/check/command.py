"""`aioclustersql check` as a command: a configuration in, a report and an exit code out. What is found is others' business."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NoReturn

from ...config import load
from ..running import Exit, configured, console, finish, print_json
from .examine import Examination
from .findings import Severity
from .judge import judge
from .report import as_dict, show

__all__ = ["check_cluster"]


def check_cluster(config: Path | None, *, processes: int, write: bool, as_json: bool) -> NoReturn:
    """Run the check and exit."""
    examination = configured(lambda: Examination(load(config), processes=processes, write=write), as_json=as_json)

    async def work() -> int:
        loop = asyncio.get_running_loop()
        began = loop.time()
        facts = await examination.run()
        findings = judge(facts, examination.needs)
        if as_json:
            print_json(as_dict(facts, findings, loop.time() - began))
        else:
            show(console(), facts, findings)
        return Exit.FOUND if any(finding.severity is Severity.ERROR for finding in findings) else Exit.OK

    finish(work)
