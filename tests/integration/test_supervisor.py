"""The process manager with real processes: supervisord and two tiny HTTP servers."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from damageloop.adapters import process_records
from damageloop.adapters.supervisor import Supervisor
from damageloop.adapters.supervisor_config import ProgramSpec, RunFolder
from damageloop.errors import ConflictError, InvalidInputError, UnavailableError
from tests.ports import free_port

pytestmark = pytest.mark.timeout(180)

SERVER = """
    import http.server, os, subprocess, sys

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(os.environ.get("SECRET", "").encode())

    # A child of its own, in a session of its own, as a training has.
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    print("child", child.pid, flush=True)
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Platform:
    """A home with two programs, `alpha` and `beta`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.lines: list[str] = []
        (home / "server.py").write_text(textwrap.dedent(SERVER))
        self.specs = [self.spec("alpha"), self.spec("beta")]

    def spec(self, name: str, port: int | None = None) -> ProgramSpec:
        port = port or free_port()
        return ProgramSpec(
            name=name,
            argv=(sys.executable, str(self.home / "server.py"), str(port)),
            environment={"SECRET": f"100% of '{name}' \" ; #"},
            cwd=self.home,
            log_file=self.home / "logs" / f"{name}.log",
            port=port,
            port_setting=f"TEST_{name.upper()}_PORT",
            address=f"http://localhost:{port}",
            health_url=f"http://localhost:{port}/",
            ready_seconds=60.0,
            stop_seconds=10,
        )

    def supervisor(self) -> Supervisor:
        return Supervisor(self.home / "run", self.specs, self.lines.append)

    def processes(self) -> list[psutil.Process]:
        return list(process_records.survivors(self.home / "run" / "processes.json"))

    @property
    def manager_pid(self) -> int:
        return int((self.home / "run" / "supervisord.pid").read_text())


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    made = Platform(tmp_path)
    yield made
    made.supervisor().stop()
    assert made.processes() == []


def answers(port: int | None) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port or 0), timeout=1):
            return True
    except OSError:
        return False


def wait_for(is_true: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_platform_starts_tells_its_states_and_leaves_nothing_behind(platform: Platform) -> None:
    supervisor = platform.supervisor()
    assert supervisor.states() == []
    supervisor.start()
    assert any(line.startswith("alpha") and "ready in" in line for line in platform.lines)
    states = supervisor.states()
    assert [(state.name, state.state, state.address) for state in states] == [
        (spec.name, "running", spec.address) for spec in platform.specs
    ]
    assert all(state.pid and psutil.pid_exists(state.pid) for state in states)
    assert len(platform.processes()) == 5  # the manager, two servers, and a child of each
    assert os.getsid(platform.manager_pid) != os.getsid(0)

    platform.lines.clear()
    supervisor.start()
    assert [line.split()[:3] for line in platform.lines] == [["alpha", "is", "running,"], ["beta", "is", "running,"]]
    assert [state.pid for state in supervisor.states()] == [state.pid for state in states]

    assert supervisor.stop()
    assert platform.processes() == []
    assert not any(answers(spec.port) for spec in platform.specs)
    assert not supervisor.stop()
    assert platform.lines[-1] == "Nothing runs."


def test_secrets_reach_the_program_and_only_its_owner_can_read_them(platform: Platform) -> None:
    platform.supervisor().start(only={"alpha"})
    run = platform.home / "run"
    assert "100%" not in (run / "supervisord.conf").read_text()
    for path in [run, *(path for path in run.rglob("*") if path.is_dir() or path.stat().st_size)]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    (alpha,) = (state.pid for state in platform.supervisor().states() if state.state == "running")
    assert psutil.Process(alpha).environ()["SECRET"] == "100% of 'alpha' \" ; #"
    platform.supervisor().stop()
    assert not list((run / "programs").iterdir())


def test_orphans_of_a_killed_manager_are_ended_and_nothing_else(platform: Platform) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        platform.supervisor().start()
        before = {process.pid for process in platform.processes()}
        os.kill(platform.manager_pid, signal.SIGKILL)
        wait_for(lambda: not platform.supervisor().is_running())
        assert all(answers(spec.port) for spec in platform.specs)
        process_records.record(platform.home / "run" / "processes.json", "alpha", stranger.pid)
        forge_start_time(platform.home / "run" / "processes.json", stranger.pid)

        platform.supervisor().start()
        assert any("a killed manager left: alpha, beta" in line for line in platform.lines)
        assert before.isdisjoint(process.pid for process in platform.processes())
        assert stranger.poll() is None
        stranger.kill()


def forge_start_time(records: Path, pid: int) -> None:
    """Make a record look as though the system had given its pid out again since."""
    found = psutil.Process(pid).create_time()
    content = records.read_text()
    assert str(found) in content
    records.write_text(content.replace(str(found), str(found - 100)))


def test_orphans_are_ended_by_a_stop_too(platform: Platform) -> None:
    platform.supervisor().start()
    os.kill(platform.manager_pid, signal.SIGKILL)
    wait_for(lambda: not platform.supervisor().is_running())
    assert platform.supervisor().stop()
    assert platform.processes() == []


def test_an_orphan_that_was_restarted_since_is_found_too(platform: Platform) -> None:
    supervisor = platform.supervisor()
    supervisor.start(only={"alpha"})
    (first,) = (state.pid for state in supervisor.states() if state.name == "alpha")
    assert first
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: supervisor.states()[0].pid not in (None, first) and answers(platform.specs[0].port))
    os.kill(platform.manager_pid, signal.SIGKILL)
    wait_for(lambda: not supervisor.is_running())
    assert supervisor.stop()
    assert platform.processes() == []


def test_children_of_a_killed_program_end_when_it_starts_again_and_no_others(platform: Platform) -> None:
    supervisor = platform.supervisor()
    supervisor.start()
    alpha, beta = (psutil.Process(state.pid) for state in supervisor.states())
    (old,), (other,) = alpha.children(), beta.children()
    alpha.kill()
    wait_for(lambda: supervisor.states()[0].pid not in (None, alpha.pid) and answers(platform.specs[0].port))
    assert not process_records.is_alive(old.pid)
    assert process_records.is_alive(other.pid)
    supervisor.stop()


def test_a_taken_port_is_one_sentence_and_nothing_is_started(platform: Platform) -> None:
    port = platform.specs[1].port
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port or 0))
        holder.listen()
        with pytest.raises(ConflictError) as refusal:
            platform.supervisor().start()
    sentence = str(refusal.value)
    assert sentence == (
        f"Port {port}, which beta needs, is taken by another program; "
        "end that program or set TEST_BETA_PORT to another one."
    )
    assert platform.processes() == []


def test_two_programs_cannot_want_one_port(platform: Platform) -> None:
    platform.specs[1] = platform.spec("beta", port=platform.specs[0].port)
    with pytest.raises(ConflictError, match="wanted by both alpha and beta; set TEST_BETA_PORT"):
        platform.supervisor().start()


def test_programs_can_be_added_to_those_that_run(platform: Platform) -> None:
    supervisor = platform.supervisor()
    supervisor.start(only={"beta"})
    assert [state.state for state in supervisor.states()] == ["stopped", "running"]
    beta = supervisor.states()[1].pid
    platform.specs.append(platform.spec("gamma"))
    platform.supervisor().start()
    states = platform.supervisor().states()
    assert [(state.name, state.state) for state in states] == [
        ("alpha", "running"),
        ("beta", "running"),
        ("gamma", "running"),
    ]
    assert states[1].pid == beta


def test_a_program_with_changed_settings_is_started_again(platform: Platform) -> None:
    platform.supervisor().start()
    before = {state.name: state.pid for state in platform.supervisor().states()}
    platform.specs[0] = replace(platform.specs[0], environment={"SECRET": "another"})
    platform.supervisor().start()
    after = {state.name: state.pid for state in platform.supervisor().states()}
    assert after["alpha"] != before["alpha"]
    assert after["beta"] == before["beta"]


def test_a_program_that_fails_shows_its_last_lines_and_stops_the_rest(platform: Platform) -> None:
    command = (sys.executable, "-c", "print('no table users'); raise SystemExit(3)")
    platform.specs.append(replace(platform.spec("gamma"), argv=command))
    with pytest.raises(UnavailableError, match="gamma ended after"):
        platform.supervisor().start()
    assert "  | no table users" in platform.lines
    assert platform.processes() == []


def test_a_failure_stops_only_what_the_same_call_started(platform: Platform) -> None:
    platform.supervisor().start(only={"alpha"})
    command = (sys.executable, "-c", "raise SystemExit(3)")
    platform.specs[1] = replace(platform.specs[1], argv=command)
    with pytest.raises(UnavailableError):
        platform.supervisor().start()
    assert platform.supervisor().states()[0].state == "running"


def test_a_program_that_never_answers_is_given_up(platform: Platform) -> None:
    command = (sys.executable, "-c", "import time; time.sleep(600)")
    platform.specs = [replace(platform.specs[0], argv=command, ready_seconds=3.0)]
    with pytest.raises(UnavailableError, match="was not ready after 3 s"):
        platform.supervisor().start()
    assert platform.processes() == []


def test_a_program_without_a_port_is_ready_when_its_log_says_so(platform: Platform) -> None:
    code = "import time; time.sleep(2); print('all set', flush=True); time.sleep(600)"
    spec = replace(
        platform.specs[0], argv=(sys.executable, "-c", code), port=None, health_url=None, ready_text="all set", nice=5
    )
    platform.specs = [spec]
    platform.supervisor().start()
    (state,) = platform.supervisor().states()
    assert psutil.Process(state.pid).nice() == min(psutil.Process().nice() + 5, 19)
    assert "all set" in spec.log_file.read_text()
    platform.supervisor().start()
    assert "is running" in platform.lines[-1]


def test_an_interrupted_start_leaves_nothing_behind(platform: Platform) -> None:
    command = (sys.executable, "-c", "import time; time.sleep(600)")
    # On a busy machine the first program takes its time too; the second must not give up before the interruption.
    platform.specs[1] = replace(platform.specs[1], argv=command, ready_seconds=600.0)

    def interrupt() -> None:
        wait_for(lambda: any("alpha" in line for line in platform.lines), timeout_s=60)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        platform.supervisor().start()
    assert platform.processes() == []


def test_a_home_with_a_long_path_works(tmp_path: Path) -> None:
    home = tmp_path / ("a long name with spaces and 100% " * 4)
    home.mkdir()
    platform = Platform(home)
    folder = RunFolder(home / "run")
    assert folder.socket.parent != folder.path
    try:
        platform.supervisor().start(only={"alpha"})
        assert platform.supervisor().states()[0].state == "running"
        assert stat.S_IMODE(folder.socket.parent.stat().st_mode) == 0o700
    finally:
        platform.supervisor().stop()
    assert not folder.socket.parent.exists()


def test_an_unknown_program_is_refused(platform: Platform) -> None:
    with pytest.raises(InvalidInputError, match="no program 'delta'; there are alpha, beta"):
        platform.supervisor().start(only={"delta"})
