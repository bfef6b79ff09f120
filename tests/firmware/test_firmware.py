"""./firmware: the qemu board is built and runs; simulated makefiles of other ports get the right options; bad
input gets a message."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))
from suite import main  # noqa: E402

# 1,000 bytes of program, 12 of them initial values, one of which is constant; 312 bytes of static RAM; a heap of 4,096; the file system begins at 64 KB.
PROGRAM = """\
const char program[988] __attribute__((section(".program"))) = {1};
unsigned rp2_flash_obj[2] __attribute__((section(".data"))) = {0, 65536};
const unsigned constant __attribute__((section(".fast"))) = 1;
char variables[300] __attribute__((section(".bss")));
"""
LINKER_SCRIPT = """\
MEMORY {
    FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 1M
    FLASH_TEXT (rx) : ORIGIN = 0x08010000, LENGTH = 128K
    RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 8K
}
SECTIONS {
    .text : { *(.program) } >FLASH_TEXT
    .data : { *(.data) } >RAM AT>FLASH_TEXT
    .fast : { *(.fast) } >RAM AT>FLASH_TEXT
    .bss : { *(.bss) } >RAM
    .heap (NOLOAD) : { . = . + 1024; } >RAM
    _heap_start = 0x20001000;  _heap_end = 0x20002000;
    __GcHeapStart = 0x20001000;  __GcHeapEnd = 0x20002000;
}
"""
SIZES = [1000, (128 << 10) - 1000, 312, 4096]
# Keeps its arguments.
MAKEFILE = """
all:
	$(if $(FAIL),echo 'a.c:1: error: %s'; exit 1)
	mkdir -p $(BUILD)
	env >$(BUILD)/environment
	echo $(MAKEOVERRIDES) >$(BUILD)/overrides
	for name in firmware micropython; do cp %s/firmware.elf $(BUILD)/$$name.elf; for map in map elf.map; do \\
	    cp %s/firmware.map $(BUILD)/$$name.$$map; done; done
	mkdir -p $(BUILD)/partition_table
	printf '\\252P\\000\\020\\000\\000\\001\\000\\000\\000\\020\\000%%020d' 0 >$(BUILD)/partition_table/partition-table.bin
	head -c 1000 /dev/zero >$(BUILD)/micropython.bin
submodules:
	@echo "Updating submodules: lib/sdk lib/libhydrogen"
	@test ! -e $(BUILD)/submodules/CMakeCache.txt
	$(if $(NO_SUBMODULES),mkdir -p $(BUILD)/submodules; touch $(BUILD)/submodules/CMakeCache.txt; exit 1)
