"""On which addresses a process and its children listen."""

import ipaddress

import psutil


def list_listeners(pid: int) -> set[tuple[str, int]]:
    """Address and port, of TCP and UDP."""
    parent = psutil.Process(pid)
    return {
        (connection.laddr.ip, connection.laddr.port)
        for process in (parent, *parent.children(recursive=True))
        for connection in process.net_connections(kind="inet")
        if connection.laddr and not connection.raddr and connection.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
    }


def find_listener(port: int) -> int:
    """The id of the child of this process that listens at a port. Raises ValueError where none does."""
    for child in psutil.Process().children(recursive=True):
        if port in {each for _, each in list_listeners(child.pid)}:
            return child.pid
    raise ValueError(f"no child listens at {port}")


def list_open_ports(pid: int) -> set[int]:
    """The ports that other machines can reach."""
    return {port for host, port in list_listeners(pid) if not ipaddress.ip_address(host).is_loopback}
