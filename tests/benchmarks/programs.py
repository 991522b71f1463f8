"""The two C programs, compiled when they are needed: the receiver and the load generator."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build" / "benchmarks"


class CompilerMissing(RuntimeError):
    """There is no C compiler on this machine."""


def find_compiler() -> str:
    """Raises CompilerMissing with what to do about it."""
    for name in ("cc", "gcc", "clang"):
        if found := shutil.which(name):
            return found
    raise CompilerMissing(
        "The benchmarks need a C compiler for their receiver and load generator, and none of cc, gcc, clang is on the "
        "PATH. Install one (Debian, Ubuntu: apt install gcc libc6-dev; Fedora: dnf install gcc) and run this again."
    )


def build_program(name: str) -> Path:
    """The path of the program made from `<name>.c`, compiled anew only when the source is newer."""
    source, target = HERE / f"{name}.c", BUILD / name
    if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
        return target
    compiler = find_compiler()
    BUILD.mkdir(parents=True, exist_ok=True)
    fresh = BUILD / f"{name}.new"
    command = [compiler, "-O2", "-Wall", "-Wextra", "-o", str(fresh), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{source.name} does not compile: {done.stderr.strip()[:2000]}")
    fresh.replace(target)
    return target


def fast_folder() -> Path:
    """A folder in memory where the system has one: the ledger must not wait for a disk."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="hookdesk-bench-", dir=memory if memory.is_dir() else None))