"""
VERSION = """\
#define MICROPY_VERSION_MAJOR 1
#define MICROPY_VERSION_MINOR %d
#define MICROPY_VERSION_MICRO 0
"""


def firmware(*arguments, **environment):
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith("USSL_") and name not in ("IDF_PATH", "MICROPY_DIR", "MAKEFLAGS")}
    done = subprocess.run([ROOT / "firmware", *arguments], env=kept | environment, capture_output=True, text=True, timeout=1500)
    return done.returncode, done.stdout, done.stderr


def rows(output):
    """{name: [flash, flash left, static RAM, heap]}"""
    found = {}
    for line in output.splitlines():
        match = re.fullmatch(r"(\S.*?) {2,}([\d,]+|-) +([\d,]+|-) +([\d,]+|-) +([\d,]+|-)", line)
        if match:
            found[match[1]] = [None if n == "-" else int(n.replace(",", "")) for n in match.groups()[1:]]
    return found


class Board(unittest.TestCase):
    """The real qemu board."""

    def test_builds_and_runs(self):
        status, output, errors = firmware("qemu")
        self.assertEqual(status, 0, errors)
        self.assertIn("qemu MPS2_AN385, MicroPython 1.", output)
        path = re.search(r"^firmware: (.*)$", output, re.M)[1]
        sizes = rows(output)
        self.assertEqual(list(sizes), ["with ussl", "without TLS"])
        self.assertNotIn("of its own for this board", output)
        flash, left, ram, heap = sizes["with ussl"]
        self.assertGreater(flash, sizes["without TLS"][0] + 100_000)
        self.assertEqual(flash + left, 4 << 20)
        self.assertEqual(heap, 131072)
        self.assertLess(ram + heap, 192 << 10)
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder, "program.py")
            program.write_text("import ussl, ssl\nprint(ssl is ussl, ussl.HAS_PSK)\n")
            done = subprocess.run([ROOT / "run", "--mcu", program], env=os.environ | {"USSL_MCU_FIRMWARE": path},
                                  capture_output=True, text=True, timeout=120)
        self.assertEqual((done.returncode, done.stdout.split()), (0, ["True", "True"]), done.stderr)


class Ports(unittest.TestCase):
    """A tree that looks like MicroPython's, whose ports have makefiles as above."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.built = pathlib.Path(folder.name)
        (cls.built / "program.c").write_text(PROGRAM)
        (cls.built / "program.ld").write_text(LINKER_SCRIPT)
        subprocess.run(["arm-none-eabi-gcc", "-nostdlib", "-Wl,-Map=firmware.map,--entry=program", "-Tprogram.ld", "program.c",
                        "-o", "firmware.elf"], cwd=cls.built, check=True)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name).resolve()
        self.tree = self.make_tree()
        self.addCleanup(self.remove_builds)

    def remove_builds(self):
        key = subprocess.run(["cksum"], input=f"{self.tree}\n", text=True, stdout=subprocess.PIPE, check=True).stdout.split()[0]
        for folder in (*(ROOT / "build/firmware").glob("*-TEST_BOARD*"), ROOT / f"build/firmware/mpy-cross-{key}"):
            shutil.rmtree(folder, ignore_errors=True)
        (ROOT / f"build/firmware/checkout-{key}.lock").unlink(missing_ok=True)

    def write(self, name, text=""):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def make_tree(self):
        self.write("tree/py/mpconfig.h", VERSION % 28)
        for name in ("py/mkrules.mk", "ports/unix/Makefile", "extmod/asyncio/manifest.py", "lib/sdk/file", "lib/pico-sdk/file"):
            self.write("tree/" + name)
        self.write("tree/mpy-cross/Makefile", "all:\n")
        for port in ("stm32", "rp2", "esp32"):
            self.write(f"tree/ports/{port}/Makefile", MAKEFILE % (port, self.built, self.built))
            for board in ("TEST_BOARD_ONE", "TEST_BOARD_TWO"):
                self.write(f"tree/ports/{port}/boards/{board}/mpconfigboard.h")
        return self.folder / "tree"

    def build(self, *arguments, **environment):
        return firmware(*arguments, MICROPY_DIR=str(self.tree), **environment)

    def succeed(self, *arguments, **environment):
        status, output, errors = self.build(*arguments, **environment)
        self.assertEqual(status, 0, errors)
        self.folder_of_build = max((ROOT / "build/firmware").glob("*-TEST_BOARD*"), key=os.path.getmtime)
        return output

    def fails(self, status, message, *arguments, **environment):
        done = self.build(*arguments, **environment)
        self.assertEqual(done[0], status, done)
        self.assertIn(message, done[2])
        self.assertEqual(done[1], "")

    def options(self, kind):
        return set((self.folder_of_build / kind / "overrides").read_text().split())

    def environment(self, kind, name):
        for line in (self.folder_of_build / kind / "environment").read_text().splitlines():
            if line.startswith(name + "="):
                return line[len(name) + 1:]
        return ""

    def test_make_port(self):
        own = self.write("own.h")
        output = self.succeed("stm32", "TEST_BOARD_ONE", f"USSL_MBEDTLS_USER_CONFIG={os.path.relpath(own)}", "BOARD_VARIANT=X",
                              f"USSL_ROOTS={os.path.relpath(ROOT / 'roots' / 'common.bin')}")
        self.assertEqual(rows(output), {"with ussl": SIZES, "without TLS": SIZES, "with MicroPython's TLS": SIZES})
        self.assertIn("firmware.dfu", output)
        self.assertIn("dfu-util", output)
        for kind in ("ussl", "none", "own"):
            self.assertLessEqual({"BOARD=TEST_BOARD_ONE", "BOARD_VARIANT=X"}, self.options(kind))
        modules = f"USER_C_MODULES={ROOT}/bindings"
        off = {"MICROPY_PY_SSL=0", "MICROPY_SSL_MBEDTLS=0"}
        self.assertLessEqual(off | {modules, f"USSL_MBEDTLS_USER_CONFIG={own}", f"USSL_ROOTS={ROOT}/roots/common.bin"},
                             self.options("ussl"))
        self.assertLessEqual(off, self.options("none"))
        self.assertLessEqual({"MICROPY_PY_SSL=1", "MICROPY_SSL_MBEDTLS=1"}, self.options("own"))
        self.assertNotIn(modules, self.options("none") | self.options("own"))

    def test_ports_own_mbedtls(self):
        self.succeed("--quick", "stm32", "TEST_BOARD_ONE", "USSL_MBEDTLS=port")
        self.assertIn("USSL_MBEDTLS=port", self.options("ussl"))
        self.assertNotIn("MICROPY_SSL_MBEDTLS=0", self.options("ussl"))

    def test_quick(self):
        output = self.succeed("--quick", "stm32", "TEST_BOARD_ONE")
        self.assertEqual(list(rows(output)), ["with ussl"])
        self.assertFalse((self.folder_of_build / "none").exists())
        self.assertNotIn("of its own for this board", output)

    def test_rp2(self):
        output = self.succeed("rp2", "TEST_BOARD_TWO", "USSL_MBEDTLS=own", "BOARD_VARIANT=X")
        self.assertIn("firmware.uf2", output)
        self.assertIn("BOOTSEL", output)
        self.assertEqual(list(rows(output)), ["with ussl", "without TLS", "with MicroPython's TLS"])
        self.assertIn("The port has no TLS of its own for this board", output)
        self.assertEqual(rows(output)["with ussl"], [1000, 65536 - 1000, 312, 4096])
        self.assertEqual(self.environment("ussl", "CMAKE_ARGS"), "-DUSSL_MBEDTLS=own")
        options = self.options("ussl")
        self.assertLessEqual({"BOARD_VARIANT=X", f"USER_C_MODULES={ROOT}/bindings/micropython/micropython.cmake"}, options)
        # On the command line it would replace the makefile's additions.
        self.assertNotIn("CMAKE_ARGS", str(options))

    def test_esp32(self):
        self.write("idf/tools/cmake/project.cmake")
        self.write("idf/idf.py").chmod(0o755)
        path = f"{self.folder}/idf:{os.environ['PATH']}"
        output = self.succeed("esp32", "TEST_BOARD_ONE", "USSL_MBEDTLS=port", IDF_PATH=f"{self.folder}/idf", PATH=path)
        self.assertIn("esptool", output)
        # The partition is 1 MB, the program 1,000 bytes.
        self.assertEqual(rows(output)["with ussl"], [1000, (1 << 20) - 1000, 312, None])
        self.assertEqual(self.environment("ussl", "IDFPY_FLAGS"), "-DUSSL_MBEDTLS=port")
        board = self.folder_of_build / "board"
        self.assertIn(f"BOARD_DIR={board}", self.options("ussl"))
        self.assertIn("BOARD=TEST_BOARD_ONE", self.options("ussl"))
        self.assertNotIn(f"BOARD_DIR={board}", self.options("none") | self.options("own"))
        # CMake reads the board's own file, and then ussl's options.
        original = self.tree / "ports/esp32/boards/TEST_BOARD_ONE"
        self.assertEqual((board / "mpconfigboard.h").resolve(), original / "mpconfigboard.h")
        self.assertEqual((board / "mpconfigboard.cmake").read_text(),
                         f"include({original}/mpconfigboard.cmake)\n"
                         f"list(APPEND SDKCONFIG_DEFAULTS {ROOT}/bindings/micropython/esp32/sdkconfig.ussl)\n")
        self.assertTrue((ROOT / "bindings/micropython/esp32/sdkconfig.ussl").exists())

    def test_esp32_without_sdk(self):
        self.fails(3, "IDF_PATH is not set", "esp32", "TEST_BOARD_ONE")
        self.fails(2, "this is not ESP-IDF", "esp32", "TEST_BOARD_ONE", IDF_PATH="/nowhere")
        self.write("idf/tools/cmake/project.cmake")
        self.fails(3, "idf.py is not in PATH", "esp32", "TEST_BOARD_ONE", IDF_PATH=f"{self.folder}/idf")

    def test_submodules(self):
        shutil.rmtree(self.tree / "lib/sdk")
        self.fails(3, "lacks lib/sdk, and is not a git checkout", "stm32", "TEST_BOARD_ONE")

        def git(*arguments, cwd):
            subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always", *arguments],
                           cwd=cwd, check=True, capture_output=True)

        sdk = self.write("sdk/file").parent
        for folder in (sdk, self.tree):
            git("init", "-q", cwd=folder)
        git("add", ".", cwd=sdk)
        git("commit", "-qm", "x", cwd=sdk)
        git("submodule", "add", "-q", str(sdk), "lib/sdk", cwd=self.tree)
        git("add", ".", cwd=self.tree)
        git("commit", "-qm", "x", cwd=self.tree)
        git("submodule", "deinit", "-q", "--force", "lib/sdk", cwd=self.tree)
        self.assertFalse((self.tree / "lib/sdk/file").exists())
        allow = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always"}
        self.succeed("--quick", "stm32", "TEST_BOARD_ONE", **allow)
        self.assertTrue((self.tree / "lib/sdk/file").exists())
        # As after an interrupted fetch: only .git remains.
        (self.tree / "lib/sdk/file").unlink()
        self.succeed("--quick", "stm32", "TEST_BOARD_ONE", **allow)
        self.assertTrue((self.tree / "lib/sdk/file").exists())

    def test_a_failed_fetch_of_submodules_leaves_no_cache_of_cmake(self):
        subprocess.run(["git", "init", "-q"], cwd=self.tree, check=True)
        arguments = "--quick", "rp2", "TEST_BOARD_TWO"
        self.fails(3, "fetching the submodules of TEST_BOARD_TWO", *arguments, NO_SUBMODULES="1")
        self.succeed(*arguments)

    def test_failed_build(self):
        self.fails(1, "a.c:1: error: stm32", "stm32", "TEST_BOARD_ONE", "FAIL=1")
        self.fails(1, "all of its output is in ", "stm32", "TEST_BOARD_ONE", "FAIL=1")

    def test_boards(self):
        status, output, _ = self.build("--list", "stm32")
        self.assertEqual((status, output), (0, "TEST_BOARD_ONE\nTEST_BOARD_TWO\n"))
        self.fails(2, "Near names: TEST_BOARD_ONE TEST_BOARD_TWO.", "stm32", "TEST_BOARD")
        for number in range(10):
            self.write(f"tree/ports/stm32/boards/X{number}/mpconfigboard.h")
        self.fails(2, "Near names: TEST_BOARD_TWO", "stm32", "test_board_tw")
        self.fails(2, "which board?", "stm32")

    def test_bad_arguments(self):
        self.fails(2, "there is no port 'stm8'", "stm8", "TEST_BOARD_ONE")
        self.fails(2, "there is no port '../x'", "../x", "TEST_BOARD_ONE")
        self.fails(2, "unknown option --fast", "--fast", "stm32", "TEST_BOARD_ONE")
        self.fails(2, "OTHER is not NAME=VALUE", "stm32", "TEST_BOARD_ONE", "OTHER")
        for name in ("no-file", "README.md"):
            self.fails(2, f"USSL_ROOTS={name}: it is common, none or the path of a root store", "stm32", "TEST_BOARD_ONE", f"USSL_ROOTS={name}")
        self.fails(2, "no-file: there is no such file", "stm32", "TEST_BOARD_ONE", "USSL_MBEDTLS_USER_CONFIG=no-file")
        self.fails(2, "a value with a space", "stm32", "TEST_BOARD_ONE", "A=b c")
        status, output, errors = firmware()
        self.assertEqual((status, output), (2, ""))
        self.assertIn("./firmware PORT BOARD", errors)
        status, output, _ = firmware("--help")
        self.assertEqual(status, 0)
        self.assertIn("./firmware PORT BOARD", output)

    def test_bad_micropython(self):
        self.write("tree/py/mpconfig.h", VERSION % 24)
        self.fails(1, "it is MicroPython 1.24, and ussl needs 1.25 or newer", "stm32", "TEST_BOARD_ONE")
        self.write("tree/py/mpconfig.h", VERSION % 25)
        shutil.rmtree(self.tree / "ports/stm32")
        self.fails(2, "has no port stm32", "stm32", "TEST_BOARD_ONE")
        self.tree = self.folder / "nowhere"
        self.fails(2, "there is no such folder", "stm32", "TEST_BOARD_ONE")

    def test_bad_compiler(self):
        self.write("bin/arm-none-eabi-g++", "#!/bin/sh\nexit 1\n").chmod(0o755)
        self.fails(1, "arm-none-eabi-g++ has no C++23", "stm32", "TEST_BOARD_ONE", PATH=f"{self.folder}/bin:{os.environ['PATH']}")


if __name__ == "__main__":
    main()
