"""The numbers of system calls, and which of them no tool needs.

Calls above 423 have the same number everywhere. A call that a kind of processor lacks is left out.
"""

from dataclasses import dataclass

NEWER = {
    "pidfd_send_signal": 424,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_open": 434,
    "clone3": 435,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
}
BOTH = {
    "accept": (43, 202),
    "accept4": (288, 242),
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bind": (49, 200),
    "bpf": (321, 280),
    "capset": (126, 91),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "connect": (42, 203),
    "delete_module": (176, 106),
    "execve": (59, 221),
    "execveat": (322, 281),
    "finit_module": (313, 273),
    "init_module": (175, 105),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "kill": (62, 129),
    "listen": (50, 201),
    "mount": (165, 40),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pivot_root": (155, 41),
    "prctl": (157, 167),
    "prlimit64": (302, 261),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "setdomainname": (171, 162),
    "setfsgid": (123, 152),
    "setfsuid": (122, 151),
    "setgid": (106, 144),
    "setgroups": (116, 159),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "setpgid": (109, 154),
    "setregid": (114, 143),
    "setresgid": (119, 149),
    "setresuid": (117, 147),
    "setreuid": (113, 145),
    "setrlimit": (160, 164),
    "setsid": (112, 157),
    "settimeofday": (164, 170),
    "setuid": (105, 146),
    "socket": (41, 198),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "tgkill": (234, 131),
    "tkill": (200, 130),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
ONLY_X86 = {"fork": 57, "vfork": 58, "iopl": 172, "ioperm": 173, "create_module": 174}


@dataclass(frozen=True, slots=True)
class Architecture:
    """What a filter has to know of a kind of processor."""

    audit: int
    calls: dict[str, int]


ARCHITECTURES = {
    "x86_64": Architecture(
        0xC000003E, {**NEWER, **ONLY_X86, **{name: both[0] for name, both in BOTH.items()}}
    ),
    "aarch64": Architecture(
        0xC00000B7, {**NEWER, **{name: both[1] for name, both in BOTH.items()}}
    ),
}

ALWAYS_REFUSED = frozenset(
    [
        # The network, and every server that listens on a path.
        *("socket", "connect", "bind", "listen", "accept", "accept4"),
        # Other processes.
        *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp"),
        *("pidfd_open", "pidfd_getfd", "pidfd_send_signal", "rt_sigqueueinfo"),
        *("rt_tgsigqueueinfo", "tkill"),
        # The way out of the session, by which a run is known and ended.
        *("setsid", "setpgid"),
        # Mounts and namespaces.
        *("mount", "umount2", "pivot_root", "chroot", "setns", "unshare", "open_tree"),
        *("move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr"),
        *("name_to_handle_at", "open_by_handle_at"),
        # Rights and limits.
        *("setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups"),
        *("setfsuid", "setfsgid", "capset", "setrlimit", "personality"),
        # The machine.
        *("reboot", "kexec_load", "kexec_file_load", "init_module", "finit_module"),
        *("delete_module", "create_module", "swapon", "swapoff", "acct", "quotactl", "syslog"),
        *("settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname"),
        *("setdomainname", "iopl", "ioperm"),
        # Large parts of the kernel that tools have no use for.
        *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter"),
        *("io_uring_register", "add_key", "request_key", "keyctl"),
    ]
)
REFUSED_WHEN_ALONE = frozenset(["fork", "vfork", "execve", "execveat"])
