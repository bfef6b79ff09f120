#!/usr/bin/python3
"""Runs the programs of this folder on the emulated microcontroller, and on the host with each engine:
all three must print the same. Then looks into the firmware, and resets it in the middle.

    run_tests.py [NAME...]
    run_tests.py --firmware FILE [NAME...]    the programs on this firmware only
    run_tests.py --build "KIND VARIABLE=VALUE..." [NAME...]    on one that tools/micropython builds, with its size
    run_tests.py --rp2040 FILE [NAME...]      on this firmware for the RP2040, in its emulator (tools/rp2040)

With USSL_FILTER, only those run whose name it is a part of.

A program is put together from common.py, the certificates it names in a line "# certs: …" (as a dictionary
CERTS, for a chip has no files), and the file itself. With a line "# chip only", it must end well there.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.append(str(HERE.parent))
import suite  # noqa: E402

SECONDS = 300
SLOW_SECONDS = 1800  # in rp2040js


def whole(path):
    text = path.read_text()
    named = re.search(r"^# certs: (.*)$", text, re.M)
    certs = {name: (suite.certs() / name).read_text() for name in (named[1].split() if named else ())}
    return (HERE / "common.py").read_text() + f"CERTS = {certs!r}\n" + text


def output_of(command, engine=None, seconds=SECONDS):
    environment = os.environ | ({"USSL_ENGINE": engine} if engine else {})
    try:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=seconds)
    except subprocess.TimeoutExpired as e:
        return (e.stdout or b"").decode(errors="replace") + f"timed out after {e.timeout} s\n"
    status = f"exit status {done.returncode}\n" if done.returncode else ""
    return done.stdout.decode(errors="replace").replace("\r\n", "\n") + status


def firmware(*what):
    return output_of([ROOT / "tools" / "micropython", *(what or ["mcu"])]).splitlines()[-1]


def soft_reset():
    """After a soft reset with open connections, the module and the heap are as new."""
    sys.path.append(str(pathlib.Path(output_of([ROOT / "tools" / "deps", "source", "micropython"]).strip()) / "tools"))
    import pyboard

    program = whole(HERE / "test_hundred.py").split("# A hundred")[0] + """
kept = []
for client, server in ((trusting(), shown("server")), (psk_client(), psk_server())) * 2:
    kept.append(connect(client, server))
    assert kept[-1][2] == [True, True], kept[-1]
gc.collect()
print(gc.mem_free())
"""
    chip = pyboard.Pyboard("exec:qemu-system-arm -machine mps2-an385 -nographic -monitor null -semihosting "
                           f"-serial stdio -kernel {firmware()}")
    try:
        told = []
        for _ in range(3):
            chip.enter_raw_repl(soft_reset=True)
            out, error = chip.exec_raw(program, timeout=SECONDS)
            chip.exit_raw_repl()
            told.append(out if not error else error)
    finally:
        chip.close()
    # The collector keeps memory that only looks like being in use, a different amount each time; a pair of
    # unreleased connections would be about 4 KB.
    free = [int(text) if text.strip().isdigit() else 0 for text in told]
    return "" if free[0] and max(free) - min(free) < 2048 else f"{told}\n"


def link():
    """Nothing of a C++ runtime is in the firmware: no heap, no exceptions, no streams, no constructors."""
    file = pathlib.Path(firmware())
    archives = set(re.findall(r"([\w+.-]+\.a)\(", file.with_suffix(".map").read_text()))
    problems = "".join(f"linked: {name}\n" for name in archives - {"libgcc.a"})
    symbols = output_of(["arm-none-eabi-nm", "-C", file])
    for pattern in (r"operator new", r"operator delete", r"__cxa_", r"_Unwind", r"__gxx_personality", r"std::ios",
                    r"std::locale", r"_GLOBAL__sub_I", r"typeinfo", r" malloc$", r" free$"):
        problems += "".join(f"{line}\n" for line in symbols.splitlines() if re.search(pattern, line))
    sections = output_of(["arm-none-eabi-objdump", "-h", file])
    problems += "".join(f"{line}\n" for line in sections.splitlines() if re.search(r"init_array|ctors|extab", line)
                        and int(line.split()[2], 16))
    return problems


# The time of a run, in the text of a certificate that has expired.
CLOCK = re.compile(r"clock \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def main():
    names = sys.argv[1:]
    only = None
    runner, seconds = [ROOT / "run", "--mcu"], SECONDS
    if names[:1] == ["--rp2040"]:
        only = names[1]
        del names[:2]
        runner, seconds = [ROOT / "tools" / "rp2040"], SLOW_SECONDS + 60
        os.environ["USSL_RP2040_FIRMWARE"] = only
        os.environ.setdefault("USSL_RP2040_TIMEOUT", str(SLOW_SECONDS))
    elif names[:1] == ["--firmware"]:
        only = names[1]
        del names[:2]
        os.environ["USSL_MCU_FIRMWARE"] = only
    elif names[:1] == ["--build"]:
        only = firmware(*names[1].split())
        del names[:2]
        print(output_of([ROOT / "bench" / "mcu", "--sizes", only]), end="", flush=True)
        os.environ["USSL_MCU_FIRMWARE"] = only
    failed = count = 0
    if not only:
        firmware()
        for engine in ("openssl", "mbedtls"):  # here, where the output is not compared
            output_of([ROOT / "tools" / "micropython", "ussl"], engine)
    for path in [*sorted(HERE.glob("test_*.py")), ROOT / "examples" / "desk_and_chip.py"]:
        if (names and path.stem.removeprefix("test_") not in names) or not suite.matches(path.stem):
            continue
        count += 1
        text = whole(path) if path.parent == HERE else path.read_text()
        with tempfile.TemporaryDirectory(prefix="ussl-mcu-") as folder:
            program = pathlib.Path(folder) / path.name
            program.write_text(text)
            outputs = {"the chip": output_of([*runner, program], seconds=seconds)}
            if "# chip only\n" not in text and not only:
                for engine in ("openssl", "mbedtls"):
                    outputs[engine] = output_of([ROOT / "run", program], engine)
        outputs = {where: CLOCK.sub("clock NOW", output) for where, output in outputs.items()}
        chip = outputs["the chip"]
        ended = chip.endswith("done\n") if path.parent == HERE else "exit status" not in chip
        good = ended and all(output == chip for output in outputs.values())
        print(path.stem, "ok" if good else "FAILED", flush=True)
        failed += not good
        if not good:
            for where, output in outputs.items():
                print(f"--- {where}\n{output}", end="")
    for check in (soft_reset, link):
        if only or (names and check.__name__ not in names) or not suite.matches(check.__name__):
            continue
        count += 1
        problems = check()
        print(check.__name__, "FAILED" if problems else "ok", flush=True)
        print(problems, end="")
        failed += bool(problems)
    if not count and suite.FILTER:
        return suite.none_match()
    return 0 if count and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
