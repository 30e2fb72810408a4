"""Calls of the Linux kernel that a process gives up for good; only the standard library is needed.

Bubblewrap decides what a process sees. This decides what it can do with a hole in torch or in Python: start
no program, open no connection, touch no other process.
"""

import ctypes
import os
import struct
import sys

# execve, execveat, socket, connect, ptrace, process_vm_readv and _writev, io_uring_setup, bpf, userfaultfd,
# perf_event_open, mount, unshare, setns, keyctl, add_key, request_key, kexec_load
NOBODY = {
    "x86_64": (59, 322, 41, 42, 101, 310, 311, 425, 321, 323, 298, 165, 272, 308, 250, 248, 249, 246),
    "aarch64": (221, 281, 198, 203, 117, 270, 271, 425, 280, 282, 241, 40, 97, 268, 219, 217, 218, 104),
}
# memory that no limit counts: memfd_create, memfd_secret, shmget, msgget, mq_open
MEMORY = {"x86_64": (319, 447, 29, 68, 240), "aarch64": (279, 447, 194, 186, 180)}
# kill, tkill, rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_send_signal
SIGNALS = {"x86_64": (62, 200, 129, 297, 424), "aarch64": (129, 130, 138, 240, 424)}
FORK = {"x86_64": (57, 58), "aarch64": ()}  # fork, vfork
CLONE = {"x86_64": (56, 435), "aarch64": (220, 435)}  # clone, clone3
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
NOT_PERMITTED, NO_SUCH_CALL, ALLOWED = 0x00050001, 0x00050026, 0x7FFF0000
NEW_THREAD = 0x10000


def give_up(*tables: dict[str, tuple[int, ...]], threads: bool) -> bool:
    """Refuse these calls, and new processes, in this process and all that it may start.

    Args:
        tables: of calls, by processor, as above.
        threads: new threads stay allowed.

    Returns:
        False where the system knows no such filter: not Linux, or another processor.
    """
    machine = os.uname().machine if sys.platform == "linux" else ""
    if machine not in ARCHITECTURE:
        return False
    calls = [call for table in (*tables, FORK) for call in table[machine]]
    clone, clone3 = CLONE[machine]
    if not threads:
        calls += [clone, clone3]
        clone = clone3 = 0x3FFFFFFF  # no call
    # A program for the kernel (man 2 seccomp); its steps are (what, where to go if so, if not, number).
    # The last three are the answers, and `to` says how far a step is from one of them.
    end = 8 + len(calls)

    def to(place: int, answer: int) -> int:
        return end + answer - place - 1

    steps = [
        (0x20, 0, 0, 4),  # load the architecture
        (0x15, 0, to(1, 1), ARCHITECTURE[machine]),
        (0x20, 0, 0, 0),  # load the number of the call
        (0x35, to(3, 1), 0, 0x40000000),  # the same calls under other numbers (x32)
        *((0x15, to(4 + place, 1), 0, call) for place, call in enumerate(calls)),
    ]
    at = len(steps)
    steps += [
        (0x15, to(at, 2), 0, clone3),  # says "no such call", and the C library takes clone
        (0x15, 0, to(at + 1, 0), clone),
        (0x20, 0, 0, 16),  # load what clone is to make
        (0x45, to(at + 3, 0), to(at + 3, 1), NEW_THREAD),
        (0x06, 0, 0, ALLOWED),
        (0x06, 0, 0, NOT_PERMITTED),
        (0x06, 0, 0, NO_SUCH_CALL),
    ]
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("HP", len(steps), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    return libc.prctl(22, 2, ctypes.c_char_p(filter_), 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
