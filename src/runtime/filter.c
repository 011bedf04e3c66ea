#include "runtime/filter.h"

#include "base/buf.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#ifdef __linux__

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct sl_filter {
    struct sock_fprog program;
};

/* What a connector has no use for, by the harm it does. Names, as not every architecture has all of them. */
static const struct {
    const char *name;
    int error;
} denied[] = {
    /* other processes */
    { "ptrace", EPERM },
    { "process_vm_readv", EPERM },
    { "process_vm_writev", EPERM },
    { "process_madvise", EPERM },
    { "pidfd_getfd", EPERM },
    { "kcmp", EPERM },
    { "perf_event_open", EPERM },
    /* namespaces and mounts. clone3 hides its flags behind a pointer: ENOSYS makes libc use clone */
    { "unshare", EPERM },
    { "setns", EPERM },
    { "clone3", ENOSYS },
    { "mount", EPERM },
    { "umount", EPERM },
    { "umount2", EPERM },
    { "pivot_root", EPERM },
    { "chroot", EPERM },
    { "open_tree", EPERM },
    { "move_mount", EPERM },
    { "fsopen", EPERM },
    { "fsconfig", EPERM },
    { "fsmount", EPERM },
    { "fspick", EPERM },
    { "mount_setattr", EPERM },
    { "open_by_handle_at", EPERM },
    { "name_to_handle_at", EPERM },
    { "quotactl", EPERM },
    { "quotactl_fd", EPERM },
    { "fanotify_init", EPERM },
    /* large, and again and again the way into the kernel */
    { "bpf", EPERM },
    { "io_uring_setup", ENOSYS },
    { "io_uring_enter", ENOSYS },
    { "io_uring_register", ENOSYS },
    { "userfaultfd", EPERM },
    { "modify_ldt", EPERM },
    { "vm86", EPERM },
    { "vm86old", EPERM },
    { "remap_file_pages", EPERM },
    { "vmsplice", EPERM },
    { "add_key", EPERM },
    { "keyctl", EPERM },
    { "request_key", EPERM },
    { "personality", EPERM },
    { "lookup_dcookie", EPERM },
    { "uselib", EPERM },
    { "nfsservctl", EPERM },
    { "_sysctl", EPERM },
    { "sysfs", EPERM },
    { "ustat", EPERM },
    /* the machine */
    { "init_module", EPERM },
    { "finit_module", EPERM },
    { "delete_module", EPERM },
    { "create_module", EPERM },
    { "query_module", EPERM },
    { "get_kernel_syms", EPERM },
    { "kexec_load", EPERM },
    { "kexec_file_load", EPERM },
    { "reboot", EPERM },
    { "swapon", EPERM },
    { "swapoff", EPERM },
    { "acct", EPERM },
    { "syslog", EPERM },
    { "settimeofday", EPERM },
    { "clock_settime", EPERM },
    { "clock_settime64", EPERM },
    { "clock_adjtime", EPERM },
    { "clock_adjtime64", EPERM },
    { "adjtimex", EPERM },
    { "stime", EPERM },
    { "sethostname", EPERM },
    { "setdomainname", EPERM },
    { "vhangup", EPERM },
    { "ioperm", EPERM },
    { "iopl", EPERM },
    { "move_pages", EPERM },
    { "migrate_pages", EPERM },
};

/* getaddrinfo() asks the kernel for the machine's addresses through AF_NETLINK. */
static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };

static bool
is_allowed_family(int family)
{
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        if (families[i] == family)
            return true;
    return false;
}

static int
deny_sockets(scmp_filter_ctx ctx)
{
    const int inet[] = { AF_INET, AF_INET6 };
    const int raw[] = { SOCK_RAW, SOCK_PACKET };
    int r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                             SCMP_A0(SCMP_CMP_GT, AF_MAX, 0));

    for (int f = 0; r == 0 && f <= AF_MAX; f++)
        if (!is_allowed_family(f))
            r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)f, 0));
    for (int i = 0; r == 0 && i < 4; i++)
        r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 2,
                             SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)inet[i / 2], 0),
                             SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, (scmp_datum_t)raw[i % 2]));
    return r;
}

