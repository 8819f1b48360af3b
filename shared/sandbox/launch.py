"""Puts one program into a box and starts it: `python -I -S launch.py SPEC`, SPEC being JSON of `box.BoxSpec`.

Level `namespaces`: own user (or, started as root, an unused uid), mounts, processes, network, IPC and host name; the
file system is a fresh one into which only what the program needs is bound, read-only. Level `bwrap`: the same through
bubblewrap. Level `rlimit`: resource limits only.

Three processes: this one, outside; process 1 of the box, which mounts, gives up its rights and waits; the program.
The status pipe, which the program does not have, reports `{"box": pid}`, then `{"exit": status, "cpu_seconds": s}` or
`{"error": sentence}`.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import struct
import sys

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = (
    1,
    2,
    4,
    8,
    32,
    4096,
    16384,
    1 << 18,
)
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, AT_RECURSIVE = 1, 2, 4, 0x8000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 36, 38
SYS_MOUNT_SETATTR = 442  # the same number on every architecture
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
DEVICES = ("null", "zero", "full", "random", "urandom")

libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source, target, kind=None, flags=0, data=None):
    arguments = [a if a is None else os.fsencode(a) for a in (source, target, kind)]
    check(libc.mount(*arguments, ctypes.c_ulong(flags), data and data.encode()), f"mount {target}")


def bind_readonly(source, target):
    """`source` at `target` with all that is mounted below it, read-only."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        open(target, "a", encoding="utf-8").close()
    mount(source, target, None, MS_BIND | MS_REC)
    attributes = struct.pack("QQQQ", ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV, 0, 0, 0)
    call = libc.syscall(SYS_MOUNT_SETATTR, -100, os.fsencode(target), AT_RECURSIVE, attributes, len(attributes))
    check(call, f"make {target} read-only")


def build_root(spec, root):
    """The box's file system below `root`: only what is named, read-only, and one small scratch space."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount("box", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,nr_inodes=2000,mode=755")
    os.makedirs(root + "/etc")
    for name, text in spec["etc"].items():
        with open(f"{root}/etc/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    os.makedirs(root + "/dev")
    for name in DEVICES:
        open(f"{root}/dev/{name}", "w", encoding="utf-8").close()
        mount(f"/dev/{name}", f"{root}/dev/{name}", None, MS_BIND)
    os.symlink("/proc/self/fd", root + "/dev/fd")
    for folder, size in (("/dev/shm", spec["limits"]["scratch_mb"]), ("/tmp", spec["limits"]["scratch_mb"])):
        os.makedirs(root + folder)
        mount("scratch", root + folder, "tmpfs", MS_NOSUID | MS_NODEV, f"size={size}m,nr_inodes=20000,mode=1777")
    for path in spec["readonly"]:  # after the scratch space, since an environment may lie below /tmp
        if os.path.islink(path):
            os.makedirs(root + os.path.dirname(path), exist_ok=True)
            os.symlink(os.readlink(path), root + path)
        elif os.path.exists(path):
            bind_readonly(path, root + path)
    os.makedirs(root + "/proc")
    mount("proc", root + "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    os.makedirs(root + "/.outside")
    check(
        libc.syscall(SYS_PIVOT_ROOT[os.uname().machine], os.fsencode(root), os.fsencode(root + "/.outside")),
        "pivot_root",
    )
    os.chdir("/")
    check(libc.umount2(b"/.outside", 2), "leave the old root")
    os.rmdir("/.outside")
    mount(None, "/", None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)


def raise_loopback():
    """The box's own loopback interface, which leads nowhere else: some libraries' tests serve to themselves."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sh14x", b"lo", 1)  # IFF_UP
        fcntl.ioctl(s, 0x8914, request)  # SIOCSIFFLAGS


