"""Cut this Python process off from the network.

Python imports a module of this name at start-up where its folder stands on PYTHONPATH, so that one
environment variable (`authoring.offline.environment`) covers pytest's workers, notebook kernels, servers
and whatever else a test starts. "No lesson, lab or test touches the network" is thereby enforced, not hoped
for.

An audit hook sees every connection that the interpreter makes and cannot be removed again. Programs that
are not Python, such as a browser, are not covered.
"""

import ipaddress
import socket
import sys


class NetworkTouched(OSError):
    """Raised in place of a connection to anywhere but this machine."""


def is_this_machine(host: object) -> bool:
    """Whether a host, as a program gives it to the socket module, is this machine itself."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host is None or host in ("", "localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:  # some other name
        return False
    return address.is_loopback or address.is_unspecified


def refuse(event: str, args: tuple) -> None:
    """The audit hook: let everything pass but connections and look-ups that leave this machine."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        sock, address = args
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or not address:
            return  # a Unix socket, or one that is connected already
        host, *rest = address
        place = f"{host}:{rest[0]}"
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        place = host = args[0]
    else:
        return
    if not is_this_machine(host):
        raise NetworkTouched(
            f"the course works unplugged, yet this code reaches for the network ({place}): take data and "
            "weights from an installed package"
        )


sys.addaudithook(refuse)
