/* time.h - the only clocks. Durations come from the monotonic one, stored instants are UTC microseconds.
 *
 * In builds with -Dfaults=true, SL_TIME_FILE names a file with a decimal number of microseconds that is added to
 * sl_now_us(); it is read again every 20 ms, so that tests can move the clock of a running server.
 */
#ifndef SL_BASE_TIME_H
#define SL_BASE_TIME_H

#include <stdint.h>

int64_t sl_now_us(void);  /* UTC, microseconds since 1970-01-01 */
int64_t sl_mono_us(void); /* monotonic microseconds */
/* "HH:MM:SS.mmm" in local time, as the console lines begin. out needs 13 bytes. */
void sl_clock_text(int64_t utc_us, char out[16]);

#endif
