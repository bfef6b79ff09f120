"""A port whose source of entropy is a pseudo-random generator, or that has none, does not build with ussl."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from suite import main  # noqa: E402

PORT = pathlib.Path(__file__).resolve().parents[2] / "bindings/micropython/port.c"
ERROR = "no source of entropy that ussl knows; define USSL_PORT_ENTROPY and ussl_port_entropy()"


def problem(*macros):
    """The preprocessor's output for port.c, on a port that defines these macros."""
    with tempfile.TemporaryDirectory(prefix="ussl-port-") as folder:
        (pathlib.Path(folder) / "module.h").touch()
        source = pathlib.Path(folder) / "port.c"
        source.write_text(PORT.read_text())  # elsewhere, so that it finds this module.h
        done = subprocess.run(["cc", "-E", "-I", folder, *(f"-D{macro}" for macro in macros), source],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        return done.stderr if done.returncode else ""


class PortEntropy(unittest.TestCase):
    def test_a_port_that_is_not_known_fails_to_build(self):
        self.assertIn(ERROR, problem())

    def test_an_stm32_without_a_generator_fails_to_build(self):
        # MicroPython's rng_get() is then a pseudo-random generator, seeded from the unique ID and the RTC.
        self.assertIn(ERROR, problem("STM32_HAL_H", "MICROPY_HW_ENABLE_RNG=0"))

    def test_a_port_with_a_source_of_its_own_builds(self):
        self.assertEqual(problem("USSL_PORT_ENTROPY"), "")


if __name__ == "__main__":
    main()
