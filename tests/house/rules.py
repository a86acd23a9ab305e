#!/usr/bin/env python3
"""House rules as a test: what STYLE says about folders, calls and files, checked on every file in git.

Prints one line a finding (`path:line: rule: what to do`) and exits 1 when there is one. rules_test.py plants
a violation of each rule, with a harmless twin, so that no rule can pass by looking at nothing.
"""

import pathlib
import posixpath
import re
import subprocess
import sys
from typing import Callable, Iterator, NamedTuple


class File(NamedTuple):
    path: str
    text: str

    @property
    def folder(self) -> str:
        """`core` for proto/core, otherwise the first part of the path."""
        parts = self.path.split("/")
        return "core" if parts[:2] == ["proto", "core"] else parts[0]

    @property
    def is_cpp(self) -> bool:
        return self.path.endswith((".cc", ".h"))

    @property
    def is_product(self) -> bool:
        return self.folder in PRODUCT


class Finding(NamedTuple):
    path: str
    line: int
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.what}"


PRODUCT = ("core", "audit", "policies", "sandbox", "tools", "runtime")

# STYLE section 1: an arrow means "may include and link".
ARROWS = {
    "core": {"core"},
    "audit": {"core", "audit"},
    "policies": {"core", "policies"},
    "sandbox": {"core", "sandbox"},
    "tools": {"core", "sandbox", "tools"},
    "runtime": set(PRODUCT),
}

# Third-party headers, by the folders that may see them. tests and bench may see all.
OWNERS = {
    r"grpc|grpcpp|google/protobuf|interlock/v1|google/rpc|google/api": {"runtime", "examples"},
    r"spdlog|asio(\.hpp|/)": {"runtime"},
    r"lua": {"policies"},
    r"re2/": {"policies", "tools", "runtime"},
    r"sqlite3\.h": {"audit", "tools", "runtime", "examples"},
    r"curl/": {"tools", "runtime"},
    r"seccomp\.h|linux/landlock\.h|linux/seccomp\.h": {"sandbox"},
    r"yaml-cpp/": {"tools", "runtime"},
    r"valijson/": {"tools"},
    r"sodium": {"audit"},
    r"openssl/": {"core"},
    r"absl/(?!strings/cord\.h)": {"core"},
    r"absl/strings/cord\.h": {"core", "runtime"},  # payloads of a Status
    r"nlohmann/": {"core", "examples"},
    r"httplib": {"runtime"},
}


def strip_comments(text: str, keep_strings: bool) -> str:
    """C++ without comments (and, unless kept, without what stands in quotes); line numbers stay."""
    pattern = re.compile(
        r'R"([^()\s\\]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|//[^\n]*|/\*.*?\*/',
        re.DOTALL)

    def replace(match: re.Match) -> str:
        token = match.group(0)
        if token.startswith(("//", "/*")):
            return "\n" * token.count("\n")
        if keep_strings:
            return token
        return '""' + "\n" * token.count("\n")

    return pattern.sub(replace, text)


def search(file: File, pattern: str, rule: str, what: str, text: str | None = None) -> Iterator[Finding]:
    text = file.text if text is None else text
    for match in re.finditer(pattern, text, re.MULTILINE):
        line = text.count("\n", 0, match.start()) + 1
        yield Finding(file.path, line, rule, what.format(*match.groups()))


# --- the rules ------------------------------------------------------------------------------------------

def layers(file: File) -> Iterator[Finding]:
    """Includes and links follow the arrows."""
    if file.path.endswith("CMakeLists.txt") and file.is_product:
        for name in ("core", *ARROWS):
            if name not in ARROWS[file.folder]:
                yield from search(file, rf"\binterlock_{name}\b", "layers",
                                  f"{file.folder} may not link {name} (STYLE 1)")
        return
    if not file.is_cpp:
        return
    text = strip_comments(file.text, keep_strings=True)
    yield from search(file, r'^\s*#\s*include\s+"\.\./', "layers",
                      "include by the public path, not `../`", text)
    for match in re.finditer(r'^\s*#\s*include\s+["<]([^">]+)[">]', text, re.MULTILINE):
        line = text.count("\n", 0, match.start()) + 1
        name = match.group(1)
        top = name.split("/")[0]
        if file.is_product and "/" in name and top in ARROWS and top not in ARROWS[file.folder]:
            yield Finding(file.path, line, "layers", f"{file.folder} may not include {name} (STYLE 1)")
        if file.folder == "examples" and top in ARROWS:
            yield Finding(file.path, line, "layers", f"examples use the public API only, not {name}")
        for pattern, owners in OWNERS.items():
            if re.match(pattern, name) and file.folder not in owners | {"tests"}:
                yield Finding(file.path, line, "layers",
                              f"{name} belongs to {', '.join(sorted(owners))}, not {file.folder}")


