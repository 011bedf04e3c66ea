/* engine_main.h - the body of an engine process (`sluiced _engine`, fd 3).
 *
 * `fd` is the control socket of sl_engines: each message on it brings the socket of one session. A session runs on a thread with
 * its own connection to the destination. The process ends when the control socket closes (sessions are stopped at once), when
 * the starting thread of its parent dies, or after it had no session for the idle time it was told. It ignores SIGINT and SIGTERM:
 * the server decides. No core dumps: configurations pass through its memory.
 */
#ifndef SL_WORKER_ENGINE_MAIN_H
#define SL_WORKER_ENGINE_MAIN_H

/* Returns the exit code of the process. Call it first thing in main(): it closes every other descriptor above 2. */
int sl_engine_main(int fd);

#endif
