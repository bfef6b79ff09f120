"""The targets of ussl, as ratios of one run, and the measured values."""

import dataclasses
import statistics

import pages
from harness import CPYTHON, OWN, PLAIN, PLAIN_MBEDTLS, USSL, USSL_MBEDTLS

TITLE = "Targets"
NOTE = ("If a target covers several questions and directions, the table has the worst of them. "
        "[performance.md](performance.md) explains the missed targets, and possible improvements.")  # fmt: skip

MESSAGES = ("send", "receive")
HANDSHAKES = ("connect", "accept")


@dataclasses.dataclass
class Target:
    what: str
    mine: str
    theirs: str  # "": the figure itself, which is to be small
    wanted: float
    parts: tuple
    questions: tuple  # the beginnings of their titles; (): all

    def matches(self, part, question):
        return part in self.parts and (not self.questions or question.startswith(self.questions))


TARGETS = [
    Target("16 KB messages: of plain C++", USSL, PLAIN, 0.97, MESSAGES, ("16 KB",)),
    Target("full handshakes: of plain C++", USSL, PLAIN, 0.97, HANDSHAKES, ()),
    Target("1 KB and 64 B messages: of plain C++", USSL, PLAIN, 0.9, MESSAGES, ("1 KB", "64 B")),
    Target("1 KB and 64 B messages: of CPython", USSL, CPYTHON, 1, MESSAGES, ("1 KB", "64 B")),
    Target("16 KB messages: of MicroPython's own", USSL, OWN, 10, MESSAGES, ("16 KB",)),
    Target("P-256 handshakes: of MicroPython's own", USSL, OWN, 30, HANDSHAKES, ("P-256 certificate",)),
    Target("messages: of plain C++ over Mbed TLS", USSL_MBEDTLS, PLAIN_MBEDTLS, 0.95, MESSAGES, ()),
    Target("full handshakes: of plain C++ over Mbed TLS", USSL_MBEDTLS, PLAIN_MBEDTLS, 0.95, HANDSHAKES, ()),
    Target("16 KB messages: of MicroPython's own", USSL_MBEDTLS, OWN, 3, MESSAGES, ("16 KB",)),
    Target("P-256 handshakes: of MicroPython's own", USSL_MBEDTLS, OWN, 10, HANDSHAKES, ("P-256 certificate",)),
    Target("a server, 1 of 1,000 connections active: of CPython", USSL, CPYTHON, 1, ("asyncio",), ("1 active",)),
    Target("a server, 1 of 1,000 connections active: of CPython", USSL_MBEDTLS, CPYTHON, 1, ("asyncio",), ("1 active",)),
    Target("an idle connection, KB", USSL, "", 16, ("memory",), ("an idle",)),
    Target("an idle connection, KB", USSL_MBEDTLS, "", 4, ("memory",), ("an idle",)),
    Target("instructions of ussl for a read or write", USSL, "", 150, ("instructions",), ()),
    Target("instructions of ussl for a read or write", USSL_MBEDTLS, "", 150, ("instructions",), ()),
]


def ratios(mine, theirs, time):
    return [(a["count"] / a[time]) / (b["count"] / b[time]) for a, b in zip(mine, theirs) if a and b]


def measured(target, found, time="seconds"):
    """(figure, title of its question) of the worst, or None; found: {(part, question, contestant): answers}."""
    figures = []
    for (part, question, name), answers in found.items():
        if name != target.mine or not target.matches(part, question):
            continue
        if target.theirs:
            values = ratios(answers, found.get((part, question, target.theirs), []), time)
        else:
            values = [a["bytes"] / 1e3 if "bytes" in a else a["instructions"] for a in answers if a]
        if values:
            figures.append((statistics.median(values), f"{part}, {question}"))
    if not figures:
        return None
    return min(figures) if target.theirs else max(figures)


def table(found):
    """None: nothing of it was measured."""
    rows = [("", "", "target", "measured", "by CPU time", "met", "worst case")]
    for target in TARGETS:
        worst = measured(target, found)
        if worst is None:
            continue
        figure, question = worst
        least = bool(target.theirs)
        show = pages.two_digits if least else lambda value: f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
        # As it is shown: 0.968 is 0.97.
        there = round(figure, 2) >= target.wanted if least else figure <= target.wanted
        by_cpu = show(measured(target, found, "cpu")[0]) if least else ""
        rows.append((target.what, target.mine.removeprefix("MicroPython + "), f"{'≥' if least else '≤'} {target.wanted:g}",
                     show(figure), by_cpu, "yes" if there else "no", question))  # fmt: skip
    return pages.as_table(rows, 2) if len(rows) > 1 else None
