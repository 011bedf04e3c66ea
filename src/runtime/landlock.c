#include "runtime/landlock.h"

#include <errno.h>
#include <stdint.h>

#if defined(__linux__)

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's numbers, written out: the headers of a build machine may be older than the kernel it runs on. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif
#define QUERY_VERSION 1u
#define RULE_PATH_BENEATH 1

#define EXECUTE (1ull << 0)
#define WRITE_FILE (1ull << 1)
#define READ_FILE (1ull << 2)
#define READ_DIR (1ull << 3)
#define MAKE_CHAR (1ull << 6)
#define MAKE_BLOCK (1ull << 11)
#define TRUNCATE (1ull << 14)
#define IOCTL_DEV (1ull << 15)
#define OF_FILES (EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV)

struct ruleset {
    uint64_t files, net, scoped;
};

struct beneath {
    uint64_t access;
    int32_t parent;
} __attribute__((packed));

/* Rights on files that each version knows. */
static uint64_t
known(int version)
{
    if (version >= 5)
        return (1ull << 16) - 1; /* + ioctl on devices */
    if (version >= 3)
        return (1ull << 15) - 1; /* + truncate */
    if (version == 2)
        return (1ull << 14) - 1; /* + rename between folders */
    return (1ull << 13) - 1;
}

int
sl_landlock_version(void)
{
    long v = syscall(SYS_landlock_create_ruleset, NULL, 0, QUERY_VERSION);

    return v > 0 ? (int)v : 0;
}

int
sl_landlock_open(int version)
{
    struct ruleset set = { .files = known(version) };
    size_t size = sizeof set.files;

    if (version >= 6) { /* abstract sockets and signals stay inside */
        set.scoped = 3;
        size = sizeof set;
    }
    return (int)syscall(SYS_landlock_create_ruleset, &set, size, 0);
}

int
sl_landlock_allow(int ruleset, int version, const char *path, enum sl_access access)
{
    static const uint64_t rights[] = {
        [SL_ACCESS_READ] = EXECUTE | READ_FILE | READ_DIR,
        [SL_ACCESS_WRITE] = ~(MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV),
        [SL_ACCESS_DEVICE] = READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV,
    };
    struct beneath rule = { .access = rights[access] & known(version) };
    struct stat st;
    int e = 0;

    rule.parent = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent < 0)
        return errno == ENOENT ? 0 : errno;
    if (fstat(rule.parent, &st) != 0)
        e = errno;
    if (!S_ISDIR(st.st_mode))
        rule.access &= OF_FILES;
    if (e == 0 && syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) != 0)
        e = errno;
    close(rule.parent);
    return e;
}

int
sl_landlock_enter(int ruleset)
{
    return syscall(SYS_landlock_restrict_self, ruleset, 0) == 0 ? 0 : errno;
}

#else

int
sl_landlock_version(void)
{
    errno = ENOSYS;
    return 0;
}

int
sl_landlock_open(int version)
{
    (void)version;
    errno = ENOSYS;
    return -1;
}

int
sl_landlock_allow(int ruleset, int version, const char *path, enum sl_access access)
{
    (void)ruleset, (void)version, (void)path, (void)access;
    return ENOSYS;
}

int
sl_landlock_enter(int ruleset)
{
    (void)ruleset;
    return ENOSYS;
}

#endif
