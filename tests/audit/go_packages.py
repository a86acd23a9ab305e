"""Programs made of Go's sumdb packages (Debian's golang-go and golang-golang-x-mod-dev), which know nothing of ours."""
import os
import pathlib
import shutil
import subprocess

PACKAGES = "/usr/share/gocode"
HERE = pathlib.Path(__file__).resolve().parent


def missing():
    """What must be installed first; empty: nothing."""
    there = shutil.which("go") and os.path.isdir(PACKAGES + "/src/golang.org/x/mod/sumdb/tlog")
    return "" if there else "golang-go and golang-golang-x-mod-dev"


def build(name, folder):
    """The path of the program that tests/audit/NAME/main.go becomes, in `folder`."""
    env = dict(os.environ, GO111MODULE="off", GOPATH=PACKAGES, GOFLAGS="", GOCACHE=os.path.join(folder, "go"))
    program = os.path.join(folder, name)
    subprocess.run(["go", "build", "-o", program, HERE / name / "main.go"], env=env, check=True, cwd=folder)
    return program