def map_users(uid, gid):
    """In a new user namespace: the same user and group, and no other."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="utf-8") as file:
            file.write(text)


def give_up_rights(uid):
    """No capability, none to be had again, no further user namespace; as root also another user."""
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self stays root's
        check(libc.unshare(NEWUSER), "unshare user")
        map_users(uid, uid)
    # in a namespace of its own the program could mount file systems, whose memory nothing limits
    with open("/proc/sys/user/max_user_namespaces", "w", encoding="utf-8") as file:
        file.write("0")
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    header, none = struct.pack("II", 0x20080522, 0), bytes(24)
    check(libc.capset(header, none), "capset")
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def set_limits(limits, spare_processes):
    """Resource limits, never above the hard limit that this process has."""
    wanted = {
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": limits["cpu_seconds"],
        "RLIMIT_FSIZE": limits["file_mb"] << 20,
        "RLIMIT_NOFILE": limits["open_files"],
        "RLIMIT_NPROC": limits["processes"] + spare_processes,
    }
    if sys.platform != "darwin":
        wanted["RLIMIT_AS"] = limits["address_space_mb"] << 20
    for name, value in wanted.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def own_processes():
    """Threads that this user has now, which count against RLIMIT_NPROC where there is no user namespace."""
    count, me = 0, os.getuid()
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == me:
                count += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue
    return count


def start_program(spec, status):
    """Becomes the program; only its own file descriptors stay open."""
    os.close(status)
    keep = set(spec["keep_fds"])
    for fd in [int(n) for n in os.listdir("/proc/self/fd")] if os.path.isdir("/proc/self/fd") else range(3, 256):
        if fd > 2 and fd not in keep:
            with contextlib.suppress(OSError):
                os.close(fd)
    for fd in keep:
        os.set_inheritable(fd, True)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file that grows too large is an OSError, not the end
    os.execve(spec["argv"][0], spec["argv"], spec["env"])


def wait_for(pid):
    """How `pid` ended, and the CPU seconds of it and of what it waited for; other orphans are reaped on the way."""
    while True:
        found, status, usage = os.wait4(-1, 0)
        if found == pid:
            return {"exit": os.waitstatus_to_exitcode(status), "cpu_seconds": usage.ru_utime + usage.ru_stime}


def report(status, **content):
    os.write(status, (json.dumps(content) + "\n").encode())


def inside(spec, status, root):
    """Process 1 of the box."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    build_root(spec, root)
    raise_loopback()
    socket.sethostname("box")
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.makedirs("/tmp/work")
        os.makedirs("/tmp/home")
        if spec["uid"] is not None:
            os.chown("/tmp/work", spec["uid"], spec["uid"])
            os.chown("/tmp/home", spec["uid"], spec["uid"])
        os.chdir("/tmp/work")
        set_limits(spec["limits"], 3)
        give_up_rights(spec["uid"])
        start_program(spec, status)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    report(status, **wait_for(pid))


def namespaces(spec, status):
    """Level `namespaces`: everything of the box ends with its process 1."""
    flags = NEWNS | NEWPID | NEWNET | NEWIPC | NEWUTS
    uid, gid = os.getuid(), os.getgid()
    if uid != 0:
        flags |= NEWUSER
    check(libc.unshare(flags), "unshare")
    if uid != 0:
        map_users(uid, gid)
    pid = os.fork()
    if pid == 0:
        in_child(lambda: inside(spec, status, spec["root"]), status)
    report(status, box=pid)
    wait_for(pid)


def rlimit(spec, status):
    """Level `rlimit`: what the program leaves behind becomes ours, and is killed."""
    if libc is not None:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    spare = own_processes()
    pid = os.fork()
    if pid == 0:

        def program():
            os.setsid()
            os.chdir(spec["work"])
            set_limits(spec["limits"], spare)
            start_program(spec, status)

        in_child(program, status)
    report(status, box=pid)
    ended = wait_for(pid)
    kill_descendants()
    report(status, **ended)


def kill_descendants():
    while True:
        children = set()
        for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    if int(file.read().rsplit(")", 1)[1].split()[1]) == os.getpid():
                        children.add(int(name))
            except (OSError, ValueError, IndexError):
                continue
        for child in children:
            os.kill(child, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def bwrap(spec, status):
    """Level `bwrap`: limits are inherited, bubblewrap does the rest."""
    pid = os.fork()
    if pid == 0:

        def program():
            os.setsid()
            set_limits(spec["limits"], 8 + own_processes())
            start_program({**spec, "argv": spec["bwrap"] + spec["argv"]}, status)

        in_child(program, status)
    report(status, box=pid)
    report(status, **wait_for(pid))


def in_child(work, status):
    """Runs `work` in a forked process, which ends here whatever happens."""
    try:
        work()
        os._exit(0)
    except BaseException as error:
        try:
            report(status, error=str(error))
        finally:
            os._exit(70)


def main():
    spec = json.loads(sys.argv[1])
    status = spec["status_fd"]
    os.set_inheritable(status, False)
    if libc is not None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        {"namespaces": namespaces, "rlimit": rlimit, "bwrap": bwrap}[spec["level"]](spec, status)
    except OSError as error:
        report(status, error=str(error))
        sys.exit(70)


if __name__ == "__main__":
    main()
