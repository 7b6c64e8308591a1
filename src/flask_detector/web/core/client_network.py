"""Which network counts as one client where no API key identifies it."""

import ipaddress

# What one IPv6 line has at least, all of it its owner's to choose addresses from (RFC 6177).
_LINE_BITS = 64


def network_of(address: str | None) -> str:
    """Return an IPv4 address as it is, an IPv6 one's network, and anything else unchanged."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return address or ""
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), _LINE_BITS), strict=False).network_address)
