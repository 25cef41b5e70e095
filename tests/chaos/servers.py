"""The servers below a platform that is no embedded one: real PostgreSQL, Redis and RabbitMQ in a folder of the test."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import psutil
import psycopg
import redis
from amqp import Connection as AmqpConnection
from amqp.exceptions import AMQPError

from damageloop.domain.job import Queue
from tests.chaos.schedule import Setup
from tests.integration.postgres_server import SERVER_ACCOUNT, SUPERUSER, as_server, executable
from tests.ports import free_ports

START_TIMEOUT_S = 90.0
RABBITMQ = Path("/usr/lib/rabbitmq/lib")


class Server(Protocol):
    """One server that can be struck."""

    @property
    def environment(self) -> Mapping[str, str]: ...
    def start(self) -> None: ...
    def kill(self) -> None:
        """End it at once, as a power cut does."""


class Broker(Server, Protocol):
    """A broker, which can also lose its messages while it runs."""

    def flush(self) -> None: ...


class _Process:
    """A server process, started by the thread that lives longest: PostgreSQL ends with the one that started it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        # The server's own account must get there.
        folder.chmod(0o755)
        self.folder = folder
        self._environment: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def _run(self, argv: list[str], environment: Mapping[str, str], is_up: Callable[[], bool]) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                argv, cwd=self.folder, env={**os.environ, **environment}, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not is_up():
            log_end = (self.folder / "server.log").read_text(errors="replace")[-1500:]
            assert self._process.poll() is None, f"{argv[0]} ended: {log_end}"
            assert time.monotonic() < deadline, f"{argv[0]} did not start: {log_end}"
            time.sleep(0.1)

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the settings by which the platform finds the server."""
        return self._environment

    def kill(self) -> None:
        """Kill the server and what it started."""
        if self._process is None:
            return
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(self._process.pid)
            for process in [family, *family.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self._process.wait(10.0)


class Postgres(_Process):
    """One cluster with one database. It writes to disk as by default: a killed one must lose nothing."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self._port,) = free_ports(1)
        self._data = folder / "data"
        self._data.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self._data, SERVER_ACCOUNT)
        options = ["--auth", "trust", "--username", SUPERUSER, "--encoding", "UTF8", "--locale", "C.UTF-8"]
        subprocess.run(
            as_server(executable("initdb"), "--pgdata", self._data, *options),
            cwd=self._data,
            capture_output=True,
            check=True,
        )
        url = f"postgresql+psycopg://{SUPERUSER}@127.0.0.1:{self._port}/damageloop"
        self._environment = {"DAMAGELOOP_DATABASE_URL": url}

    def start(self) -> None:
        """Start it, recovered from its log where it was killed, with its database."""
        settings = {
            "port": str(self._port),
            "unix_socket_directories": str(self._data),
            "listen_addresses": "127.0.0.1",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._run(as_server(executable("postgres"), "-D", self._data, *options), {}, self._answers)
        with self._connection() as connection, suppress(psycopg.errors.DuplicateDatabase):
            connection.execute("CREATE DATABASE damageloop")

    def _answers(self) -> bool:
        try:
            with self._connection():
                return True
        except psycopg.OperationalError:
            return False

    def _connection(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self._port, user=SUPERUSER, dbname="postgres", autocommit=True, connect_timeout=5
        )


class Redis(_Process):
    """A Redis that keeps nothing: a killed one forgets every message."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self._port,) = free_ports(1)
        self._environment = {"DAMAGELOOP_BROKER_URL": f"redis://127.0.0.1:{self._port}/0"}
        self._client = redis.Redis(port=self._port, socket_timeout=2.0)

    def start(self) -> None:
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._run(["redis-server", *options], {}, self._answers)

    def flush(self) -> None:
        """Forget every message."""
        self._client.flushall()

    def _answers(self) -> bool:
        try:
            return bool(self._client.ping())
        except redis.RedisError:
            return False


class RabbitMq(_Process):
    """A RabbitMQ node of its own. Its port mapper is found by its port and ended with it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._port, distribution, mapper = free_ports(3)
        self._mapper = str(mapper)
        self._environment = {"DAMAGELOOP_BROKER_URL": f"amqp://guest:guest@127.0.0.1:{self._port}//"}
        self._own = {
            "HOME": str(folder),
            "ERL_EPMD_PORT": self._mapper,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"chaos{self._port}@localhost",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none.env"),
        }

    def start(self) -> None:
        server = next(iter(sorted(RABBITMQ.glob("rabbitmq_server-*/sbin/rabbitmq-server"))), None)
        assert server, "RabbitMQ is missing: apt-get install rabbitmq-server"
        self._run([str(server)], self._own, self._answers)

    def flush(self) -> None:
        """Forget every message that no worker has taken."""
        with self._connection() as connection:
            channel = connection.channel()
            for queue in Queue:
                with suppress(AMQPError):
                    channel.queue_purge(queue.value)

    def kill(self) -> None:
        super().kill()
        for process in psutil.process_iter(["name"]):
            with suppress(psutil.Error):
                is_mapper = process.info["name"] == "epmd"
                if is_mapper and process.environ().get("ERL_EPMD_PORT") == self._mapper:
                    process.kill()

    def _answers(self) -> bool:
        try:
            with self._connection():
                return True
        except (OSError, AMQPError):
            return False

    def _connection(self) -> AmqpConnection:
        connection = AmqpConnection(f"127.0.0.1:{self._port}", connect_timeout=2.0)
        connection.connect()
        return connection


class Servers:
    """The servers of a set-up, started; none for the embedded one."""

    def __init__(self, setup: Setup, folder: Path) -> None:
        self.database: Server | None = None
        self.broker: Broker | None = None
        if setup is not Setup.EMBEDDED:
            self.database = Postgres(folder / "postgres")
            self.broker = RabbitMq(folder / "rabbitmq") if setup is Setup.POSTGRES_RABBITMQ else Redis(folder / "redis")
        for server in self._all():
            server.start()

    @property
    def environment(self) -> dict[str, str]:
        return {name: value for server in self._all() for name, value in server.environment.items()}

    def stop(self) -> None:
        for server in self._all():
            server.kill()

    def _all(self) -> list[Server]:
        return [server for server in (self.database, self.broker) if server is not None]
