#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The lint, tested: a small tree that is right passes, and each way of being wrong is found and named."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

LINT = pathlib.Path(__file__).resolve().parent

LAYERS = """
gateway/base:
gateway/wire: gateway/base
gateway/link: gateway/wire gateway/base
sans-io: gateway/base gateway/wire
pure: stdint.h
except: gateway/base/log.c time.h
<event2/*>: gateway/link
"""

SPDX = "/* SPDX-License-Identifier: MIT */\n"


class Tree(unittest.TestCase):
    """A tree with three layers, made anew for each test."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        self.write("gateway/LAYERS", "# SPDX-License-Identifier: MIT\n" + LAYERS)
        self.write("gateway/base/err.h", SPDX + "#include <stdint.h>\n")
        self.write("gateway/base/log.c", SPDX + '#include "gateway/base/err.h"\n#include <time.h>\n')
        self.write("gateway/wire/addr.h", SPDX + '#include "gateway/base/err.h"\n')
        self.write("gateway/link/udp.h", SPDX)
        self.write("gateway/link/udp.c", SPDX + '#include "gateway/wire/addr.h"\n#include <event2/event.h>\n')

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def lint(self, *command):
        environment = dict(os.environ, LINT_ROOT=str(self.root))
        run = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment)
        return run.returncode, run.stdout + run.stderr

    def layers(self):
        return self.lint(sys.executable, LINT / "layers.py", self.root)

    def refused(self, status, what):
        code, said = self.layers()
        self.assertEqual(code, status, said)
        self.assertIn(what, said)


class LayersTest(Tree):
    def test_good_tree_passes(self):
        code, said = self.layers()
        self.assertEqual(code, 0, said)
        self.assertIn("5 files", said)

    def test_upward_include_fails(self):
        self.write("gateway/wire/addr.h", SPDX + '\n#include "gateway/link/udp.h"\n')
        self.refused(1, 'gateway/wire/addr.h:3: gateway/wire may not include gateway/link ("gateway/link/udp.h")')

    def test_sideways_and_indented_include_fails(self):
        self.write("gateway/base/err.h", SPDX + '#  include "gateway/wire/addr.h"\n')
        self.refused(1, "gateway/base may not include gateway/wire")

    def test_generated_header_counts_for_its_folder(self):
        self.write("gateway/link/x.proto", "")
        self.write("gateway/wire/addr.h", SPDX + '#include "gateway/link/x.pb.h"\n')
        self.refused(1, "gateway/wire may not include gateway/link")

    def test_unknown_folder_fails(self):
        self.write("frontends/ftp/ftp.c", SPDX)
        self.refused(1, "the folder frontends/ftp has no line")

    def test_include_not_from_the_root_fails(self):
        self.write("gateway/base/map.c", SPDX + '#include "err.h"\n')
        self.refused(1, '"err.h" is not spelled from the root')

    def test_system_header_in_sans_io_file_fails(self):
        for header in ("time.h", "sys/socket.h", "unistd.h", "pthread.h"):
            self.write("gateway/wire/addr.h", SPDX + f"#include <{header}>\n")
            self.refused(1, f"<{header}> in a sans-IO file")

    def test_exception_holds_for_its_file_only(self):
        self.write("gateway/base/map.c", SPDX + "#include <time.h>\n")
        self.refused(1, "gateway/base/map.c:2: <time.h>")

    def test_reserved_header_fails_elsewhere(self):
        self.write("gateway/wire/addr.h", SPDX + "#include <event2/buffer.h>\n")
        self.refused(1, "only gateway/link may include <event2/buffer.h>")

    def test_cycle_fails(self):
        self.write("gateway/LAYERS", LAYERS.replace("gateway/base:", "gateway/base: gateway/link"))
        self.refused(2, "cycle: ")

    def test_unknown_name_in_layers_fails(self):
        self.write("gateway/LAYERS", LAYERS.replace("gateway/link:", "gateway/link: gateway/misspelt"))
        self.refused(2, "gateway/misspelt")


class DecodersTest(Tree):
    TABLE = "| what | files | target |\n|---|---|---|\n| addresses | `gateway/wire/addr.c` | `addr` |\n"

    def setUp(self):
        super().setUp()
        self.write("gateway/wire/addr.c", SPDX + "void f(void)\n{\n    sscanf(text);\n}\n")
        self.write("tests/fuzz/addr.cmake", "peergate_fuzz(NAME addr SOURCES fuzz_addr.c DEPS gw_wire)\n")
        self.write("tests/fuzz/corpus/addr/one", "1.2.3.4")
        self.write("tests/fuzz/README.md", self.TABLE)

    def refused(self, status, what):
        code, said = self.lint(sys.executable, LINT / "decoders.py", self.root)
        self.assertEqual(code, status, said)
        self.assertIn(what, said)

    def test_good_table_passes(self):
        self.refused(0, "1 files read from outside, 1 fuzz targets")

    def test_reader_without_a_row_fails(self):
        self.write("gateway/link/udp.c", SPDX + "void f(void)\n{\n    recvmmsg(fd);\n}\n")
        self.refused(1, "gateway/link/udp.c: reads bytes from outside")

    def test_what_only_looks_like_reading_passes(self):
        self.write("gateway/link/udp.c", SPDX + "/* read() is not called */\nvoid f(void)\n{\n    clock->read(clock);\n    gw_read(x);\n}\n")
        self.refused(0, "1 files")

    def test_target_that_is_not_there_fails(self):
        self.write("tests/fuzz/README.md", self.TABLE.replace("`addr` |", "`addr` `gone` |"))
        self.refused(1, "there is no target gone")

    def test_target_without_a_row_or_an_input_fails(self):
        self.write("tests/fuzz/stun.cmake", "peergate_fuzz(NAME stun SOURCES fuzz_stun.c DEPS gw_wire)\n")
        self.refused(1, "tests/fuzz/stun: a target that tests/fuzz/README.md does not name")
        self.refused(1, "tests/fuzz/corpus/stun: not one input")

    def test_file_that_is_not_there_and_none_without_a_reason_fail(self):
        self.write("tests/fuzz/README.md", self.TABLE + "| more | `gateway/wire/gone.c` | none: |\n")
        self.refused(1, "there is no gateway/wire/gone.c")
        self.refused(1, "more: none, but why?")


class ScriptsTest(Tree):
    def test_header_that_needs_another_fails(self):
        self.assertEqual(self.lint("bash", LINT / "headers.sh", "cc")[0], 0)
        self.write("gateway/wire/bad.h", SPDX + "static inline uint32_t one(void)\n{\n    return 1;\n}\n")
        code, said = self.lint("bash", LINT / "headers.sh", "cc")
        self.assertEqual(code, 1, said)
        self.assertIn("gateway/wire/bad.h does not compile alone", said)

    def test_header_without_guard_fails(self):
        self.write("gateway/wire/bad.h", SPDX + "struct bad {\n    int x;\n};\n")
        self.assertEqual(self.lint("bash", LINT / "headers.sh", "cc")[0], 1)

    def test_missing_licence_line_fails(self):
        self.assertEqual(self.lint("bash", LINT / "files.sh")[0], 0)
        self.write("gateway/wire/bad.h", "int x;\n")
        code, said = self.lint("bash", LINT / "files.sh")
        self.assertEqual(code, 1, said)
        self.assertIn("gateway/wire/bad.h: no SPDX line", said)

    def test_path_of_a_machine_fails(self):
        self.write("README.md", f"see {self.root}/gateway\n")
        code, said = self.lint("bash", LINT / "files.sh")
        self.assertEqual(code, 1, said)
        self.assertIn("README.md: a path of somebody's machine", said)

    def test_script_that_does_not_parse_fails(self):
        self.write("bad.sh", "# SPDX-License-Identifier: MIT\nif true\n")
        self.assertEqual(self.lint("bash", LINT / "files.sh")[0], 1)

    def test_unformatted_file_fails(self):
        self.write(".clang-format", (LINT.parent.parent / ".clang-format").read_text(encoding="utf-8"))
        self.assertEqual(self.lint("bash", LINT / "format.sh")[0], 0)
        self.write("gateway/wire/bad.c", SPDX + "int  x ;\n")
        self.assertEqual(self.lint("bash", LINT / "format.sh")[0], 1)
        self.assertEqual(self.lint("bash", LINT / "format.sh", "--fix")[0], 0)
        self.assertEqual(self.lint("bash", LINT / "format.sh")[0], 0)


if __name__ == "__main__":
    unittest.main()
