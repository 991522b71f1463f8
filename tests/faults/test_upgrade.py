"""From the version before to this one while pushes go on: both serve side by side, migrations run under them.

`upgrade_from.txt` names the commit that is upgraded from, which git must have: a shallow clone will not do.
"""

import io
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.faults.conftest import KINDS
from tests.faults.installation import ROOT, Installation, wait_until
from tests.faults.load import Pushers, judge
from tests.receiver import answer

pytestmark = pytest.mark.slow

UNKNOWN_TASK = re.compile(r"Failed .deliveries\.tasks\.\w+. .* is not defined : Traceback")
NAMED = Path(__file__).with_name("upgrade_from.txt")


@pytest.fixture(scope="session")
def version_before(workshop):
    """The folder with the code of the version before."""
    commit = NAMED.read_text().strip()
    done = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.fail(
            f"The code of {commit} (tests/faults/upgrade_from.txt), from which is upgraded, cannot be had: "
            f"{done.stderr.decode().strip()}. This test needs the whole history: git fetch --unshallow --tags"
        )
    folder = workshop / "version-before"
    folder.mkdir()
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    # As docs/operations/upgrading.md has it: each version with the libraries that it was made for.
    python = folder / ".venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", folder / ".venv"], check=True)
    locked = ("--quiet", "--disable-pip-version-check", "--require-hashes", "-r", folder / "requirements.lock")
    subprocess.run([python, "-m", "pip", "install", *locked], check=True)
    return folder


@pytest.fixture(params=KINDS)
def site(request, tmp_path, version_before):
    """An installation of the version before."""
    if request.param == "sqlite":
        made = Installation("sqlite", f"sqlite:///{tmp_path / 'hookdesk.sqlite3'}", tmp_path)
    else:
        server = request.getfixturevalue("postgresql")
        server.execute("DROP DATABASE IF EXISTS upgraded WITH (FORCE)")
        server.execute("CREATE DATABASE upgraded")
        broker = request.getfixturevalue("redis").url
        made = Installation("postgresql", f"{server.url}/upgraded", tmp_path, broker)
    made.run("manage.py", "migrate", "--verbosity", "0", root=version_before)
    made.make_store(version_before)
    yield made
    made.close()


def test_an_upgrade_under_load_loses_nothing_and_answers_no_500(site, version_before, receiver, ledger):
    receiver.script(answer(200, delay=0.02))
    old = site.start_host("old", root=version_before)
    old.subscribe(receiver.url("/plain"), ["load.made"], name="plain")
    old.subscribe(receiver.url("/ordered"), ["thing.*"], name="ordered", ordered=True)
    site.wait_for_engines(host="old")
    serving = [old]
    with Pushers(lambda: serving, threads=3) as pushers, Objects(lambda: serving) as objects:
        pushers.wait_for(60)
        site.run("manage.py", "migrate", "--verbosity", "0")
        pushers.wait_for(60)  # by the version before, on the new tables
        new = site.start_host("new")
        site.wait_for_engines(host="new", timeout=90)
        serving.append(new)
        pushers.wait_for(120)  # by both
        serving.remove(old)
        assert old.terminate() < 20
        pushers.wait_for(60)
    site.wait_until_drained(timeout=120)
    verdict = judge(site, ledger, pushers.accepted.values())
    assert not pushers.strange
    assert not objects.strange
    assert set(pushers.refused) <= {503, 0}
    assert verdict.duplicates <= verdict.unknown + verdict.late
    assert "Traceback" not in new.log(), new.log()[-3000:]
    # A task that only the new version has fails in a worker of the old one, and the new one queues it again.
    assert old.log().count("Traceback") == len(UNKNOWN_TASK.findall(old.log())), old.log()[-3000:]
    assert wait_until(lambda: new.request("GET", "/readyz")[0] == 200, timeout=30, what="ready")
    print(f"{site.name}: {verdict}, {objects.count} objects, not answered with 202: {dict(pushers.refused)}")


class Objects(Pushers):
    """The same with objects, which make and change records."""

    def __init__(self, hosts):
        super().__init__(hosts, threads=1, pause=0.05)
        self.count = 0

    def _push_one(self, number, document, key):
        hosts = self.hosts()
        body = {"things": [{"id": str(number % 7), "n": number}, {"id": str(number % 5), "m": number}]}
        try:
            status, said = hosts[number % len(hosts)].request("POST", "/api/v1/push", body, key=key)
        except OSError:  # the host was stopped at this moment
            return
        if status == 202:
            self.count += 1
        elif status != 503:
            self.strange.append(f"{status}: {said}")
