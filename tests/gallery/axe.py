"""Runs axe-core in a page; its script comes with the package axe-playwright-python."""

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

GRAVE = ("serious", "critical")
RUN = "() => axe.run(document, {resultTypes: ['violations']})"


def find_violations(page: Page) -> list[str]:
    """The serious and critical findings, each with the rule, the element and what is wrong."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found: dict[str, Any] = page.evaluate(RUN)
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found["violations"]
        if violation["impact"] in GRAVE
        for node in violation["nodes"]
    ]