BANNED = {
    r"(?<![\w.>:])(?:std::)?system\s*\(": "no shell: run programs through the sandbox",
    r"\bpopen\s*\(": "no shell: run programs through the sandbox",
    r"\.detach\s*\(\s*\)": "no detached threads: own and join them",
    r"\bstd::async\b": "no std::async: threads are owned and named",
    r"(?<![\w.>:])(?:std::)?s?rand\s*\(": "take core::Random, so that replay owns it",
    r"\bstd::random_device\b": "take core::Random, so that replay owns it",
    r"\bthrow\b": "we throw nothing: return a Status",
    r"(?<![\w.>])(?:strcpy|strcat|sprintf|gets)\s*\(": "unbounded C string call",
}


def calls(file: File) -> Iterator[Finding]:
    """Calls that STYLE 10 bans."""
    if not (file.is_cpp and (file.is_product or file.folder == "examples")):
        return
    text = strip_comments(file.text, keep_strings=False)
    for pattern, what in BANNED.items():
        yield from search(file, pattern, "calls", what, text)
    if file.is_product and not file.path.startswith(("sandbox/", "runtime/src/cli/")):
        yield from search(file, r"(?<![\w.>])(?:::)?(?:fork|vfork|posix_spawnp?|execv[pe]*)\s*\(", "calls",
                          "only sandbox starts processes (and the command line, the daemon it tests)", text)


MINT_PLACES = re.compile(
    r"proto/core/include/core/permit\.h|runtime/include/runtime/make_engine\.h|"
    r"runtime/src/engine/gate[a-z_]*\.(cc|h)|runtime/src/interlockd\.cc|tests/")


def permit(file: File) -> Iterator[Finding]:
    """The right to run a tool is made in the gate only (DESIGN rule 6)."""
    if file.is_cpp and not MINT_PLACES.match(file.path):
        yield from search(file, r"\bPermitMint\b", "permit",
                          "only the gate and main may name the mint",
                          strip_comments(file.text, keep_strings=False))


def sql(file: File) -> Iterator[Finding]:
    """Entries are append-only: rows change in projections and payloads only (DESIGN rule 22)."""
    if not (file.is_cpp and file.folder in ("audit", "runtime")):
        return
    text = strip_comments(file.text, keep_strings=True)
    allowed = r"(?:p_|payload" + (r"|(?:data_key|unfinished_erasure)\b" if file.path.startswith("audit/src/keys") else "") + ")"
    for verb in (r"\bUPDATE\s+(?:OR\s+\w+\s+)?(?!OF\b|ON\b)", r"\bDELETE\s+FROM\s+", r"\bREPLACE\s+INTO\s+",
                 r"\bINSERT\s+OR\s+REPLACE\s+INTO\s+", r"\bDROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?"):
        yield from search(file, verb + rf"(?!{allowed}|SET\b)([a-z_]+)\b", "sql",
                          "only p_ tables and payload rows may change, not {0}", text)


MONEY = r"amount|price|money|minor|cents|budget|refund|balance|currency|fee"


def money(file: File) -> Iterator[Finding]:
    """Money is an integer of minor units (STYLE 5)."""
    if file.is_cpp and (file.is_product or file.folder == "examples"):
        text = strip_comments(file.text, keep_strings=False)
        yield from search(file, rf"^.*\b(?:float|double)\b[^;\n]*\b\w*(?:{MONEY})\w*.*$", "money",
                          "no float for money: core::Money", text)
    if file.path.endswith(".sql") or (file.is_cpp and file.folder == "examples"):
        yield from search(file, rf"\b\w*(?:{MONEY})\w*\s+(?:REAL|FLOAT|DOUBLE)\b", "money",
                          "no float for money: an INTEGER of minor units")


LOOPBACK = r"127\b|localhost|\[::1\]|[\w.-]*\bexample(?:\.com|\.org|\.net)?|[\w.-]+\.(?:test|invalid|example)|\{|%|\$"


def network(file: File) -> Iterator[Finding]:
    """Nothing in the tree reaches beyond loopback by itself."""
    if not re.search(r"\.(cc|h|py|sh|lua|ya?ml|js|ts)$", file.path) or file.path.startswith(
            ("tests/house/", "tests/tools/fetcher_test", "tests/tools/http_test", "tests/tools/ssrf_test",
             "tests/sandbox/address_guard_test")):  # addresses to be refused
        return
    text = strip_comments(file.text, keep_strings=True) if file.is_cpp else re.sub(
        r"(?m)^\s*(#|--).*$", "", file.text)
    yield from search(file, rf"https?://(?!{LOOPBACK})([\w.-]+)", "network",
                      "{0} is not loopback or a reserved example name", text)
    if not file.path.startswith(("tests/", "sandbox/")):
        yield from search(file, r"\b0\.0\.0\.0\b|\bINADDR_ANY\b|\bin6addr_any\b", "network",
                          "listen on loopback unless the operator's config says otherwise", text)


