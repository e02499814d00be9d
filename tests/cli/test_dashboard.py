"""The dashboard as a process of its own, asked over loopback as a browser would, and as others would."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tune_mixup.analysis import dashboard
from tune_mixup.record.read_only import read_only_storage

TRIALS = [("COMPLETE", [0.5, 0.625]), ("PRUNED", [0.875]), ("FAIL", [0.25]), ("RUNNING", [0.125])]
START = "import sys; sys.argv[0] = 'tune-mixup'; from tune_mixup.cli import main; main()"


class Served:
    """`tune-mixup dashboard` at work."""

    def __init__(self, folder, *words):
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {START}",
             "dashboard", "gm", "--json", *words],
            cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.said = json.loads(line)
        self.port = int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)/", self.said["url"])[1])

    def ask(self, method, path, *, host=None, body=None):
        """Status, headers and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Host": f"127.0.0.1:{self.port}" if host is None else host.format(port=self.port)}
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), content

    def end(self, number):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def installed():
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")


def study_of(served):
    status, _, content = served.ask("GET", "/api/studies")
    assert status == 200
    (study,) = json.loads(content)["study_summaries"]
    return study["study_id"]


def test_it_shows_the_sweep(tmp_path, start_sweep, installed):
    start_sweep("gm", trials=TRIALS)
    with Served(tmp_path) as served:
        assert served.said["name"] == "gm"
        status, headers, page = served.ask("GET", "/dashboard")
        assert status == 200 and headers["Content-Type"].startswith("text/html")
        scripts = re.findall(rb'src="(/static/[^"]+)"', page)
        assert scripts and all(served.ask("GET", script.decode())[0] == 200 for script in scripts)
        assert served.ask("GET", "/")[0] == 302 and served.ask("HEAD", "/dashboard")[::2] == (200, b"")
        study = study_of(served)
        trials = json.loads(served.ask("GET", f"/api/studies/{study}")[2])["trials"]
        assert [trial["state"] for trial in trials] == ["Complete", "Pruned", "Fail", "Running"]
        assert [len(trial["intermediate_values"]) for trial in trials] == [2, 1, 1, 1]


@pytest.mark.slow
def test_it_follows_a_sweep_that_runs(tmp_path, start_sweep, installed):
    record = start_sweep("gm", trials=TRIALS)
    with Served(tmp_path) as served:
        study = study_of(served)

        def values():
            found = json.loads(served.ask("GET", f"/api/studies/{study}")[2])["trials"][3]["intermediate_values"]
            return [value["value"] for value in found]

        assert values() == [0.125]
        record.study.report(3, 2, 0.75)
        deadline = time.monotonic() + 60
        while values() != [0.125, 0.75]:  # the pages are renewed every ten seconds
            assert time.monotonic() < deadline
            time.sleep(1)


def test_nothing_can_be_changed(tmp_path, start_sweep, installed):
    record = start_sweep("gm", trials=TRIALS)
    before = {path: path.read_bytes() for path in record.path.rglob("*") if path.is_file()}
    with Served(tmp_path) as served:
        study = study_of(served)
        body = json.dumps({"study_name": "x", "directions": ["maximize"], "user_attrs": {"a": 1}, "state": "fail"})
        asked = [
            ("DELETE", f"/api/studies/{study}"), ("POST", "/api/studies"), ("POST", f"/api/studies/{study}/rename"),
            ("PUT", f"/api/studies/{study}/note"), ("POST", "/api/trials/3/tell"), ("PATCH", "/"), ("OPTIONS", "/"),
            ("POST", "/api/trials/0/user-attrs"), ("TRACE", "/"), ("delete", f"/api/studies/{study}"), ("X", "/"),
        ]  # fmt: skip
        for method, path in asked:
            status, headers, _ = served.ask(method, path, body=body)
            assert (status, headers.get("Allow")) == (405, "GET, HEAD"), (method, path)
        assert study_of(served) == study
    assert {path: path.read_bytes() for path in record.path.rglob("*") if path.is_file()} == before


def test_the_storage_itself_refuses_to_be_written(start_sweep):
    record = start_sweep("gm", trials=TRIALS)
    before = record.folder.journal.read_bytes()
    storage = read_only_storage(record.folder.journal)
    (study,) = storage.get_all_studies()
    for write in (
        lambda: storage.delete_study(study._study_id),
        lambda: storage.create_new_trial(study._study_id),
        lambda: storage.set_study_user_attr(study._study_id, "a", 1),
    ):
        with pytest.raises(PermissionError, match="read only"):
            write()
    assert record.folder.journal.read_bytes() == before and len(record.study.asked()) == 4


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "localhost.x:{port}"]
)
def test_what_was_sent_to_another_name_is_refused(tmp_path, start_sweep, installed, host):
    start_sweep("gm", trials=TRIALS)
    with Served(tmp_path) as served:
        status, _, content = served.ask("GET", "/api/studies", host=host)
        assert status == 403 and b"gm" not in content
        assert served.ask("GET", "/api/studies", host="LocalHost:{port}")[0] == 200


def test_it_listens_on_loopback_only_at_a_port_of_its_own(tmp_path, start_sweep, installed, command):
    start_sweep("gm", trials=TRIALS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Served(tmp_path, "--port", str(port)) as first, Served(tmp_path) as second:
        assert first.port == port != second.port
        table = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()]
        listens = [row[1] for row in table if row[3] == "0A" and row[1].endswith(f":{port:04X}")]
        assert listens == [f"0100007F:{port:04X}"]
        said = command.refused("dashboard", "gm", "--port", port)
        assert f"--port: {port} can't be used (Address already in use)" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it(tmp_path, start_sweep, installed, number):
    start_sweep("gm", trials=TRIALS)
    with Served(tmp_path) as served:
        assert served.ask("GET", "/api/studies")[0] == 200
        assert served.end(number) == (0, "", "")


def test_without_optuna_dashboard_it_says_what_to_install(command, start_sweep, monkeypatch):
    start_sweep("gm", trials=TRIALS)
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    assert "pip install 'tune_mixup[dashboard]'" in command.refused("dashboard", "gm")
    assert "no sweep named 'other'" in command.refused("dashboard", "other")


def test_at_port_80_browsers_leave_the_port_out():
    def app(environment, start):
        start("200 OK", [])
        return [b"read"]

    def status(port, host):
        said = []
        dashboard.reading_only(app, port=port)(
            {"HTTP_HOST": host, "REQUEST_METHOD": "GET"}, lambda status, headers: said.append(status[:3])
        )
        return said

    assert status(80, "127.0.0.1") == status(80, "localhost:80") == ["200"] and status(8080, "localhost") == ["403"]
