"""Asks the questions of definitions.py in rounds, and makes a section of the page of each part's answers."""

import dataclasses
import json
import shutil
import statistics
import subprocess
import sys
import time

import pages
import targets
from definitions import (BUNDLE, BUNDLE_TITLE, BUNDLES, CALLS, FLOODS, INSTRUCTIONS_TITLE, MEMORY, OURS, PARTS,
                         RECONNECT_TITLE, RECONNECTS, SERVERS, slow)
from harness import (BENCH, CPYTHON, LACKS, OWN, PLAIN_MBEDTLS, USSL_MBEDTLS, Failure, make_bundle, output, pinned,
                     progress, say)
from pages import Section

# The time of a start, a handshake and an end, in addition to the measured time.
OVERHEAD = 0.25


def plain_text(name):
    return name.replace("`", "")


class Run:
    def __init__(self, bench, options):
        self.bench = bench
        self.options = options
        self.seconds = 0.1 if options.quick else 0.4
        self.failures = {}
        self.found = {}  # {(file of the part, title of the question, contestant): answers}, of all that was measured
        self.end = time.monotonic() + options.minutes * 60

    def wanted(self, *titles):
        only = (self.options.only or "").lower()
        return any(only in title.lower() for title in titles)

    def parts(self, parts):
        """Those of them, and of their questions, that are wanted."""
        for part in parts:
            questions = part.questions
            if not self.wanted(part.title):
                questions = [q for q in questions if self.wanted(f"{part.title}: {q.title}")]
            if questions:
                names = tuple(name for name in part.names if name in self.bench.contestants)
                yield dataclasses.replace(part, questions=questions, names=names)

    def ask(self, name, question):
        """An answer, or None: a measurement that has failed twice is not repeated."""
        key = (name, question.ask, question.size, question.keys)
        if len(self.failures.get(key, [])) > 1:
            return None
        try:
            return self.bench.measure(name, question.ask, question.size, self.seconds * question.seconds, question.keys)
        except Failure as failure:
            progress("")
            say(failure)
            self.failures.setdefault(key, []).append(str(failure))
            return None

    def steps(self, parts):
        return [(part, question, name) for part in parts for question in part.questions for name in part.names
                if (name, question.kind) not in LACKS]  # fmt: skip

    def rounds(self, what, parts, rounds, until):
        """{(part, question, contestant): [answer of each round]}, fewer rounds if time is up."""
        found = {(part.file, question.title, name): [] for part, question, name in self.steps(parts)}
        done, all_steps = 0, rounds * max(1, len(found))
        for turn in range(rounds):
            if turn >= 2 and time.monotonic() > until:
                progress("")
                say(f"{what}: {turn} rounds instead of {rounds}, because time is up")
                break
            if not sys.stderr.isatty():
                say(f"{what}, round {turn + 1} of {rounds}")
            for part in parts:
                for question in part.questions:
                    # The order changes, so that no contestant is always first, or always after the same one.
                    names = list(part.names)
                    names = names[turn % len(names) :] + names[: turn % len(names)]
                    for name in names[:: 1 if turn % 2 == 0 else -1]:
                        figures = found.get((part.file, question.title, name))
                        if figures is None:
                            continue
                        progress(f"bench: {what} {100 * done // all_steps:3} %  round {turn + 1}: "
                                 f"{part.title}, {question.title}: {name}")  # fmt: skip
                        done += 1
                        if slow(name, question) and (turn > 0 or self.options.quick):
                            figures.append(figures[0] if figures else None)
                        else:
                            figures.append(self.ask(name, question))
        progress("")
        self.found |= found
        return found

    def reason(self, name, question):
        lack = LACKS.get((name, question.kind))
        if lack:
            return lack
        if slow(name, question) and self.options.quick:
            return "takes too long for --quick"
        failures = self.failures.get((name, question.ask, question.size, question.keys))
        return f"failed: {failures[-1]}" if failures else None

    # ------------------------------------------------------------ tables and pictures

    def told(self, part, found, rate, cpu=True):
        """The table, the picture and the notes of a part. rate: the relevant part of an answer."""
        second = PLAIN_MBEDTLS in part.names
        base = "CPython" if part.base == CPYTHON else "plain"
        head = ["", "", "median", f"of {base}", "middle half", *([f"of {base}, by CPU time"] if cpu else []),
                *(["of plain over Mbed TLS"] if second else [])]  # fmt: skip
        rows, groups, reasons = [head], [], []
        for question in part.questions:
            bars = []
            theirs = found[part.file, question.title, part.base] if part.base in part.names else []
            limit = found.get((part.file, question.title, PLAIN_MBEDTLS), [])
            for name in part.names:
                first = question.title if name == part.names[0] else ""
                mine = found.get((part.file, question.title, name), [])
                pairs = [(a, b) for a, b in zip(mine, theirs) if a and b]
                if not pairs:
                    reason = self.reason(name, question)
                    if reason and reason not in reasons:
                        reasons.append(reason)
                    rows.append([first, name, *["—"] * (len(head) - 2)])
                    continue
                median, low, high = pages.spread([rate(a) / rate(b) for a, b in pairs])
                value = statistics.median(rate(a) for a, _ in pairs)
                row = [first, name, f"{value:,.{1 if value < 100 else 0}f} {part.unit}", pages.two_digits(median),
                       f"{pages.two_digits(low)}–{pages.two_digits(high)}"]  # fmt: skip
                if cpu:
                    row.append(pages.two_digits(statistics.median(
                        a["count"] / a["cpu"] / (b["count"] / b["cpu"]) for a, b in pairs)))  # fmt: skip
                if second:
                    of_limit = [rate(a) / rate(b) for a, b in zip(mine, limit) if a and b]
                    over = name in (PLAIN_MBEDTLS, USSL_MBEDTLS, OWN)
                    row.append(pages.two_digits(statistics.median(of_limit)) if over and of_limit else "")
                rows.append(row)
                bars.append((plain_text(name), name in OURS, median, low, high))
            if bars:
                groups.append((question.title, bars))
        notes = [part.notes] if part.notes else []
        if reasons:
            notes.append("—: " + "; ".join(reasons).rstrip(".") + ".")
        svg = pages.picture(part.title, groups, f"ratio to {plain_text(part.base)} of the same round: median, and the "
                            "middle half of the rounds", most=2.5) if groups else None  # fmt: skip
        return Section(part.file, part.title, pages.as_table(rows, 2), notes, svg)

    def speed(self, rounds, until):
        parts = list(self.parts(PARTS))
        if not parts:
            return []
        found = self.rounds("speed", parts, rounds, until)
        return [self.told(part, found, lambda a: a["count"] / part.divisor / a["seconds"]) for part in parts]

    def servers(self, rounds, until):
        parts = list(self.parts([SERVERS, FLOODS]))
        if not parts:
            return []
        found = self.rounds("servers", parts, rounds, until)
        sections = [self.told(part, found, lambda a: a["count"] / a["seconds"]) for part in parts]
        beside = {title: {name: figures for (_, of, name), figures in found.items() if of == title}
                  for title in (question.title for question in FLOODS.questions)}  # fmt: skip
        idle, flood = beside.values()
        ratios = {name: [b["count"] / a["count"] for a, b in zip(idle[name], flood.get(name, [])) if a and b]
                  for name in idle}  # fmt: skip
        if any(ratios.values()):
            sections[-1].notes.append("The rate beside the flood, as a part of the rate beside an idle connection: " + ", ".join(
                f"{name} {pages.two_digits(statistics.median(of))}" for name, of in ratios.items() if of) + ".")  # fmt: skip
        return sections

    def memory(self, rounds, until):
        parts = list(self.parts([MEMORY]))
        if not parts:
            return []
        found = self.rounds("memory", parts, rounds, until)
        section = self.told(parts[0], found, lambda a: max(a["bytes"], 1) / 1e3, cpu=False)
        idle = {name: statistics.median(a["bytes"] for a in figures if a)
                for (_, title, name), figures in found.items() if "idle" in title and any(figures)}  # fmt: skip
        if idle:
            section.notes.append("1,000 idle connections take:")
            section.notes += [f"- {name}: {idle[name] / 1e3:,.1f} MB" for name in sorted(idle, key=idle.get)]
        return [section]

    def reconnects(self, rounds, until):
        if not self.wanted(RECONNECT_TITLE):
            return []
        found = [[] for _ in RECONNECTS]
        for turn in range(rounds):
            if turn >= 2 and time.monotonic() > until:
                break
            for i in sorted(range(len(RECONNECTS)), key=lambda i: (i + turn) % len(RECONNECTS)):
                title, name, question = RECONNECTS[i]
                progress(f"bench: {RECONNECT_TITLE}, round {turn + 1}: {title}")
                result = self.bench.measure(name, question, 1, self.seconds)
                found[i].append((result["count"] / result["seconds"], result["count"] / result["cpu"]))
        progress("")
        rows = [("", "median", "of CPython", "middle half", "of CPython, by CPU time")]
        bars = []
        for (title, name, _), figures in zip(RECONNECTS, found):
            median, low, high = pages.spread([mine[0] / theirs[0] for mine, theirs in zip(figures, found[0])])
            by_cpu = [mine[1] / theirs[1] for mine, theirs in zip(figures, found[0])]
            rows.append((title, f"{statistics.median(f[0] for f in figures):,.0f} /s", f"{median:.2f}",
                         f"{low:.2f}–{high:.2f}", f"{statistics.median(by_cpu):.2f}"))  # fmt: skip
            bars.append((plain_text(title), name in OURS, median, low, high))
        notes = ["All connections are to the same server, which issues tickets. Each connection sends one byte and "
                 "waits for one. **of CPython** is the ratio to CPython's `ssl` with default settings, in the same "
                 "round."]  # fmt: skip
        svg = pages.picture(RECONNECT_TITLE, [("", bars)], "ratio to CPython's ssl by default, in the same round")
        return [Section("reconnect", RECONNECT_TITLE, pages.as_table(rows, 1), notes, svg)]

    def bundles(self, rounds, until):
        if not self.wanted(BUNDLE_TITLE):
            return []
        make_bundle(self.bench.folder, BUNDLE)
        found = [[] for _ in BUNDLES]
        for turn in range(rounds):
            if turn >= 2 and time.monotonic() > until:
                break
            progress(f"bench: a bundle of roots, round {turn + 1}")
            for (_, name), figures in zip(BUNDLES, found):
                program = self.bench.contestants[name][0]
                roots = self.bench.folder / "bundle.pem"
                result = json.loads(output(program, BENCH / "bundle.py", roots, str(CALLS), preexec_fn=pinned(0)))
                figures.append((result["first"], result["others"]))
        progress("")
        rows = [("", "first call", "each of the others", "times as quick as CPython's", "middle half")]
        bars = []
        for (title, name), figures in zip(BUNDLES, found):
            median, low, high = pages.spread([theirs[1] / mine[1] for mine, theirs in zip(figures, found[0])])
            first, others = (statistics.median(f[i] for f in figures) for i in (0, 1))
            rows.append((title, f"{first * 1e3:,.2f} ms", f"{others * 1e3:,.3f} ms", f"{median:,.0f}",
                         f"{low:,.0f}–{high:,.0f}"))  # fmt: skip
            bars.append((plain_text(title), name in OURS, median, low, high))
        notes = [f"{CALLS} calls of `wrap_socket` with the same {BUNDLE} roots as bytes of PEM, without a handshake. "
                 "ussl parses them once: calls with the same options share the result."]  # fmt: skip
        svg = pages.picture(BUNDLE_TITLE, [("", bars)], "times as quick as CPython's, each call after the first", 0)
        return [Section("bundle", BUNDLE_TITLE, pages.as_table(rows, 1), notes, svg)]

    def instructions(self, *_):
        if not self.wanted(INSTRUCTIONS_TITLE):
            return []
        if not shutil.which("valgrind"):
            say("instructions are left out: there is no valgrind")
            return []
        rows = [("", "16 KB", "1 KB", "64 B")]
        groups = []
        for name in OURS:
            bars = []
            for question, function in (("write", "ussl_socket_write"), ("read", "ussl_socket_readinto")):
                if function not in output("nm", self.bench.contestants[name][0], stderr=subprocess.STDOUT):
                    say(f"instructions of {name} are left out: the program was stripped")
                    continue
                figures = []
                for size in (16384, 1024, 64):
                    progress(f"bench: instructions of a {question} of {size} bytes, {name}")
                    profile = self.bench.folder / "callgrind.out"
                    valgrind = ["valgrind", "-q", "--tool=callgrind", "--demangle=no",
                                "--compress-strings=no", "--compress-pos=no",
                                f"--toggle-collect={function}", f"--callgrind-out-file={profile}"]  # fmt: skip
                    # On a busy machine, a millisecond passes without a call.
                    for seconds in (0.001, 0.1, 1):
                        result = self.bench.measure(name, question, size, seconds, before=valgrind)
                        if result["count"]:
                            break
                    else:
                        raise Failure(f"{name}, {question}: not one call in a second")
                    figures.append(own_instructions(profile) / (result["count"] / size))
                    title = f"{question}, {size} B"
                    self.found["instructions", title, name] = [{"instructions": figures[-1]}]
                rows.append((f"{question}, {name}", *(f"{figure:,.0f}" for figure in figures)))
                bars += [(f"{question}, {size}", True, figure, figure, figure)
                         for size, figure in zip(("16 KB", "1 KB", "64 B"), figures)]  # fmt: skip
            groups.append((name, bars))
        progress("")
        notes = ["The instructions that one call executes in ussl's own code, counted by callgrind. The TLS library's "
                 "and MicroPython's instructions are not counted."]  # fmt: skip
        svg = pages.picture(INSTRUCTIONS_TITLE, groups, "instructions of ussl per call", 0)
        return [Section("instructions", INSTRUCTIONS_TITLE, pages.as_table(rows, 1), notes, svg)]

    def expected(self, plan):
        """Seconds that all of it will take, about."""
        rounds = {name: n for name, n, _ in plan}
        take = self.seconds + OVERHEAD
        total = sum(self.seconds * q.seconds + OVERHEAD for _, q, _ in self.steps(self.parts(PARTS))) * rounds["speed"]
        servers = self.steps(self.parts([SERVERS, FLOODS]))
        total += sum(self.seconds * q.seconds + OVERHEAD + q.size * (0.02 if n == OWN else 0.003)
                     for _, q, n in servers if not slow(n, q)) * rounds["servers"]  # fmt: skip
        total += 45 * any(slow(n, q) for _, q, n in servers) * (not self.options.quick)
        total += sum(1 + 2 * (n == OWN) for _, _, n in self.steps(self.parts([MEMORY]))) * rounds["memory"]
        total += take * len(RECONNECTS) * rounds["reconnects"] * self.wanted(RECONNECT_TITLE)
        total += (3 + rounds["bundles"]) * self.wanted(BUNDLE_TITLE)
        return total + 50 * self.wanted(INSTRUCTIONS_TITLE)

    def all(self):
        n, quick = self.options.rounds, self.options.quick
        few = min(n, 1 if quick else 3)
        plan = [("speed", n, self.speed), ("reconnects", n, self.reconnects), ("bundles", n, self.bundles),
                ("servers", few, self.servers), ("memory", few, self.memory)]  # fmt: skip
        if not quick:
            plan.append(("instructions", 1, self.instructions))
        expected = self.expected(plan)
        minutes = max(1, round(expected / 60))
        say(f"this takes about {minutes} minute{'s' * (minutes > 1)} on a quiet machine, "
            f"and not much more than {self.options.minutes:g}")  # fmt: skip
        sections = []
        begin = time.monotonic()
        # A measurement that is late reduces the rounds of the first one, which has the most.
        shares = {"speed": 0.72, "reconnects": 0.76, "bundles": 0.78, "servers": 0.9, "memory": 0.96, "instructions": 1}
        for name, rounds, measure in plan:
            try:
                sections += measure(rounds, begin + (self.end - begin) * shares[name])
            except Failure as failure:
                progress("")
                say(failure)
                self.failures.setdefault(name, []).append(str(failure))
        if aims := targets.table(self.found):
            sections.insert(0, Section("targets", targets.TITLE, aims, [targets.NOTE], None))
        return sections


def own_instructions(profile):
    """Instructions in functions of ussl itself: MicroPython is C, so all that is C++ is ussl's."""
    total = 0
    ours = after_call = False
    for line in profile.read_text().splitlines():
        if line.startswith("fn="):
            name = line[3:]
            ours = name.startswith("ussl_") or (name.startswith("_Z") and "St3" not in name)
        elif line.startswith("calls="):
            after_call = True  # the next line is the cost of the callee
        elif line[:1].isdigit():
            if ours and not after_call:
                total += int(line.split()[1])
            after_call = False
    return total