static int
deny_arguments(scmp_filter_ctx ctx)
{
    static const unsigned spaces[] = { CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                       CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET };
    int r = 0;

    for (size_t i = 0; r == 0 && i < sizeof spaces / sizeof spaces[0]; i++)
#ifdef __s390x__ /* its clone has the stack first */
        r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                             SCMP_A1(SCMP_CMP_MASKED_EQ, spaces[i], spaces[i]));
#else
        r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                             SCMP_A0(SCMP_CMP_MASKED_EQ, spaces[i], spaces[i]));
#endif
    /* Typing into a terminal. The kernel looks at the lower 32 bits only. */
    if (r == 0)
        r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                             SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, TIOCSTI));
    return r != 0 ? r : deny_sockets(ctx);
}

static int
add_rules(scmp_filter_ctx ctx, bool one_session)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < sizeof denied / sizeof denied[0]; i++) {
        int nr = seccomp_syscall_resolve_name(denied[i].name);

        if (nr >= 0) /* below: not of this architecture */
            r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO((unsigned)denied[i].error), nr, 0);
    }
    if (r == 0 && one_session)
        r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(0), SCMP_SYS(setsid), 0);
    if (r == 0 && one_session)
        r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(0), SCMP_SYS(setpgid), 0);
    return r != 0 ? r : deny_arguments(ctx);
}

/* The compiled program as the kernel takes it; libseccomp writes it to a descriptor. */
static struct sl_filter *export(scmp_filter_ctx ctx)
{
    struct sl_filter *filter = NULL;
    int fd = memfd_create("sluice-filter", MFD_CLOEXEC);
    off_t size;
    void *code;

    if (fd < 0)
        return NULL;
    size = seccomp_export_bpf(ctx, fd) == 0 ? lseek(fd, 0, SEEK_END) : 0;
    if (size > 0) {
        code = sl_alloc((size_t)size);
        if (pread(fd, code, (size_t)size, 0) == (ssize_t)size) {
            filter = sl_zalloc(1, sizeof *filter);
            filter->program.len = (unsigned short)((size_t)size / sizeof(struct sock_filter));
            filter->program.filter = code;
        } else {
            free(code);
        }
    }
    close(fd);
    return filter;
}

static struct sl_filter *
compile(bool one_session)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    struct sl_filter *filter = NULL;

    if (ctx == NULL)
        return NULL;
    /* Another architecture's calls have other numbers: 32-bit programs end at once. */
    if (seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0 &&
        add_rules(ctx, one_session) == 0) {
        (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */
        filter = export(ctx);
    }
    seccomp_release(ctx);
    return filter;
}

static struct sl_filter *filters[2];
static const char *missing;

static void
compile_both(void)
{
    const unsigned action = SECCOMP_RET_KILL_PROCESS;

    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0) {
        missing = "this kernel has no seccomp filters";
        return;
    }
    for (int i = 0; i < 2; i++)
        filters[i] = compile(i == 1);
    if (filters[0] == NULL || filters[1] == NULL)
        missing = "libseccomp could not compile the filter";
}

const struct sl_filter *
sl_filter_get(bool one_session, const char **why)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, compile_both);
    *why = missing;
    return missing == NULL ? filters[one_session] : NULL;
}

int
sl_filter_enter(const struct sl_filter *filter)
{
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter->program) == 0 ? 0 : errno;
}

#else

const struct sl_filter *
sl_filter_get(bool one_session, const char **why)
{
    (void)one_session;
    *why = "this system has no seccomp";
    return NULL;
}

int
sl_filter_enter(const struct sl_filter *filter)
{
    (void)filter;
    return ENOSYS;
}

#endif
