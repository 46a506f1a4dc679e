"""Which internet addresses are public: global unicast, and nothing else hidden inside.

`ipaddress.is_global` is no guide: in Python 3.11 it calls multicast, NAT64, 6to4 and 3fff::/20 global. The
blocks below are IANA's special-purpose registries
(https://www.iana.org/assignments/iana-ipv4-special-registry and its IPv6 twin), to which come the
addresses at which clouds serve their machines' secrets.
"""

from __future__ import annotations

import ipaddress

_NOT_PUBLIC_4 = tuple(
    (ipaddress.IPv4Network(block), why)
    for block, why in (
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud metadata"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)

_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    (ipaddress.IPv6Network(block), why)
    for block, why in (
        ("2001::/23", "reserved (Teredo among it)"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3ffe::/16", "returned"),
        ("3fff::/20", "documentation"),
    )
)
# In an ISATAP address these 32 bits stand before an IPv4 address (RFC 5214, section 6.1).
_ISATAP = (0x00005EFE, 0x02005EFE)


def why_not_public(address: str) -> str | None:
    """None for a global unicast address, else a word or two on what it is. Text that is no address is
    refused too."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "no internet address"
    if isinstance(parsed, ipaddress.IPv4Address):
        return next((why for block, why in _NOT_PUBLIC_4 if parsed in block), None)
    return _why_not_public_6(parsed)


def _why_not_public_6(address: ipaddress.IPv6Address) -> str | None:
    """IPv4-mapped, IPv4-compatible and both NAT64 blocks lie outside 2000::/3, 6to4 and Teredo are in the
    list."""
    if address not in _GLOBAL_6:
        return "not global unicast"
    for block, why in _NOT_PUBLIC_6:
        if address in block:
            return why
    low = int(address) & 0xFFFF_FFFF_FFFF_FFFF
    if low >> 32 in _ISATAP:
        return why_not_public(str(ipaddress.IPv4Address(low & 0xFFFF_FFFF)))
    return None
