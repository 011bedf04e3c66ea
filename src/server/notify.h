/* notify.h - telling the service manager how the server is: systemd's Type=notify, or anything that speaks its protocol. */
#ifndef SL_SERVER_NOTIFY_H
#define SL_SERVER_NOTIFY_H

/* "READY=1", "STOPPING=1", "STATUS=serving http://…"; several are separated by newlines. Does nothing unless NOTIFY_SOCKET names a
 * socket, and never fails: a manager that does not listen is no reason not to serve. */
void sl_notify(const char *state);

/* Call once at start, before any thread or program is started: remembers the socket and takes the variable out of the
 * environment, so that no program of ours speaks for us. */
void sl_notify_begin(void);

#endif
