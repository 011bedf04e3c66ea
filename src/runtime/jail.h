/* jail.h - walls around a program that is not ours: a connector, an installer.
 *
 * A jail is made for one sync or one install, entered by each of its programs between fork and exec (sl_start does
 * that), and ended as a whole. Its walls, as far as the system and our rights offer them:
 *
 *   user               an own uid and gid, no capability
 *   cgroup v1 or v2    memory and number of processes; what is in it can be ended whatever it did to hide
 *   own view of files  a mount namespace with nothing in it but the work folder, what may be read, and system libraries; /proc
 *                      shows the jail's own processes
 *   landlock           the same list as rules of the kernel; no signal and no abstract socket out of the jail
 *   seccomp            a list of system calls that no connector needs
 *   no new privileges, limits on file size, open files and core dumps, an own session, the end with our process
 *
 * The network stays open: a connector must reach its source. It can therefore reach this machine's own ports.
 *
 * Where a wall cannot stand, sl_jail_walls() says so with the reason. Without a cgroup the memory of each single process is limited
 * (RLIMIT_DATA), and a program cannot leave its process group (setsid and setpgid do nothing), so that ending the group ends all.
 *
 * Threads: one jail belongs to one thread at a time; jails of different threads are independent.
 */
#ifndef SL_RUNTIME_JAIL_H
#define SL_RUNTIME_JAIL_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sl_jail;

enum sl_sandbox {
    SL_SANDBOX_OFF,  /* no wall at all */
    SL_SANDBOX_BEST, /* what can stand */
    SL_SANDBOX_REQUIRE /* SL_E_ENV naming the wall that cannot stand; the view of files may be missing */
};

/* Connectors start a few dozen threads (numpy, Arrow); more than this is a mistake or an attack. */
#define SL_JAIL_PROCESSES 64

struct sl_jail_conf {
    enum sl_sandbox mode;
    const char *name; /* unique among those that run: "sync-<id>"; the cgroup's name */
    /* The folder it may write; exists. It and all in it is handed to `uid`; `tmp` is made in it. No other process may be at work in
     * it at that time. */
    const char *work;
    /* NULL-terminated: further folders and files it may read and execute. One inside `work` is read-only where there is a view of
     * files, and writable like the rest of `work` where there is none. Symbolic links in them must lead to something listed. */
    const char *const *read;
    const char *const *
        write; /* NULL-terminated, may be NULL: further folders it may write; handed over themselves, not what is in them */
    unsigned uid;    /* own user and group when we are root, of nobody else at that time; 0: none */
    uint64_t memory; /* bytes; 0: no limit */
    int processes;   /* and threads; 0: SL_JAIL_PROCESSES */
    uint64_t file_size; /* RLIMIT_FSIZE; 0: no limit */
};

SL_MUST_CHECK sl_rc sl_jail_new(struct sl_jail **out, const struct sl_jail_conf *conf,
                                struct sl_err *err);
/* What stands, and what is missing and why: "user 20001, cgroup v1 (memory 1024 MiB, 64 processes), own view of files, landlock 7,
 * seccomp, no new privileges". Lent. */
const char *sl_jail_walls(const struct sl_jail *jail);

/* In the forked child, with this process's rights and before its last chdir(): async-signal-safe. 0 or errno. The parent-death signal
 * is set (again: a change of user clears it); the caller compares getppid() afterwards. */
int sl_jail_enter(const struct sl_jail *jail);
/* The step that sl_jail_enter() failed at in this process: "mount /usr". Static. */
const char *sl_jail_failed_at(void);

/* The memory wall was hit: the kernel ended a process of the jail. Without a cgroup nobody knows: false. */
bool sl_jail_out_of_memory(const struct sl_jail *jail);
uint64_t sl_jail_peak(const struct sl_jail *jail); /* bytes at most in use; 0: unknown */

/* Ends everything in it, also what left the process group, and waits for that at most 2 s. The jail can be entered
 * again. */
void sl_jail_kill(struct sl_jail *jail);
void sl_jail_free(
    struct sl_jail *jail); /* kills, removes the cgroup; the work folder stays. NULL is fine */

/* The program that entered: sl_start tells, so that a jail without a cgroup knows which process group to end; 0 once it was waited
 * for. */
void sl_jail_note(const struct sl_jail *jail, pid_t pid);

/* Ends and removes cgroups a killed server left, those whose name begins with `prefix`. At start, before any jail is made and any
 * process is started: under cgroup v2 this process moves into a cgroup of its own, to be allowed to make others. */
void sl_jail_sweep(const char *prefix);

#endif
