// The box is not only safe but usable: ordinary programs do their ordinary work in their profile.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "boxes.h"

namespace interlock::sandbox::test {
namespace {

class Usable : public ::testing::TestWithParam<Ground> {
 protected:
  void SetUp() override {
    boxes_ = std::make_unique<Boxes>(GetParam(), 1);
    if (!boxes_->why_not().empty()) GTEST_SKIP() << GetParam().name << ": " << boxes_->why_not();
  }
  BoxResult Run(Profile profile, std::vector<std::string> argv) {
    BoxSpec spec = boxes_->HostileWithWork({});
    spec.profile = profile;
    spec.argv = std::move(argv);
    spec.work_dir = boxes_->folder().work();
    spec.stdin_bytes = R"({"n": 20})";
    spec.limits.memory_bytes = 1ll << 30;
    return boxes_->Run(spec);
  }
  std::unique_ptr<Boxes> boxes_;
};

TEST_P(Usable, BashArraysSubstitutionAndHereStrings) {
  if (::access("/bin/bash", X_OK) != 0) GTEST_SKIP() << "no bash";
  const BoxResult result = Run(Profile::kShell, {"/bin/bash", "-c", R"(
    set -euo pipefail
    words=(b a c); sorted=$(printf '%s\n' "${words[@]}" | sort | paste -sd,)
    diff <(echo 1) <(echo 1) && echo same
    read -r first _ <<< "x y"; coproc { cat; }; echo through >&"${COPROC[1]}"
    read -r line <&"${COPROC[0]}"; echo "$sorted $first $line")"});
  EXPECT_EQ(result.stdout_bytes, "same\na,b,c x through\n") << Describe(result);
}

// In `shell` what a program wrote may be executed, elsewhere not. Without namespaces that is so for
// exec; the loader, which reads a program as data, is not stopped.
TEST_P(Usable, WhatIsWrittenIsExecutedInShellOnly) {
  const std::string program = boxes_->folder().work() + "/echo";
  std::filesystem::copy_file("/bin/echo", program);
  const char* const loader = "/lib64/ld-linux-x86-64.so.2";
  for (const Profile profile : {Profile::kStatic, Profile::kPython, Profile::kNode}) {
    const BoxResult direct = Run(profile, {program, "ran"});
    EXPECT_EQ(direct.kind, EndKind::kNotRun) << Describe(direct);
    EXPECT_EQ(direct.detail, "exec " + program +
                                 ": Permission denied; the box's user must be able to read and "
                                 "execute it");
    const BoxResult loaded = Run(profile, {loader, program, "ran"});
    EXPECT_EQ(loaded.stdout_bytes, boxes_->namespaces() ? "" : "ran\n") << Describe(loaded);
  }
  EXPECT_EQ(Run(Profile::kShell, {program, "ran"}).stdout_bytes, "ran\n");
}

TEST_P(Usable, ShellPipesScriptsAndTemporaryFiles) {
  // Without namespaces no mode can be changed: a script is given to its interpreter.
  const std::string run = boxes_->namespaces() ? "run='' mode='chmod 755'\n" : "run=sh mode=true\n";
  const BoxResult result = Run(Profile::kShell, {"/bin/sh", "-c", run + R"(
    set -e
    file=$(mktemp); sort -r > "$file" <<EOF
a
b
EOF
    printf '#!/bin/sh\necho ran $1\n' > ./script; $mode ./script; $run ./script $(head -1 "$file" | tr b x)
    (sleep 0.01; echo background) & wait
    cat)"});
  EXPECT_EQ(result.stdout_bytes, "ran x\nbackground\n{\"n\": 20}") << Describe(result);
}

// What docs/sandbox.md tells authors about modes, owners and times.
TEST_P(Usable, ChangesOfModesAndTimesTakeNamespaces) {
  const BoxResult result = Run(Profile::kShell, {"/bin/sh", "-c", R"(
    echo x > a
    for what in 'cp a b' 'chmod 600 a' 'touch a' 'cp -p a c' 'tar -cf t a' 'tar -xf t' \
        'tar -xmf t --no-same-permissions'; do
      $what 2> why; echo "$what: $?"
    done)"});
  EXPECT_EQ(result.stdout_bytes,
            boxes_->namespaces()
                ? "cp a b: 0\nchmod 600 a: 0\ntouch a: 0\ncp -p a c: 0\ntar -cf t a: 0\n"
                  "tar -xf t: 0\ntar -xmf t --no-same-permissions: 0\n"
                : "cp a b: 0\nchmod 600 a: 1\ntouch a: 1\ncp -p a c: 1\ntar -cf t a: 0\n"
                  "tar -xf t: 2\ntar -xmf t --no-same-permissions: 0\n")
      << Describe(result);
}

TEST_P(Usable, PythonCopiesContentAnywhereAndModesWithNamespaces) {
  if (::access("/usr/bin/python3", X_OK) != 0) GTEST_SKIP() << "no python3";
  const BoxResult result = Run(Profile::kPython, {"/usr/bin/python3", "-c", R"py(
import shutil
open("a", "w").write("x")
print(shutil.copyfile("a", "b"))
for copy in shutil.copy, shutil.copy2:
    try:
        print(copy("a", "c"))
    except PermissionError:
        print("EPERM")
)py"});
  EXPECT_EQ(result.stdout_bytes, boxes_->namespaces() ? "b\nc\nc\n" : "b\nEPERM\nEPERM\n")
      << Describe(result);
}

TEST_P(Usable, PythonThreadsProcessesAndSqlite) {
  if (::access("/usr/bin/python3", X_OK) != 0) GTEST_SKIP() << "no python3";
  const BoxResult result = Run(Profile::kPython, {"/usr/bin/python3", "-c", R"py(
import json, sqlite3, subprocess, sys, tempfile, threading, asyncio, concurrent.futures
n = json.load(sys.stdin)["n"]
db = sqlite3.connect("shop.db")
db.execute("PRAGMA journal_mode=WAL")
db.execute("CREATE TABLE t(x)")
db.executemany("INSERT INTO t VALUES (?)", [(i,) for i in range(n)])
db.commit()
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    total = sum(pool.map(lambda x: x * x, range(n)))
with tempfile.NamedTemporaryFile() as f:
    f.write(b"x"); f.flush()
out = subprocess.run(["/bin/echo", "sub"], capture_output=True, text=True).stdout.strip()
asyncio.run(asyncio.sleep(0.001))
print(json.dumps([total, db.execute("SELECT count(*) FROM t").fetchone()[0], out]))
)py"});
  EXPECT_EQ(result.stdout_bytes, "[2470, 20, \"sub\"]\n") << Describe(result);
  struct stat database {};
  struct stat folder {};
  ASSERT_EQ(::stat((boxes_->folder().work() + "/shop.db").c_str(), &database), 0);
  ASSERT_EQ(::stat(boxes_->folder().work().c_str(), &folder), 0);
  EXPECT_EQ(database.st_uid, folder.st_uid);
}

// Pools and queues need named semaphores, which lie in /dev/shm.
TEST_P(Usable, PythonMultiprocessing) {
  if (::access("/usr/bin/python3", X_OK) != 0) GTEST_SKIP() << "no python3";
  const BoxResult result = Run(Profile::kPython, {"/usr/bin/python3", "-c", R"py(
import multiprocessing
def send(end):
    end.send("from a child")
if __name__ == "__main__":
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.Process(target=send, args=(theirs,))
    child.start(); print(ours.recv()); child.join()
    try:
        with multiprocessing.Pool(2) as pool:
            print(pool.map(abs, [-1, -2]))
    except PermissionError:
        print("no semaphores")
)py"});
  EXPECT_EQ(result.stdout_bytes,
            std::string("from a child\n") + (boxes_->namespaces() ? "[1, 2]\n" : "no semaphores\n"))
      << Describe(result);
}

TEST_P(Usable, NodeTimersWorkersAndFiles) {
  const char* node = "/usr/bin/node";
  if (::access(node, X_OK) != 0) GTEST_SKIP() << "no node";
  const BoxResult result = Run(Profile::kNode, {node, "-e", R"js(
const fs = require('fs'), os = require('os');
const {execFileSync} = require('child_process');
const {Worker} = require('worker_threads');
fs.writeFileSync(os.tmpdir() + '/x', 'y');
const code = "require('worker_threads').parentPort.postMessage('worker')";
new Worker(code, {eval: true}).once('message', (word) => setTimeout(() => {
  console.log(JSON.parse(fs.readFileSync(0)).n, execFileSync('/bin/echo', ['sub']).toString().trim(), word);
}, 5));
)js"});
  EXPECT_EQ(result.stdout_bytes, "20 sub worker\n") << Describe(result);
}

TEST_P(Usable, StaticThreadsChildrenAndFiles) {
  const std::string program = boxes_->folder().Path("plain");
  std::filesystem::copy_file(INTERLOCK_PLAIN, program);
  BoxSpec spec = boxes_->HostileWithWork({});
  spec.mounts.push_back({program, program, Access::kReadOnly});
  spec.profile = Profile::kStatic;
  spec.argv = {program};
  if (!boxes_->namespaces()) spec.argv.emplace_back("no-modes");
  spec.work_dir = boxes_->folder().work();
  spec.stdin_bytes = "20";
  const BoxResult result = boxes_->Run(spec);
  EXPECT_EQ(result.stdout_bytes, "sum 2470\nchild says sub\nfile 20\n") << Describe(result);
  EXPECT_EQ(result.kind, EndKind::kExit);
  EXPECT_EQ(result.value, 0) << result.stderr_bytes;
}

INSTANTIATE_TEST_SUITE_P(Grounds, Usable, ::testing::ValuesIn(kGrounds),
                         [](const auto& item) { return std::string(item.param.name); });

}  // namespace
}  // namespace interlock::sandbox::test
