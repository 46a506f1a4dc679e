"""Reading an `http(s)` URL strictly: what two programs could read differently is refused, not repaired."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from urllib.parse import quote, urljoin

from connector.blobs.policy import BlobPolicy
from connector.blobs.sources import without_secrets
from connector.errors import BlobForbidden

LONGEST = 8192
"""Characters of a URL."""

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<target>/?[^#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL
)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{0,5}))?")
# Control characters and every kind of white space, the backslash (a slash to browsers), invisible and bidi
# marks.
_UNSAFE = re.compile(
    r"[\x00-\x20\x7f-\xa0\s\\\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ud800-\udfff]"
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_DEFAULT_PORT = {"http": 80, "https": 443}
_KEPT_IN_TARGET = "/?%:@!$&'()*+,;=-._~[]"


@dataclasses.dataclass(frozen=True)
class WebUrl:
    """A URL taken apart: `host` is ASCII and lower case (IPv6 without brackets), `target` is path and
    query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address and no name."""
        return ":" in self.host or self.host.replace(".", "").isdigit()

    @property
    def host_header(self) -> str:
        """The host as the Host header wants it, with the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORT[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host_header}{self.target}"


def parse_url(url: str, policy: BlobPolicy, name: str) -> WebUrl:
    """Take a URL apart, or raise `BlobForbidden`; `name` is how the message calls the blob."""
    if len(url) > LONGEST:
        raise BlobForbidden(f"{name} is a URL of {len(url):,} characters. The limit is {LONGEST:,}.")
    if _UNSAFE.search(url):
        raise BlobForbidden(
            f"{name} has white space, a backslash or a control character in its URL. "
            f"Percent-encode it, as in %20."
        )
    found = _URL.fullmatch(url)
    authority = _AUTHORITY.fullmatch(found["authority"]) if found else None
    if found and "@" in found["authority"]:
        raise BlobForbidden(
            f"{name} carries a user name or password. Use a URL without them, such as a signed one."
        )
    if not found or not authority:
        raise BlobForbidden(f"{name} is no well-formed URL. Write http(s)://host/path.")
    scheme = found["scheme"].lower()
    port = int(authority["port"] or _DEFAULT_PORT[scheme])
    _check_port(port, policy, name)
    target = quote(found["target"], safe=_KEPT_IN_TARGET)
    return WebUrl(
        scheme, _host(authority["host"], name), port, target if target.startswith("/") else "/" + target
    )


def redirected(url: WebUrl, location: bytes | None, policy: BlobPolicy, name: str) -> WebUrl:
    """Where a redirect leads, read as strictly as the first URL; from https it may not lead to http."""
    try:
        place = (location or b"").decode("utf-8")
    except UnicodeDecodeError:
        place = ""
    # Checked before urljoin, which strips control characters as if they had not been there.
    if not place or len(place) > LONGEST or _UNSAFE.search(place):
        raise BlobForbidden(f"{name} redirects to an unusable address. Use the picture's final URL.")
    try:
        joined = urljoin(str(url), place)
    except ValueError:  # brackets that hold no IPv6 address
        joined = place
    if not _URL.fullmatch(joined):
        raise BlobForbidden(f"{name} redirects to '{without_secrets(joined)[:60]}', which is not http(s).")
    following = parse_url(joined, policy, f"{name}, redirected to '{without_secrets(joined)[:60]}',")
    if url.scheme == "https" and following.scheme == "http":
        raise BlobForbidden(f"{name} redirects from https to http. Use the http URL itself if that is meant.")
    return following


def _check_port(port: int, policy: BlobPolicy, name: str) -> None:
    if not 0 < port < 65536 or not (policy.allow_private_addresses or port in policy.allowed_ports):
        allowed = ", ".join(map(str, policy.allowed_ports))
        raise BlobForbidden(
            f"{name} names port {port}. Allowed are {allowed}; BlobPolicy(allowed_ports=[…]) changes it."
        )


def _host(host: str, name: str) -> str:
    """The host in its one canonical form: IPv6, dotted quad, or a name in ASCII."""
    try:
        if host.startswith("["):
            return str(ipaddress.IPv6Address(host[1:-1]))
        ascii_host = host.encode("idna").decode("ascii").lower().removesuffix(".")
        labels = ascii_host.split(".")
        # 127.1, 0x7f.0.0.1 and 2130706433 are addresses to some resolvers: a last label that is a number
        # makes the whole an address, and of these only the dotted quad is taken
        # (https://url.spec.whatwg.org/#ends-in-a-number-checker).
        if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
            return str(ipaddress.IPv4Address(ascii_host))
    except (ValueError, UnicodeError):
        raise BlobForbidden(f"{name} names no valid host. Write a host name or an IP address.") from None
    if len(ascii_host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BlobForbidden(f"{name} names no valid host. Write a host name or an IP address.")
    return ascii_host
