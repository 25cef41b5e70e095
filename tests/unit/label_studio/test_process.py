"""How the embedded server is started."""

from __future__ import annotations

from pathlib import Path

from damageloop.adapters.label_studio.process import ServerPlan, server_command

PLAN = ServerPlan(
    executable=Path("bin/label-studio"),
    port=8080,
    data_dir=Path("var/label-studio"),
    document_root=Path("var/images"),
    username="admin@damageloop.local",
    password="a secret password",
    token="f0" * 20,
)


def test_no_secret_is_in_the_command_line_or_the_plans_text() -> None:
    argv, environment = server_command(PLAN, {})
    assert not {PLAN.password, PLAN.token} & set(argv)
    assert environment["LABEL_STUDIO_USER_TOKEN"] == PLAN.token
    assert PLAN.token not in repr(PLAN)
    assert PLAN.password not in repr(PLAN)


def test_variables_that_the_server_would_take_for_its_own_are_not_handed_on() -> None:
    strange = {
        "HOST": "elsewhere",
        "PORT": "1",
        "DEBUG": "true",
        "HTTP_PROXY": "http://proxy",
        "PATH": "/bin",
    }
    _, environment = server_command(PLAN, strange)
    assert environment["PATH"] == "/bin"
    assert not {"HOST", "PORT", "DEBUG", "HTTP_PROXY"} & set(environment)


def test_link_local_addresses_stay_banned_and_loopback_does_not() -> None:
    _, environment = server_command(PLAN, {})
    banned = environment["USER_ADDITIONAL_BANNED_SUBNETS"].split(",")
    assert {"169.254.0.0/16", "fe80::/10"} <= set(banned)
    assert not any(subnet.startswith(("127.", "::1")) for subnet in banned)
