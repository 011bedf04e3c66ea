/* schedule.h - when a connection runs next. Pure: time comes in as an argument.
 *
 * Slots of an interval lie at fixed instants: multiples of the interval since the epoch, moved by an offset of the
 * connection's own (hash of its id), so that a thousand connections with one interval spread over it. A slot is computed,
 * never slept for: what a restart or a busy server missed is due at once, once, however many slots passed.
 */
#ifndef SL_PLATFORM_SCHEDULE_H
#define SL_PLATFORM_SCHEDULE_H

#include "platform/store.h"

/* 1, 5, 15, 30, 60, 120, 180, 360, 480, 720, 1440. */
bool sl_frequency_ok(int64_t minutes);
/* All of them as text, for messages. */
const char *sl_frequencies(void);
/* Neither paused nor left to triggers. */
bool sl_runs_by_itself(const struct sl_connection *c);
/* First slot after `after`; 0 for manual or paused. daily_sync_time is UTC moved by the destination's offset in hours. */
int64_t sl_next_slot(const struct sl_connection *c, int zone_hours, int64_t after);
/* Slots in (from, to]: what a late run merges. */
int64_t sl_slots_between(const struct sl_connection *c, int zone_hours, int64_t from, int64_t to);
/* Wait after the n-th failure in a row: 1, 2, 4 … 60 minutes, ±10 % by `random` (any 32 bits). Microseconds. */
int64_t sl_backoff_us(int64_t failures, uint32_t random);
/* Whether it is shown as delayed at `now`: due and not started for a minute and a tenth of its interval. */
bool sl_is_delayed(const struct sl_connection *c, int64_t now);

#endif
