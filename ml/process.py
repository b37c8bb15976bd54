"""What a process that computes owes its parent and its machine."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """On Linux: let the kernel end this process when its parent is gone, so that nothing trains twice."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have gone before the kernel was told.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def wait_briefly() -> None:
    """Let threads soon go to sleep while they wait for each other. To be called before torch is imported.

    GNU's OpenMP, which torch brings on Linux, spins for milliseconds. Where something else wants the processor, such as
    serving, each spin then waits for a thread that does not run. Not to spin at all costs a system call at each of some
    thousand meetings a step. Milliseconds a step of `lstm` on `trump/words` (two cores), idle and beside one busy
    program: default 49 and above 750; 5,000 turns 52 and 115; none 67 and 93.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")


def use_large_pages() -> None:
    """Let torch ask Linux for large pages. To be called before torch is imported.

    Each step of a training writes some tens of MiB to fresh memory, and with pages of 4 KiB a third of its time went to
    fetching them (two cores, V = 9,875: 73 ms a step with small pages, 48 ms with large ones).
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def give_memory_back() -> None:
    """On Linux with glibc: return to the system what was freed.

    Loading a model takes several times what it keeps, in pieces that glibc holds on to: 30 MB after ten of them.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
