#include "sandbox/linux/seccomp_table.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

namespace cloister::sandbox {
namespace {

using enum Verdict;
using enum AppliesTo;

// clang-format off
constexpr SyscallGroup kGroups[] = {
    // ---- allowed
    {kAllow, 0, kAll, "reading and writing what is open",
     "read write readv writev pread64 pwrite64 preadv pwritev lseek close close_range dup dup2 "
     "dup3 pipe pipe2 poll ppoll select pselect6 sendfile splice tee copy_file_range fsync "
     "fdatasync sync_file_range fallocate ftruncate flock"},
    {kAllow, 0, kAll, "files: the mounts and Landlock say which",
     "open openat openat2 creat stat fstat lstat newfstatat statx access faccessat faccessat2 "
     "readlink readlinkat getdents getdents64 getcwd chdir fchdir mkdir mkdirat rmdir unlink "
     "unlinkat "
     "rename renameat renameat2 link linkat symlink symlinkat truncate umask utime utimes "
     "futimesat "
     "utimensat statfs fstatfs getxattr lgetxattr fgetxattr getxattrat listxattr llistxattr "
     "flistxattr listxattrat"},
    {kAllow, 0, kAll, "modes and owners of own files: mounts are nosuid and no capability is left",
     "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat"},
    {kAllow, 0, kAll, "memory; executable too, since libffi and compilers of hot code need it",
     "brk munmap mprotect mremap madvise msync mlock mlock2 munlock mlockall munlockall "
     "mseal pkey_alloc pkey_free pkey_mprotect map_shadow_stack"},
    {kAllow, 0, kAll, "threads and waiting for each other",
     "futex futex_waitv futex_wake futex_wait futex_requeue set_robust_list get_robust_list rseq "
     "membarrier set_tid_address gettid getpid getppid exit exit_group arch_prctl restart_syscall"},
    {kAllow, 0, kAll, "event loops",
     "epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2 "
     "timerfd_create timerfd_settime timerfd_gettime signalfd signalfd4"},
    {kAllow, 0, kAll, "time and timers",
     "clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times getitimer "
     "setitimer "
     "alarm pause timer_create timer_settime timer_gettime timer_getoverrun timer_delete"},
    {kAllow, 0, kAll, "signals: the pid namespace and the Landlock domain bound whom they reach",
     "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend "
     "rt_sigqueueinfo rt_tgsigqueueinfo sigaltstack kill tkill tgkill"},
    {kAllow, 0, kAll, "talking through sockets that exist: pairs, and the channel to the host",
     "sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg shutdown getsockname getpeername"},
    {kAllow, 0, kAll, "who and where am I",
     "getuid geteuid getgid getegid getresuid getresgid getgroups getpgrp getpgid getsid setpgid "
     "setsid "
     "capget uname sysinfo getcpu getrandom getrusage getrlimit"},
    {kAllow, 0, kAll, "own limits and own share of the processor, never more than the host gave",
     "setrlimit getpriority setpriority ioprio_get sched_yield sched_getaffinity sched_setaffinity "
     "sched_getparam sched_setparam sched_getscheduler sched_setscheduler sched_getattr "
     "sched_get_priority_max sched_get_priority_min sched_rr_get_interval"},
    {kAllow, 0, kAll, "waiting for children; without any it says so", "wait4 waitid"},
    {kAllow, 0, kSubprocesses, "starting processes, where the template allows it",
     "fork vfork execve pidfd_open pidfd_send_signal"},

    // ---- decided by an argument: see the rules
    {kByArgument, 0, kAll, "some of its uses are harmless and needed",
     "clone mmap memfd_create socketpair getsockopt fcntl preadv2 pwritev2 prctl personality prlimit64 mknod "
     "mknodat"},
    {kByArgument, ENOTTY, kAll,
     "no terminal and no device: what a file says that knows no such request; isatty and terminal "
     "size ask, and libraries for flags, extents and sizes of blocks", "ioctl"},

    // ---- refused with an errno
    {kErrno, EPERM, kThreadsOnly, "subprocesses are off for this template",
     "fork vfork execve pidfd_open pidfd_send_signal"},
    {kErrno, EPERM, kAll, "executes what has no path, past every check of one", "execveat"},
    {kErrno, ENOSYS, kAll,
     "its flags lie in memory, where no filter sees them; libc uses clone then", "clone3"},
    {kErrno, EPERM, kAll, "no network: neither new sockets nor new ends for old ones",
     "socket connect bind listen accept accept4"},
    {kErrno, EPERM, kAll, "identities are fixed",
     "setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset"},
    {kErrno, EPERM, kAll, "the machine's clock and names are not the guest's",
     "settimeofday clock_settime clock_adjtime adjtimex sethostname setdomainname"},
    {kErrno, EPERM, kAll,
     "daemons try it to hide in; a root of one's own is a start of many escapes", "chroot"},
    {kErrno, EPERM, kAll, "flushes file systems of the host", "sync syncfs"},
    {kErrno, ENOTSUP, kAll, "kernel memory without a bound in limits; shutil copies without them",
     "setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat"},
    {kErrno, ENOSYS, kAll, "asynchronous I/O runs past this filter; libraries probe and fall back",
     "io_uring_setup io_uring_enter io_uring_register io_setup io_submit io_cancel io_getevents "
     "io_pgetevents io_destroy"},
    {kErrno, EPERM, kAll, "profilers and fault handlers of the kernel; libraries probe for them",
     "perf_event_open userfaultfd"},
    {kErrno, EPERM, kAll, "the kernel's key store is not per sandbox; libraries probe for it",
     "add_key request_key keyctl"},
    {kErrno, ENOSYS, kAll, "confinement is done already; libraries probe for it",
     "landlock_create_ruleset landlock_add_rule landlock_restrict_self memfd_secret"},
    {kErrno, EPERM, kAll, "a filter with a listener could answer for the guest's own calls",
     "seccomp"},
    {kErrno, EPERM, kAll, "another process's descriptors, memory or secrets of the layout",
     "pidfd_getfd kcmp process_madvise process_mrelease"},
    {kErrno, EPERM, kAll, "page-cache oracle across sandboxes that share an image",
     "mincore cachestat"},
    {kErrno, ENOSYS, kAll, "would fill or empty the page cache that all share; only ever advice",
     "fadvise64 readahead"},
    {kErrno, ENOSYS, kAll,
     "watches show what others open in the shared image, and come out of one quota for all",
     "inotify_init inotify_init1 inotify_add_watch inotify_rm_watch"},
    {kErrno, EPERM, kAll,
     "names an unnamed socket (SO_PASSCRED binds it), filters packets; pairs work without",
     "setsockopt"},
    {kErrno, EPERM, kAll, "placement of memory and processor time is the host's business",
     "get_mempolicy set_mempolicy mbind set_mempolicy_home_node migrate_pages move_pages "
     "ioprio_set "
     "sched_setattr"},
    {kErrno, EPERM, kAll, "hands the kernel user pages to keep; nothing in CPython needs it",
     "vmsplice"},
    {kErrno, ENOSYS, kAll, "System V and POSIX message queues: no bound in limits, not in CPython",
     "shmget shmat shmctl shmdt semget semop semtimedop semctl msgget msgsnd msgrcv msgctl mq_open "
     "mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr"},
    {kErrno, EPERM, kAll, "watches whole file systems", "fanotify_init fanotify_mark"},
    {kErrno, EPERM, kAll, "tells of mounts, handles, quotas and logs of the host",
     "statmount listmount listns name_to_handle_at quotactl quotactl_fd syslog vhangup"},
    {kErrno, ENOSYS, kAll, "security modules: nothing a guest may ask or set",
     "lsm_get_self_attr lsm_set_self_attr lsm_list_modules"},
    {kErrno, ENOSYS, kAll, "inode flags of file systems the guest does not own",
     "file_getattr file_setattr"},
    {kErrno, ENOSYS, kAll, "obsolete, or the kernel's own",
     "_sysctl afs_syscall create_module epoll_ctl_old epoll_wait_old get_kernel_syms "
     "get_thread_area "
     "getpmsg lookup_dcookie modify_ldt nfsservctl putpmsg query_module remap_file_pages security "
     "set_thread_area sysfs tuxcall uretprobe uprobe uselib ustat vserver"},

    // ---- no honest program: killed
    {kViolation, 0, kAll, "reaches into other processes",
     "ptrace process_vm_readv process_vm_writev"},
    {kViolation, 0, kAll, "changes what is mounted",
     "mount umount2 pivot_root fsopen fsconfig fsmount fspick open_tree open_tree_attr move_mount "
     "mount_setattr"},
    {kViolation, 0, kAll, "makes or enters namespaces", "unshare setns"},
    {kViolation, 0, kAll, "opens files by handle, past every path: a known way out of containers",
     "open_by_handle_at"},
    {kViolation, 0, kAll, "loads code into the kernel",
     "bpf init_module finit_module delete_module kexec_load kexec_file_load"},
    {kViolation, 0, kAll, "talks to hardware", "iopl ioperm"},
    {kViolation, 0, kAll, "administers the machine", "reboot swapon swapoff acct"},
};

// clang-format on

// What glibc's pthread_create passes to clone, exactly.
constexpr uint64_t kThreadFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM |
                                  CLONE_SIGHAND | CLONE_THREAD | CLONE_SETTLS |
                                  CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
constexpr uint64_t kForbiddenFlags = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                     CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_PARENT;

// The kernel looks at the low 32 bits of an int only, so rules that refuse must as well; rules that
// allow compare all bits where a caller has no reason to set more.
constexpr uint64_t kLow32 = 0xffffffff;
constexpr uint64_t kUnixFamily = 1;
constexpr uint64_t kQueryPersonality = 0xffffffff;
constexpr uint64_t kCloneFile = 0x40049409;   // FICLONE
constexpr uint64_t kSetVma = 0x53564d41;      // PR_SET_VMA: names for memory
constexpr uint64_t kSetPtracer = 0x59616d61;  // PR_SET_PTRACER

constexpr auto kEqual = ArgumentRule::Comparison::kEqual;
constexpr auto kNotEqual = ArgumentRule::Comparison::kNotEqual;
constexpr auto kMaskedEqual = ArgumentRule::Comparison::kMaskedEqual;

constexpr ArgumentRule Ioctl(uint64_t request, Verdict verdict, int error,
                             std::string_view reason) {
  return {"ioctl", 1, kMaskedEqual, kLow32, request, verdict, error, kAll, reason};
}

constexpr ArgumentRule Prctl(uint64_t option, Verdict verdict, std::string_view reason) {
  return {"prctl", 0,     kMaskedEqual, kLow32, option, verdict, verdict == kErrno ? EPERM : 0,
          kAll,    reason};
}

constexpr ArgumentRule CloneWith(uint64_t flag, std::string_view reason) {
  return {"clone", 0, kMaskedEqual, flag, flag, kViolation, 0, kSubprocesses, reason};
}

constexpr ArgumentRule Node(std::string_view name, int argument, uint64_t type, Verdict verdict,
                            std::string_view reason) {
  return {name, argument, kMaskedEqual, S_IFMT, type, verdict, verdict == kErrno ? EPERM : 0,
          kAll, reason};
}

constexpr std::string_view kHugePages =
    "huge pages are the machine's reserve; no memory limit counts them";
constexpr std::string_view kOwnProcess = "the process's own name and settings";
constexpr std::string_view kNewNamespace = "makes namespaces";
constexpr std::string_view kWeakens = "would undo part of the confinement";
constexpr std::string_view kPlainNode = "ordinary files and pipes";
constexpr std::string_view kDeviceNode = "devices and sockets are not made with it";

constexpr ArgumentRule Fcntl(uint64_t command, Verdict verdict, std::string_view reason) {
  return {"fcntl", 1,     kMaskedEqual, kLow32, command, verdict, verdict == kErrno ? EPERM : 0,
          kAll,    reason};
}

constexpr ArgumentRule SocketQuery(uint64_t option) {
  return {"getsockopt",
          2,
          kMaskedEqual,
          kLow32,
          option,
          kAllow,
          0,
          kAll,
          "what kind of socket it is, and whether it failed"};
}

constexpr std::string_view kDescriptorSettings = "the descriptor's own flags, copies and locks";
constexpr std::string_view kWatchesShared =
    "signals and leases tell what others do with files of the shared image";

constexpr ArgumentRule kRules[] = {
    {"clone", 0, kEqual, 0, kThreadFlags, kAllow, 0, kThreadsOnly, "threads"},
    {"clone", 0, kNotEqual, 0, kThreadFlags, kErrno, EPERM, kThreadsOnly, "subprocesses are off"},
    {"clone", 0, kMaskedEqual, kForbiddenFlags, 0, kAllow, 0, kSubprocesses,
     "threads and processes"},
    CloneWith(CLONE_NEWNS, kNewNamespace),
    CloneWith(CLONE_NEWCGROUP, kNewNamespace),
    CloneWith(CLONE_NEWUTS, kNewNamespace),
    CloneWith(CLONE_NEWIPC, kNewNamespace),
    CloneWith(CLONE_NEWUSER, kNewNamespace),
    CloneWith(CLONE_NEWPID, kNewNamespace),
    CloneWith(CLONE_NEWNET, kNewNamespace),
    CloneWith(CLONE_PARENT, "makes a child of the zygote, outside the sandbox's family"),

    {"mmap", 3, kMaskedEqual, MAP_HUGETLB, 0, kAllow, 0, kAll,
     "memory; executable too, since libffi and compilers of hot code need it"},
    {"mmap", 3, kMaskedEqual, MAP_HUGETLB, MAP_HUGETLB, kErrno, ENOMEM, kAll, kHugePages},
    {"memfd_create", 1, kMaskedEqual, MFD_HUGETLB, 0, kAllow, 0, kAll, "memory with a descriptor"},
    {"memfd_create", 1, kMaskedEqual, MFD_HUGETLB, MFD_HUGETLB, kErrno, ENOMEM, kAll, kHugePages},

    {"socketpair", 0, kEqual, 0, kUnixFamily, kAllow, 0, kAll, "asyncio wakes itself through one"},
    {"socketpair", 0, kNotEqual, 0, kUnixFamily, kErrno, EPERM, kAll, "no network"},

    SocketQuery(SO_TYPE),
    SocketQuery(SO_ERROR),
    SocketQuery(SO_SNDBUF),
    SocketQuery(SO_RCVBUF),
    SocketQuery(SO_ACCEPTCONN),
    SocketQuery(SO_PROTOCOL),
    SocketQuery(SO_DOMAIN),

    Fcntl(F_DUPFD, kAllow, kDescriptorSettings),
    Fcntl(F_DUPFD_CLOEXEC, kAllow, kDescriptorSettings),
    Fcntl(F_GETFD, kAllow, kDescriptorSettings),
    Fcntl(F_SETFD, kAllow, kDescriptorSettings),
    Fcntl(F_GETFL, kAllow, kDescriptorSettings),
    Fcntl(F_SETFL, kAllow, kDescriptorSettings),
    Fcntl(F_GETLK, kAllow, kDescriptorSettings),
    Fcntl(F_SETLK, kAllow, kDescriptorSettings),
    Fcntl(F_SETLKW, kAllow, kDescriptorSettings),
    Fcntl(F_OFD_GETLK, kAllow, kDescriptorSettings),
    Fcntl(F_OFD_SETLK, kAllow, kDescriptorSettings),
    Fcntl(F_OFD_SETLKW, kAllow, kDescriptorSettings),
    Fcntl(F_GETPIPE_SZ, kAllow, kDescriptorSettings),
    Fcntl(F_ADD_SEALS, kAllow, kDescriptorSettings),
    Fcntl(F_GET_SEALS, kAllow, kDescriptorSettings),
    Fcntl(F_NOTIFY, kErrno, kWatchesShared),
    Fcntl(F_SETLEASE, kErrno, kWatchesShared),
    Fcntl(F_SETSIG, kErrno, kWatchesShared),
    Fcntl(F_SETOWN, kErrno, kWatchesShared),
    Fcntl(F_SETOWN_EX, kErrno, kWatchesShared),
    Fcntl(F_SETPIPE_SZ, kErrno, "pipe pages come out of one quota for all"),

    {"preadv2", 5, kEqual, 0, 0, kAllow, 0, kAll, "as preadv"},
    {"preadv2", 5, kNotEqual, 0, 0, kErrno, EOPNOTSUPP, kAll,
     "RWF_NOWAIT tells what is in the page cache"},
    {"pwritev2", 5, kEqual, 0, 0, kAllow, 0, kAll, "as pwritev"},
    {"pwritev2", 5, kNotEqual, 0, 0, kErrno, EOPNOTSUPP, kAll, "flags past the filter's knowledge"},

    {"personality", 0, kEqual, 0, kQueryPersonality, kAllow, 0, kAll, "asking changes nothing"},
    {"personality", 0, kNotEqual, 0, kQueryPersonality, kErrno, EPERM, kAll,
     "switches protections of memory off"},

    {"prlimit64", 0, kEqual, 0, 0, kAllow, 0, kAll, "own limits"},
    {"prlimit64", 0, kNotEqual, 0, 0, kErrno, EPERM, kAll, "limits of other processes"},

    Ioctl(FIONREAD, kAllow, 0, "bytes waiting"),
    Ioctl(FIONBIO, kAllow, 0, "how sockets become non-blocking"),
    Ioctl(FIOCLEX, kAllow, 0, "how descriptors become close-on-exec"),
    Ioctl(FIONCLEX, kAllow, 0, "how descriptors become close-on-exec"),
    Ioctl(kCloneFile, kErrno, EOPNOTSUPP, "pathlib tries to share blocks, then copies"),
    Ioctl(TIOCSTI, kViolation, 0, "types into another's terminal"),
    Ioctl(TIOCLINUX, kViolation, 0, "pastes into another's terminal"),

    Prctl(PR_SET_NAME, kAllow, kOwnProcess),
    Prctl(PR_GET_NAME, kAllow, kOwnProcess),
    Prctl(PR_GET_DUMPABLE, kAllow, kOwnProcess),
    Prctl(PR_SET_PDEATHSIG, kErrno, kWeakens),
    Prctl(PR_GET_PDEATHSIG, kAllow, kOwnProcess),
    Prctl(PR_SET_TIMERSLACK, kAllow, kOwnProcess),
    Prctl(PR_GET_TIMERSLACK, kAllow, kOwnProcess),
    Prctl(PR_GET_SECCOMP, kAllow, kOwnProcess),
    Prctl(PR_GET_NO_NEW_PRIVS, kAllow, kOwnProcess),
    Prctl(PR_SET_NO_NEW_PRIVS, kAllow, kOwnProcess),
    Prctl(PR_CAPBSET_READ, kAllow, kOwnProcess),
    Prctl(PR_GET_SECUREBITS, kAllow, kOwnProcess),
    Prctl(PR_GET_THP_DISABLE, kAllow, kOwnProcess),
    Prctl(PR_SET_THP_DISABLE, kAllow, kOwnProcess),
    Prctl(kSetVma, kAllow, kOwnProcess),
    Prctl(PR_SET_DUMPABLE, kErrno, kWeakens),
    Prctl(kSetPtracer, kErrno, kWeakens),
    Prctl(PR_SET_SECCOMP, kErrno, kWeakens),
    Prctl(PR_CAPBSET_DROP, kErrno, kWeakens),
    Prctl(PR_SET_SECUREBITS, kErrno, kWeakens),
    Prctl(PR_SET_KEEPCAPS, kErrno, kWeakens),
    Prctl(PR_CAP_AMBIENT, kErrno, kWeakens),
    Prctl(PR_SET_MM, kErrno, kWeakens),
    Prctl(PR_SET_CHILD_SUBREAPER, kErrno, kWeakens),
    Prctl(PR_SET_SPECULATION_CTRL, kErrno, kWeakens),

    Node("mknod", 1, 0, kAllow, kPlainNode),
    Node("mknod", 1, S_IFREG, kAllow, kPlainNode),
    Node("mknod", 1, S_IFIFO, kAllow, kPlainNode),
    Node("mknod", 1, S_IFCHR, kErrno, kDeviceNode),
    Node("mknod", 1, S_IFBLK, kErrno, kDeviceNode),
    Node("mknod", 1, S_IFSOCK, kErrno, kDeviceNode),
    Node("mknodat", 2, 0, kAllow, kPlainNode),
    Node("mknodat", 2, S_IFREG, kAllow, kPlainNode),
    Node("mknodat", 2, S_IFIFO, kAllow, kPlainNode),
    Node("mknodat", 2, S_IFCHR, kErrno, kDeviceNode),
    Node("mknodat", 2, S_IFBLK, kErrno, kDeviceNode),
    Node("mknodat", 2, S_IFSOCK, kErrno, kDeviceNode),
};

}  // namespace

absl::Span<const SyscallGroup> SyscallGroups() { return kGroups; }

absl::Span<const ArgumentRule> ArgumentRules() { return kRules; }

}  // namespace cloister::sandbox
