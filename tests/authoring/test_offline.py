"""Neither the tests nor what they start can reach the network; this machine itself can be reached."""

import socket
import subprocess
import sys
import urllib.request

import pytest

# Addresses set aside for documentation (RFC 5737, RFC 3849): nobody answers there, should the guard fail.
ELSEWHERE = {
    "connect": lambda: socket.create_connection(("192.0.2.1", 80), timeout=1),
    "connect, IPv6": lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 80)),
    "send a datagram": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 9)),
    "look up": lambda: socket.getaddrinfo("example.org", 80),
    "look up the old way": lambda: socket.gethostbyname("example.org"),
    "fetch": lambda: urllib.request.urlopen("https://example.org", timeout=1),
}


@pytest.mark.parametrize("attempt", ELSEWHERE)
def test_the_network_is_out_of_reach(attempt: str) -> None:
    with pytest.raises(OSError, match="the course works unplugged"):
        ELSEWHERE[attempt]()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", ""])
def test_this_machine_is_in_reach(host: str) -> None:
    if host == "::1" and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    with (
        socket.create_server((host or "127.0.0.1", 0), family=family) as server,
        socket.create_connection((host or "localhost", server.getsockname()[1]), timeout=5) as client,
    ):
        assert client.getpeername()[1] == server.getsockname()[1]


def test_processes_started_by_tests_are_cut_off_too() -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "NetworkTouched: the course works unplugged" in done.stderr
