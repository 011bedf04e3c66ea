/* cgroup.h - one control group for a jail: memory, number of processes, and the way to end all that is in it.
 *
 * v1: a folder of that name in the memory and in the pids hierarchy, below the folders this process is in.
 * v2: a folder below the cgroup this process was started in. A cgroup with processes of its own cannot hand memory limits to others,
 *     so this process first moves into a child, SL_CGROUP_SERVER. That is allowed where the cgroup was delegated (systemd: Delegate=yes)
 *     or holds nothing but this process (a container); root elsewhere uses <root>/sluice.
 *
 * The paths of the cgroup tree and of /proc/self/cgroup are arguments, for tests with a tree of plain files.
 * Threads: sl_cgroup_find() once, before the others; then any.
 */
#ifndef SL_RUNTIME_CGROUP_H
#define SL_RUNTIME_CGROUP_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define SL_CGROUP_ROOT "/sys/fs/cgroup"
#define SL_CGROUP_SELF "/proc/self/cgroup"
#define SL_CGROUP_SERVER "sluice.server"

/* Where cgroups of ours can be made. */
struct sl_cgroup_base {
    int version;      /* 0: nowhere */
    char *memory;     /* folder; NULL: no memory limit. Under v2 both are the same folder */
    char *pids;       /* folder; NULL: no limit of processes */
    char *tree;       /* where sl_cgroup_sweep() looks */
    char reason[256]; /* why something is NULL */
};

void sl_cgroup_find(struct sl_cgroup_base *base, const char *root, const char *self);
void sl_cgroup_base_free(struct sl_cgroup_base *base);

struct sl_cgroup;

/* memory 0: unlimited. A hierarchy that the base does not have is left out. */
SL_MUST_CHECK sl_rc sl_cgroup_new(struct sl_cgroup **out, const struct sl_cgroup_base *base,
                                  const char *name, uint64_t memory, int processes,
                                  struct sl_err *err);
bool sl_cgroup_limits_memory(const struct sl_cgroup *cg);
bool sl_cgroup_limits_processes(const struct sl_cgroup *cg);
/* Moves the calling process in; async-signal-safe. 0 or errno. */
int sl_cgroup_enter(const struct sl_cgroup *cg);
bool sl_cgroup_oom_killed(const struct sl_cgroup *cg);
uint64_t sl_cgroup_peak(const struct sl_cgroup *cg); /* 0: unknown */
void sl_cgroup_kill(struct sl_cgroup *cg);           /* and waits, at most 2 s */
void sl_cgroup_free(struct sl_cgroup *cg);           /* kills and removes; NULL is fine */

void sl_cgroup_sweep(const struct sl_cgroup_base *base, const char *prefix);

#endif
