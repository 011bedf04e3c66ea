/* banned.h - calls that have no safe use here become compile errors. Included by -include from meson.build,
 * after the system headers have been seen. */
#ifndef SL_BASE_BANNED_H
#define SL_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef alloca
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok atoi atol atoll gets
#pragma GCC poison localtime gmtime asctime ctime system popen alloca tmpnam mktemp

#endif
