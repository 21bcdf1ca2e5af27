"""Accessibility of the page before, during and after an answer, checked with axe-core."""

import threading

import pytest

from tests.support.chromium import NODE_MODULES, Page
from tests.support.openai_replies import Cut, Hold, answer, stream, token
from tests.support.visit import Visiting

RICH = (
    "# Fees\n\nA berth is let for **24 hours** [1], and the rest is unknown [42].\n\n"
    "| what | euros |\n|:--|--:|\n| a night | 18 |\n\n1. Arrive.\n2. Pay `18`.\n\n> Quoted.\n\n"
    f"```python\n{'fee = 18 * nights; ' * 20}\n```\n\n[The rules](https://harbour.example/rules), ![a map](https://x.example)\n"
)


# Colours do not depend on the size of the page, so each of both is tested once.
@pytest.mark.parametrize(("dark", "phone"), [(False, False), (True, True)], ids=["light-desktop", "dark-phone"])
def test_axe_finds_no_serious_violations(dark: bool, phone: bool, visiting: Visiting) -> None:
    release = threading.Event()
    replies = [answer("Writing", ".", between=[Hold(release)]), answer(RICH), stream(token("Half"), Cut(reset=True))]
    with visiting(replies, dark=dark, phone=phone) as visit:
        violations_at = {"before": serious(visit.page)}
        visit.ask("What is the fee for a berth?")
        visit.wait_for_text("Writing")
        violations_at["while it is written"] = serious(visit.page)
        release.set()
        visit.ask_and_wait("What is the fee for a berth, and what else?")
        violations_at["answered"] = serious(visit.page)
        visit.page.call("click", "a.citation")
        visit.page.call("click", ".source.reached .open")
        visit.page.wait_until("document.querySelector('.passage .text')")
        violations_at["at a source"] = serious(visit.page)
        visit.ask_and_wait("And what is cut off?", status="cut off")
        violations_at["failed"] = serious(visit.page)
        visit.page.call("reload")
        violations_at["restored"] = serious(visit.page)

        assert violations_at == {moment: [] for moment in violations_at}


def serious(page: Page) -> list[str]:
    """The serious and critical violations that axe-core reports, with their elements."""
    if not page.value("'axe' in window"):
        page.value((NODE_MODULES / "axe-core" / "axe.min.js").read_text(encoding="utf-8") + "; undefined")
    violations = page.value("axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations)")
    return [
        f"{violation['impact']} {violation['id']}: {node['html']}"
        for violation in violations
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    ]


def test_the_status_is_announced_and_tokens_are_not(visiting: Visiting) -> None:
    with visiting(answer("Many ", "words ", "come.")) as visit:
        visit.ask_and_wait("What is the fee for a berth?")
        live = visit.page.value(
            "[...document.querySelectorAll('[aria-live], [role=status], [role=alert]')].map(e => e.id || e.className)"
        )

        assert live == ["notices notes", "afterword notes", "problem", "status", "collection-problem", "announcement"]
        assert visit.page.value("document.querySelector('[aria-live] .answer, [role=status] .answer')") is None


def test_reduced_motion_disables_animations(visiting: Visiting) -> None:
    release = threading.Event()
    with visiting(answer("Writing", ".", between=[Hold(release)]), reducedMotion="reduce") as visit:
        visit.ask("What is the fee for a berth?")
        visit.wait_for_text("Writing")

        assert visit.page.value("document.getAnimations().length") == 0
        release.set()