def paths(file: File) -> Iterator[Finding]:
    """No path of one machine; the outside data is found by INTERLOCK_DATA."""
    if file.path.startswith("tests/house/"):
        return
    yield from search(file, r"(?<![\w.])/(?:home/\w+/|Users/\w+/|root/\w|work/(?:main|shared)|tmp/il/)", "paths",
                      "a path of somebody's machine")
    if file.path != ".ci/run":
        yield from search(file, r"\.\./shared\b", "paths", "only .ci/run knows where the outside data lies")


def generated(file: File) -> Iterator[Finding]:
    """Generated code is made in the build tree."""
    if re.search(r"\.pb\.(h|cc)$|_pb2(_grpc)?\.py$|^build/|\.(o|a|so|db|db-wal|key)$", file.path):
        yield Finding(file.path, 1, "generated", "does not belong in git")


def headers(file: File) -> Iterator[Finding]:
    """Headers guard themselves and open no namespace for others."""
    if not file.path.endswith(".h"):
        return
    if "#pragma once" not in file.text:
        yield Finding(file.path, 1, "headers", "missing `#pragma once`")
    yield from search(file, r"^using namespace\b", "headers", "no `using namespace` in a header")


def notes(file: File) -> Iterator[Finding]:
    """A note for later says its kind."""
    if file.path.startswith("tests/house/") or not re.search(r"\.(cc|h|py|sh|lua)$|^dev$", file.path):
        return
    yield from search(file, r"\bTODO\b(?!\((?:security|perf|test|cleanup)\): )|\bFIXME\b|(?://|#) *XXX\b", "notes",
                      "write `TODO(security|perf|test|cleanup): …`")


def tests(file: File) -> Iterator[Finding]:
    """Unit tests do not sleep, are not disabled, and a suite of claims asserts something."""
    if not (file.folder == "tests" and file.path.endswith("_test.cc")):
        return
    text = strip_comments(file.text, keep_strings=False)
    yield from search(file, r"\bDISABLED_\w+", "tests", "fix it or delete it", text)
    if re.search(r"^TEST", text, re.MULTILINE) and not re.search(r"\b(?:EXPECT|ASSERT)_", text):
        yield Finding(file.path, 1, "tests", "a test that asserts nothing")


def links(file: File, known: set[str]) -> Iterator[Finding]:
    """Links inside the tree lead somewhere."""
    if not file.path.endswith(".md"):
        return
    text = re.sub(r"(?ms)^```.*?^```$", lambda block: "\n" * block.group(0).count("\n"), file.text)
    for match in re.finditer(r"\]\((?!https?://|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)", text):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(file.path), match.group(1)))
        if target not in known and not any(path.startswith(target + "/") for path in known):
            yield Finding(file.path, text.count("\n", 0, match.start()) + 1, "links", f"{match.group(1)} is not there")


RULES: tuple[Callable[[File], Iterator[Finding]], ...] = (
    layers, calls, permit, sql, money, network, paths, generated, headers, notes, tests)

LINES_MAX = 600


def check(files: list[File]) -> list[Finding]:
    known = {file.path for file in files}
    return [finding for file in files
            for found in (*(rule(file) for rule in RULES), links(file, known)) for finding in found]


def tree(root: pathlib.Path) -> list[File]:
    """Every text file that git knows, and those it would add."""
    names = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
                            "--exclude-standard"], cwd=root, check=True, capture_output=True).stdout
    files = []
    for name in sorted(set(filter(None, names.decode().split("\0")))):
        path = root / name
        if not path.is_file():
            continue
        try:
            files.append(File(name, path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            files.append(File(name, ""))
    return files


def main() -> int:
    root = pathlib.Path(__file__).resolve().parents[2]
    files = tree(root)
    sources = [file for file in files if file.is_cpp and file.is_product]
    if len(sources) < 20:
        print(f"only {len(sources)} sources found under {root}: the check would pass by looking at nothing")
        return 2
    findings = check(files)
    for finding in findings:
        print(finding)
    for file in files:
        lines = file.text.count("\n")
        if file.is_cpp and lines > LINES_MAX:
            print(f"warning: {file.path}: {lines} lines; would two files be clearer?")
    print(f"{len(files)} files, {len(RULES) + 1} rules, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
