"""The page of a run: tables in Markdown and pictures in SVG, made of ratios."""

import dataclasses
import datetime
import html
import math
import statistics
import textwrap

from harness import TLS13, say


def quartiles(values):
    if len(values) < 2:
        return tuple(values * 2)
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def spread(ratios):
    """The median of ratios, and where their middle half lies."""
    return (statistics.median(ratios), *quartiles(ratios))


def two_digits(value):
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def as_table(rows, texts):
    """The first row is the head; the first columns are texts, the others figures."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if i < texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("| " + " | ".join(cells) + " |")
    rule = ["-" * width if i < texts else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    lines.insert(1, "| " + " | ".join(rule) + " |")
    return "\n".join(lines)


STYLE = """
.back { fill: #ffffff }
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px }
.small { font-size: 12px; fill: #57606a }
.number { stroke: #ffffff; stroke-width: 3; paint-order: stroke }
.bar { fill: #8c959f }
.ours { fill: #0969da }
.range { stroke: #1f2328; stroke-width: 1.5; fill: none }
.grid { stroke: #d0d7de; stroke-width: 1 }
.one { stroke: #57606a; stroke-width: 1; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
.back { fill: #0d1117 }
text { fill: #e6edf3 }
.small { fill: #9198a1 }
.number { stroke: #ffffff; stroke-width: 3; paint-order: stroke }
.number { stroke: #0d1117 }
.bar { fill: #656c76 }
.ours { fill: #4493f8 }
.range { stroke: #e6edf3 }
.grid { stroke: #3d444d }
.one { stroke: #9198a1 }
}
"""


EDGE = 12


def axis(most):
    """The positions of lines, from 0 to a round number."""
    steps = (factor * 10.0**power for power in range(-2, 9) for factor in (1, 2, 5))
    step = next(step for step in steps if most / step <= 6)
    return [i * step for i in range(max(1, math.ceil(most / step - 1e-9)) + 1)]


def picture(title, groups, unit, digits=2, most=None):
    """Horizontal bars. groups: [(text, [(name, is ours, median, low, high)])]. Bars end at `most`, so that one does not
    make all others short; their numbers do not. With a background of its own: who shows it may not know whether the
    page around it is light or dark."""
    left, right, width, row, bar = 215, 70, 760, 20, 12
    longest = max(high for _, bars in groups for *_, high in bars)
    ticks = axis(min(longest, most or longest))
    scale = (width - left - right) / ticks[-1]
    body, y = [], 48
    for text, bars in groups:
        if text:
            body.append(f'<text x="0" y="{y + 13}" class="small" font-weight="600">{html.escape(text)}</text>')
            y += row
        for name, ours, median, low, high in bars:
            middle = y + row / 2
            body.append(f'<text x="{left - 8}" y="{middle + 4:.1f}" text-anchor="end">{html.escape(name)}</text>')
            length = min(median, ticks[-1]) * scale
            body.append(f'<rect x="{left}" y="{middle - bar / 2:.1f}" width="{length:.1f}" height="{bar}" '
                        f'rx="2" class="{"ours" if ours else "bar"}"/>')  # fmt: skip
            a, b = (left + min(value, ticks[-1]) * scale for value in (low, high))
            if low < high and a < b:
                body.append(f'<path d="M{a:.1f} {middle - 4}v8M{a:.1f} {middle}H{b:.1f}M{b:.1f} {middle - 4}v8" '
                            'class="range"/>')  # fmt: skip
            beyond = "→ " if median > ticks[-1] else ""
            body.append(f'<text x="{max(b, left + length) + 8:.1f}" y="{middle + 4:.1f}" class="small number">'
                        f'{beyond}{median:,.{digits}f}</text>')  # fmt: skip
            y += row
        y += 8
    grid = []
    for tick in ticks:
        x = left + tick * scale
        kind = "one" if abs(tick - 1) < 1e-9 else "grid"
        grid.append(f'<line x1="{x:.1f}" y1="42" x2="{x:.1f}" y2="{y}" class="{kind}"/>')
        grid.append(f'<text x="{x:.1f}" y="{y + 16}" text-anchor="middle" class="small">{tick:g}</text>')
    wide, high = width + 2 * EDGE, y + 24 + 2 * EDGE
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-EDGE} {-EDGE} {wide} {high}" '
        f'width="{wide}" height="{high}" role="img">',
        f"<title>{html.escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect x="{-EDGE}" y="{-EDGE}" width="{wide}" height="{high}" rx="6" class="back"/>',
        f'<text x="0" y="16" class="title">{html.escape(title)}</text>',
        f'<text x="0" y="34" class="small">{html.escape(unit)}</text>',
    ]
    return "\n".join([*head, *grid, *body, "</svg>", ""])


@dataclasses.dataclass
class Section:
    file: str
    title: str
    table: str
    notes: list
    svg: str


def wrapped(text):
    return [textwrap.fill(text, 118, break_long_words=False, break_on_hyphens=False), ""]


def page(sections, versions, missing, rounds, seconds):
    lines = [
        "# Performance compared",
        "",
        "<!-- Generated by bench/run; the next run overwrites this page. -->",
        "",
        *wrapped(
            f"Measured on {datetime.date.today()} by `bench/run`, which runs on any machine. Each figure is from up to {rounds} "
            f"rounds of {seconds:g} s. In every round, the contestants run one after the other against the same counterpart, "
            "each on a processor of its own."),
        "- **of plain** is the ratio to the plain C++ program over OpenSSL, the limit, in the same round. It is the median,",
        "  followed by the range of the middle half of the rounds (in the pictures: the line across the end of a bar).",
        "- **by CPU time** compares only the contestant's own processor time. In a handshake, both ends take turns, and",
        "  with large messages the counterpart is as busy as the contestant.",
        "- **of plain over Mbed TLS** is the ratio to a plain C++ program over Mbed TLS, built with ussl's options. It is",
        "  given for contestants over Mbed TLS.",
        "",
        "Settings, unless a section names others:",
        "",
        f"- {TLS13}, X25519 (clients over Mbed TLS use P-256 first,",
        "  which it computes faster), P-256 certificates, no session tickets and no resumption;",
        "- sockets over loopback, blocking except with Node, Go and asyncio.",
        "",
        *wrapped(
            "CPython and MicroPython's own `tls` close a connection without `close_notify`, the others send it. With its "
            "options for Mbed TLS, MicroPython's own `tls` has no TLS 1.3 and no X25519. It negotiates TLS 1.2 (ECDHE with "
            "P-256, AES_128_GCM_SHA256), with other messages and other cryptography."),
        *(f"{text}.\n" for text in missing),
    ]
    for section in sections:
        lines += [f"## {section.title}", ""]
        if section.svg:
            lines += [f"![{section.title}](bench/{section.file}.svg)", ""]
        lines += [section.table, ""]
        for note in section.notes:
            lines += wrapped(note)
    lines += ["## On a chip", "", "`bench/mcu` counts instructions, memory and flash on a chip, and compares them with MicroPython's "
              "options for Mbed TLS: [bench-mcu.md](bench-mcu.md).", ""]  # fmt: skip
    lines += ["## Versions", ""]
    lines += [f"- {name}: {version}" for name, version in versions.items()]
    return "\n".join(lines) + "\n"


def write_page(folder, sections, text):
    pictures = folder / "bench"
    pictures.mkdir(parents=True, exist_ok=True)
    for old in pictures.glob("*.svg"):
        old.unlink()
    for section in sections:
        if section.svg:
            (pictures / f"{section.file}.svg").write_text(section.svg)
    (folder / "bench.md").write_text(text)
    say(f"wrote {folder / 'bench.md'}")
