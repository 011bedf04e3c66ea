/* file.h - paths and whole files: what the commands need around the edges.
 *
 * Paths are NUL-terminated, made with sl_path_join() and freed by the caller. Nothing here follows a caller's buffer:
 * results are new memory.
 */
#ifndef SL_RUNTIME_FILE_H
#define SL_RUNTIME_FILE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* The largest project text file read whole (configuration, state, requirements). A state has no documented limit;
 * one frame, 1 GiB, is the largest that could be sent. */
#define SL_TEXT_FILE_MAX (1u << 30)

char *sl_path_join(const char *dir, const char *name);
char *sl_path_dir(const char *path);        /* "a/b" -> "a"; "b" -> "." */
const char *sl_path_base(const char *path); /* lent: the part after the last slash */
char *sl_path_real(const char *path);       /* NULL if it is not there */
bool sl_is_file(const char *path);
bool sl_is_dir(const char *path);
bool sl_exists(const char *path); /* also a broken symbolic link */

SL_MUST_CHECK sl_rc sl_mkdirs(const char *path, struct sl_err *err);
/* Appends the file to buf, which the caller has initialised. */
SL_MUST_CHECK sl_rc sl_file_read(const char *path, struct sl_buf *buf, struct sl_err *err);
/* Replaces the file atomically: temporary name, fsync, rename, fsync of the directory when `durable`. */
SL_MUST_CHECK sl_rc sl_file_write(const char *path, struct sl_bytes text, bool durable,
                                  struct sl_err *err);
/* The same for a secret: readable by its owner only, durable. */
SL_MUST_CHECK sl_rc sl_file_write_private(const char *path, struct sl_bytes text,
                                          struct sl_err *err);
/* What was written to this file, or the names in this folder, survive a loss of power. */
SL_MUST_CHECK sl_rc sl_file_sync(const char *path, struct sl_err *err);
/* Removes a file or a directory with all that is in it. Symbolic links are removed, not followed. Absent is fine. */
SL_MUST_CHECK sl_rc sl_remove_tree(const char *path, struct sl_err *err);
enum sl_tree_mode {
    SL_TREE_AS_IS, /* permissions stay */
    SL_TREE_SHARED /* folders 0755, files 0644 or 0755; what is no file, folder or link is removed */
};
/* Makes a user (uid and group of that number) the owner of a folder and all that is in it, as far as we may. Nothing is followed,
 * other mounts are left alone, and so is a file that has another name elsewhere. Nobody may change the tree meanwhile. */
SL_MUST_CHECK sl_rc sl_tree_give(const char *dir, unsigned uid, enum sl_tree_mode mode,
                                 struct sl_err *err);
/* Opens and locks (flock). `wait` blocks; else SL_E_LOCKED when another process has it. *fd is close-on-exec. */
SL_MUST_CHECK sl_rc sl_lock_file(const char *path, bool wait, int *fd, struct sl_err *err);

/* Names in a directory, sorted bytewise, without "." and "..". NULL-terminated; sl_names_free() ends it. */
SL_MUST_CHECK sl_rc sl_dir_names(const char *path, char ***names, struct sl_err *err);
void sl_names_free(char **names);

/* First executable file of this name on PATH; `skip` of them are passed over. NULL when there is none. */
char *sl_find_program(const char *name, int skip);
/* A decimal number within the bounds; false for anything else. */
bool sl_parse_i64(const char *s, int64_t min, int64_t max, int64_t *out);
/* "512M", "2GiB", "1.5G", "100000": bytes. */
bool sl_parse_size(const char *s, uint64_t *out);
/* 128 bits of BLAKE2b as 32 hex digits and a NUL. */
void sl_hash_hex(struct sl_bytes text, char out[33]);
/* SHA-256 of a file as 64 hex digits and a NUL. */
SL_MUST_CHECK sl_rc sl_file_sha256(const char *path, char out[65], struct sl_err *err);

#endif
