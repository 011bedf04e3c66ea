/* words.h - the words that ids are made of: plain, friendly, easy to tell apart. One space between them. */
#ifndef SL_PLATFORM_WORDS_H
#define SL_PLATFORM_WORDS_H

#include <stdint.h>

#define SL_ADJECTIVES 1080u
#define SL_NOUNS 1338u
extern const char sl_adjectives[];
extern const char sl_nouns[];

#endif
