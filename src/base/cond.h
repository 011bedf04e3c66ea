/* cond.h - condition variables that wait by the monotonic clock: a change of the time of day neither shortens nor prolongs a wait.
 *
 * A condition belongs to one mutex, held around the wait, as always.
 */
#ifndef SL_BASE_COND_H
#define SL_BASE_COND_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Ended by pthread_cond_destroy(). */
void sl_cond_init(pthread_cond_t *cond);
/* Until signalled or `until` (sl_mono_us()). False once that time has passed. It may also wake for nothing. */
bool sl_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until);

#endif
