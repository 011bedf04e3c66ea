#include "platform/words.h"

const char sl_adjectives[] = "calm brisk gentle amber bright quiet early golden";
const char sl_nouns[] = "river meadow harbor lantern maple orchard summit valley";
