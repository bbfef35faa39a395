from __future__ import annotations

import pytest

from dse_cli.contracts.errors import UsageError
from dse_cli.project.names import (
    SIGNATURE_ID,
    is_folder_slug,
    resolve_name,
    resolve_reference,
)

NAMES = {
    "route-ticket": "@acme/support/RouteTicket.v1",
    "route-mail": "@acme/support/RouteMail.v1",
    "route": "@acme/other/Route.v1",
}


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("route", "route"),
        ("route-t", "route-ticket"),
        ("@acme/support/RouteMail.v1", "route-mail"),
        ("@acme/o", "route"),
        ("RouteT", "route-ticket"),
    ],
)
def test_a_name_finds_its_folder(name: str, folder: str) -> None:
    assert resolve_name(name, NAMES) == folder


def test_an_ambiguous_name_lists_what_it_could_mean() -> None:
    with pytest.raises(UsageError) as caught:
        resolve_name("route-", NAMES)
    assert caught.value.message == (
        "'route-' means more than one signature: route-mail (@acme/support/RouteMail.v1), "
        "route-ticket (@acme/support/RouteTicket.v1)"
    )


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        resolve_name("ruote-ticket", NAMES)
    assert caught.value.hint == "did you mean 'route-ticket'?"
    with pytest.raises(UsageError) as far:
        resolve_name("zzz", NAMES)
    assert far.value.hint == "there are: route, route-mail, route-ticket"
    with pytest.raises(UsageError, match="the project has none"):
        resolve_name("x", {})
    with pytest.raises(UsageError):
        resolve_name("", NAMES)


def test_a_reference_in_a_file_is_never_a_prefix() -> None:
    ids = {"tickets": "support/tickets", "support": "support/mail"}
    assert resolve_reference("support/tickets", ids, what="dataset") == "tickets"
    assert resolve_reference("support", ids, what="dataset") == "support"
    with pytest.raises(UsageError) as caught:
        resolve_reference("support/ticket", ids, what="dataset")
    assert caught.value.hint == "did you mean 'support/tickets'?"
    with pytest.raises(UsageError, match="more than one dataset"):
        resolve_reference("x", {"a": "x", "b": "x"}, what="dataset")


@pytest.mark.parametrize("name", ["", ".", "..", "A", "a b", "-a", "a/b", "a" * 65, "a\n"])
def test_what_is_not_a_folder_slug_is_refused(name: str) -> None:
    assert not is_folder_slug(name)


def test_signature_ids_have_their_form() -> None:
    assert SIGNATURE_ID.match("@acme/support/RouteTicket.v1")
    assert not SIGNATURE_ID.match("acme/support/RouteTicket.v1")
    assert not SIGNATURE_ID.match("@acme/support/RouteTicket.v0")
