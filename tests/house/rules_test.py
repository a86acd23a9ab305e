#!/usr/bin/env python3
"""Plants a violation of each house rule, and beside it the harmless twin that must pass."""

import unittest

import rules

# (rule, path, text that must be found, text that must not)
PLANTED = [
    ("layers", "audit/src/a.cc", '#include "policies/bundle.h"', '#include "core/json.h"'),
    ("layers", "audit/src/a.cc", "#include <grpcpp/grpcpp.h>", "#include <sqlite3.h>"),
    ("layers", "audit/src/a.cc", '#include "../../runtime/src/x.h"', '#include "audit/log.h"'),
    ("layers", "policies/src/a.cc", "#include <sqlite3.h>", "#include <lua.hpp>"),
    ("layers", "sandbox/src/a.cc", '#include "tools/tool.h"', "#include <seccomp.h>"),
    ("layers", "tools/src/a.cc", '#include "audit/log.h"', '#include "sandbox/launcher.h"'),
    ("layers", "tools/src/a.cc", "#include <google/protobuf/message.h>", "#include <curl/curl.h>"),
    ("layers", "proto/core/src/a.cc", '#include "audit/log.h"', '// #include "audit/log.h"'),
    ("layers", "runtime/src/a.cc", "#include <seccomp.h>", "#include <grpcpp/grpcpp.h>"),
    ("layers", "examples/refund/a.cc", '#include "core/json.h"', "#include <nlohmann/json.hpp>"),
    ("layers", "audit/CMakeLists.txt", "PUBLIC interlock_policies", "PUBLIC interlock_core"),
    ("calls", "tools/src/a.cc", 'system("rm");', "ecosystem(1); file_system (2);"),
    ("calls", "tools/src/a.cc", 'std::system("rm");', 'Say("system(rm)");'),
    ("calls", "tools/src/a.cc", 'popen("ls", "r");', "// popen(x)"),
    ("calls", "runtime/src/a.cc", "std::thread(f).detach();", "thread.join();"),
    ("calls", "runtime/src/a.cc", "auto f = std::async(g);", "asio::async_write(s);"),
    ("calls", "core/a.cc".replace("core/", "proto/core/src/"), "throw 1;", "// we throw nothing"),
    ("calls", "policies/src/a.cc", "int x = rand();", "int operand(int); int y = operand(1);"),
    ("calls", "runtime/src/a.cc", "if (fork() == 0) {}", "gate.fork_count();"),
    ("permit", "runtime/src/engine/driver.cc", "core::PermitMint mint;", "core::Permit permit;"),
    ("permit", "tools/src/a.cc", "PermitMint mint;", "// PermitMint makes these"),
    ("sql", "audit/src/a.cc", '"UPDATE entries SET bytes = ?"', '"UPDATE p_runs SET state = ?"'),
    ("sql", "audit/src/a.cc", '"DELETE FROM tree WHERE level = 1"', '"DELETE FROM payloads WHERE k = ?"'),
    ("sql", "audit/src/a.cc", '"INSERT OR REPLACE INTO checkpoints VALUES(1)"', '"INSERT INTO entries VALUES(1)"'),
    ("sql", "runtime/src/a.cc", '"REPLACE INTO entries VALUES(1)"', '"REPLACE INTO p_calls VALUES(1)"'),
    ("sql", "audit/src/writer.cc", '"UPDATE data_key SET a = 1"', '"SELECT 1 FROM data_key"'),
    ("sql", "audit/src/a.cc", '"DROP TABLE entries"', '"CREATE TRIGGER x BEFORE UPDATE ON entries"'),
    ("money", "runtime/src/a.cc", "double amount = 1;", "double seconds = 1;  // amount"),
    ("money", "policies/src/a.cc", "void Hold(float budget_left);", "std::int64_t budget_left;"),
    ("money", "examples/refund/a.cc", '"price REAL NOT NULL"', '"price_minor INTEGER NOT NULL"'),
    ("network", "tools/src/a.cc", 'Get("https://api.openai.com/v1");', 'Get("http://127.0.0.1:9/v1");'),
    ("network", "examples/a.yaml", "base_url: http://10.0.0.1/", "base_url: https://shop.example/"),
    ("network", "runtime/src/a.cc", 'Listen("0.0.0.0:80");', 'Listen("127.0.0.1:80");'),
    ("paths", "examples/a.py", 'open("/home/maria/x")', 'open("/home")'),
    ("paths", "docs/a.md", "see " + "/work" + "/shared/data", "mounted at /work in the box"),
    ("paths", "tests/a.py", 'DATA = "../shared/data"', 'DATA = os.environ["INTERLOCK_DATA"]'),
    ("generated", "proto/interlock/v1/run.pb.h", "", None),
    ("generated", "examples/refund/run_pb2.py", "", None),
    ("headers", "audit/include/audit/a.h", "int x();", "#pragma once\nint x();"),
    ("headers", "audit/include/audit/a.h", "#pragma once\nusing namespace std;", "#pragma once\nusing std::string;"),
    ("links", "docs/a.md", "see [b](gone.md#x)", "see [a](a.md), [x](https://c2sp.org), [up](../docs)"),
    ("notes", "audit/src/a.cc", "// TODO: later", "// TODO(perf): one pass would do"),
    ("notes", "audit/src/a.cc", "// FIXME", "// fixed"),
    ("tests", "tests/audit/a_test.cc", "TEST(A, DISABLED_B) { EXPECT_TRUE(f()); }", "TEST(A, B) { EXPECT_TRUE(f()); }"),
    ("tests", "tests/audit/a_test.cc", "TEST(A, B) { f(); }", "TEST(A, B) { ASSERT_TRUE(f()); }"),
]


class PlantedViolations(unittest.TestCase):
    def test_each_is_found_and_its_twin_is_not(self):
        for rule, path, bad, twin in PLANTED:
            with self.subTest(rule=rule, bad=bad):
                found = {finding.rule for finding in rules.check([rules.File(path, bad)])}
                self.assertIn(rule, found)
            if twin is not None:
                with self.subTest(rule=rule, twin=twin):
                    self.assertEqual([], rules.check([rules.File(path, twin)]))

    def test_every_rule_has_a_plant(self):
        self.assertEqual({rule.__name__ for rule in (*rules.RULES, rules.links)}, {plant[0] for plant in PLANTED})

    def test_the_same_text_is_allowed_where_it_belongs(self):
        for path, text in [
            ("runtime/src/engine/gate.cc", "core::PermitMint& mint_;"),
            ("runtime/src/interlockd.cc", "core::PermitMint mint;"),
            ("audit/src/keys.cc", '"UPDATE data_key SET wrapped = NULL"'),
            ("runtime/src/cli/io.cc", "#include <absl/strings/cord.h>"),
            ("sandbox/src/launcher.cc", "if (fork() == 0) {}"),
            ("runtime/src/server/a.cc", "#include <grpcpp/grpcpp.h>"),
            ("tests/audit/a.cc", '#include "runtime/engine.h"'),
        ]:
            with self.subTest(path=path):
                self.assertEqual([], rules.check([rules.File(path, text)]))

    def test_findings_name_the_line(self):
        text = "/* one\ntwo */\n" + 'auto s = R"(a\nb)";\nthrow 1;\n'
        (finding,) = rules.check([rules.File("audit/src/a.cc", text)])
        self.assertEqual((finding.rule, finding.line), ("calls", 5))


if __name__ == "__main__":
    unittest.main()
