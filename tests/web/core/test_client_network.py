"""One client is an IPv4 address, or all that one IPv6 line has."""

import pytest

from flask_detector.web.core.client_network import network_of


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff:0:0:9", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::"),
        ("unknown", "unknown"),
        ("", ""),
        (None, ""),
    ],
)
def test_who_counts_as_one_client(address: str | None, client: str) -> None:
    assert network_of(address) == client
