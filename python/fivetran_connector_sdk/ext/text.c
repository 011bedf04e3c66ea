/* text.c - numbers and dates from and to text. */
#include "frames.h"

#include <float.h>
#include <math.h>

static const char pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

/* All are exact in binary64: up to 10^22 a power of ten fits its 53 bits. */
static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18 };

/* Write value in decimal, right-aligned so that it ends before `end`; return its start. */
static char *
digits_before(uint64_t value, char *end)
{
    while (value >= 100) {
        end -= 2;
        memcpy(end, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        end -= 2;
        memcpy(end, pairs + value * 2, 2);
    } else {
        *--end = (char)('0' + value);
    }
    return end;
}

static int
u64_text(uint64_t value, char *to)
{
    char room[20];
    char *start = digits_before(value, room + sizeof(room));
    size_t size = (size_t)(room + sizeof(room) - start);

    memcpy(to, start, size);
    return (int)size;
}

int
sl_i64_text(int64_t value, char *to)
{
    if (value >= 0)
        return u64_text((uint64_t)value, to);
    *to = '-';
    return 1 + u64_text(0 - (uint64_t)value, to + 1);
}

/* Write m / 10^places with all its decimals. */
static int
fixed_text(uint64_t m, int places, char *to)
{
    char room[24];
    char *end = room + sizeof(room);
    char *start = digits_before(m, end);
    int size;

    while (end - start <= places)
        *--start = '0';
    size = (int)(end - start);
    memcpy(to, start, (size_t)(size - places));
    to[size - places] = '.';
    memcpy(to + size - places + 1, end - places, (size_t)places);
    return size + 1;
}

/* Write the shortest text of `a`, 1e-4 <= a < 2^53, if it is integral or has at most 15 digits; return 0 if it has more.
 *
 * Two different decimals of 15 digits are never the same binary64. So when m / 10^places, rounded
 * once by the division of two exact numbers, is `a` again and m has at most 15 digits, then m
 * without its trailing zeros is the shortest text, the one repr() finds. */
static int
short_text(double a, char *to)
{
    static const double limits[] = { 1e-3, 1e-2, 1e-1, 1e0,  1e1,  1e2,  1e3,  1e4,  1e5, 1e6,
                                     1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15 };
    int places = 18;
    double scaled;
    uint64_t m;

    if (a == floor(a)) {
        int size = u64_text((uint64_t)a, to);
        memcpy(to + size, ".0", 2);
        return size + 2;
    }
    if (FLT_EVAL_METHOD != 0 || a >= 1e15)
        return 0;
    for (int i = 0; a >= limits[i]; i++)
        places--;
    scaled = a * powers[places];
    m = (uint64_t)(scaled + 0.5);
    if (m >= UINT64_C(1000000000000000) || (double)m / powers[places] != a)
        return 0;
    if (m % 100000000 == 0) {
        m /= 100000000;
        places -= 8;
    }
    if (m % 10000 == 0) {
        m /= 10000;
        places -= 4;
    }
    while (m % 10 == 0) {
        m /= 10;
        places--;
    }
    return fixed_text(m, places, to);
}

/* 10^i in 128 bits with the top bit set; exact, as 10^22 has 74 bits. */
struct wide {
    uint64_t high, low;
};
static const struct wide tens[] = {
    { UINT64_C(0x8000000000000000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0xa000000000000000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0xc800000000000000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0xfa00000000000000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0x9c40000000000000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0xc350000000000000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0xf424000000000000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0x9896800000000000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0xbebc200000000000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0xee6b280000000000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0x9502f90000000000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0xba43b74000000000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0xe8d4a51000000000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0x9184e72a00000000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0xb5e620f480000000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0xe35fa931a0000000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0x8e1bc9bf04000000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0xb1a2bc2ec5000000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0xde0b6b3a76400000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0x8ac7230489e80000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0xad78ebc5ac620000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0xd8d726b7177a8000), UINT64_C(0x0000000000000000) },
    { UINT64_C(0x878678326eac9000), UINT64_C(0x0000000000000000) },
};

/* The bits of ten * factor above the lowest 128. The last is set when any below is: comparisons with even numbers then
 * come out as for the exact product. */
static uint64_t
product_odd(struct wide ten, uint64_t factor)
{
    unsigned __int128 low = (unsigned __int128)ten.low * factor;
    unsigned __int128 high = (unsigned __int128)ten.high * factor + (uint64_t)(low >> 64);

    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* Find the shortest decimal, and of those the nearest, that reads as `a`: R. Giulietti, "The Schubfach way to render
 * doubles" (2020). Only for 1e-4 <= a < 2^53 that short_text() refused: the powers of ten needed are then few and
 * exact, and `a` is no power of two (those have few digits here), so both neighbours are equally far.
 * Writes a = result / 10^*places. */
static uint64_t
shortest(double a, int *places)
{
    uint64_t bits, c, lower, upper, middle, s, tenth;
    int q, k, h, odd;
    bool down, up;

    memcpy(&bits, &a, sizeof(bits));
    c = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52;
    q = (int)(bits >> 52) - 1075;
    odd = c & 1;
    k = (q * 1262611) >> 22;            /* floor(log10(2^q)) */
    h = q + ((-k * 1741647) >> 19) + 1; /* so that all products have the same scale */
    lower = product_odd(tens[-k], (4 * c - 2) << h) + (uint64_t)odd;
    middle = product_odd(tens[-k], (4 * c) << h);
    upper = product_odd(tens[-k], (4 * c + 2) << h) - (uint64_t)odd;
    s = middle / 4;
    tenth = s / 10;
    down = lower <= 40 * tenth;
    up = 40 * tenth + 40 <= upper;
    if (down != up) {
        *places = -k - 1;
        return tenth + up;
    }
    *places = -k;
    down = lower <= 4 * s;
    up = 4 * s + 4 <= upper;
    if (down != up)
        return s + up;
    return s + (middle > 4 * s + 2 || (middle == 4 * s + 2 && (s & 1)));
}

int
sl_float_text(double value, char *to)
{
    char *text;
    size_t size;
    int sign = signbit(value) ? 1 : 0, places;
    double a = fabs(value);

    if (a == 0) {
        memcpy(to, sign ? "-0.0" : "0.0", 4);
        return 3 + sign;
    }
    if (a >= 1e-4 && a < 9007199254740992.0) {
        *to = '-';
        size = (size_t)short_text(a, to + sign);
        if (!size) {
            uint64_t digits = shortest(a, &places);
            size = (size_t)fixed_text(digits, places, to + sign);
        }
        return (int)size + sign;
    }
    text = PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (!text)
        return -1;
    size = strlen(text);
    memcpy(to, text, size < SL_NUMBER_MAX ? size : SL_NUMBER_MAX);
    PyMem_Free(text);
    return (int)size;
}

bool
sl_parse_i64(const char *text, size_t size, int64_t *value)
{
    size_t at = size && *text == '-';
    int64_t sum = 0;

    /* 18 digits cannot overflow; longer ones are rare enough for Python. */
    if (size == at || size - at > 18)
        return false;
    for (size_t i = at; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        sum = sum * 10 + (text[i] - '0');
    }
    *value = at ? -sum : sum;
    return true;
}

/* -------------------------------------------------------------------- decimals */

/* Split `-?digits[.digits]` without superfluous leading zeros. */
static bool
decimal_split(const char *text, size_t size, size_t *whole, size_t *fraction)
{
    size_t at = size && *text == '-', start = at;

    while (at < size && text[at] >= '0' && text[at] <= '9')
        at++;
    *whole = at - start;
    *fraction = 0;
    if (*whole == 0 || (*whole > 1 && text[start] == '0'))
        return false;
    if (at == size)
        return true;
    if (text[at++] != '.' || at == size)
        return false;
    start = at;
    while (at < size && text[at] >= '0' && text[at] <= '9')
        at++;
    *fraction = at - start;
    return at == size;
}

bool
sl_is_plain_decimal(const char *text, size_t size)
{
    size_t whole, fraction;

    /* 500 characters are surely within PLAIN_DIGITS_MAX of _values.py. */
    return size <= 500 && decimal_split(text, size, &whole, &fraction);
}

size_t
sl_decimal_fit(const char *text, size_t size, int precision, int scale)
{
    size_t whole, fraction, keep = size;
    bool zero;

    if (!decimal_split(text, size, &whole, &fraction))
        return 0;
    zero = whole == 1 && text[*text == '-'] == '0';
    if (!zero && whole > (size_t)(precision - scale))
        return 0;
    while (fraction > (size_t)scale) {
        if (text[keep - 1] != '0')
            return 0; /* Python rounds and counts */
        keep--;
        fraction--;
    }
    if (text[keep - 1] == '.')
        keep--;
    return keep;
}

/* -------------------------------------------------------------------- dates */

static int
two(const char *text)
{
    unsigned high = (unsigned)(text[0] - '0'), low = (unsigned)(text[1] - '0');

    return high > 9 || low > 9 ? -1 : (int)(high * 10 + low);
}

/* Days since 1970-01-01 of a day in the proleptic Gregorian calendar, counted in years that begin in March. */
static int64_t
days_of(int year, int month, int day)
{
    int y = month <= 2 ? year - 1 : year;
    int era = y / 400, yoe = y - era * 400;
    int doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

    return (int64_t)era * 146097 + doe - 719468;
}

static bool
parse_day(const char *text, struct sl_instant *when)
{
    static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int high = two(text), low = two(text + 2), month = two(text + 5), day = two(text + 8);
    int year = high * 100 + low, last;

    if (high < 0 || low < 0 || year < 1 || text[4] != '-' || text[7] != '-' || month < 1 ||
        month > 12)
        return false;
    last = lengths[month - 1];
    if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
        last = 29;
    if (day < 1 || day > last)
        return false;
    when->days = days_of(year, month, day);
    return true;
}

/* Read the digits after the second's point; return what follows them, or NULL. */
static const char *
parse_fraction(const char *at, const char *end, struct sl_instant *when)
{
    int64_t micros = 0;
    int digits = 0;

    for (; at < end && *at >= '0' && *at <= '9'; at++, digits++) {
        if (digits < 6)
            micros = micros * 10 + (*at - '0');
        else if (*at != '0')
            when->cut = true;
    }
    if (digits == 0)
        return NULL;
    for (; digits < 6; digits++)
        micros *= 10;
    when->micros += micros;
    return at;
}

bool
sl_parse_iso(const char *text, size_t size, struct sl_instant *when)
{
    const char *at, *end = text + size;
    int hour, minute, second;

    memset(when, 0, sizeof(*when));
    if (size < 10 || !parse_day(text, when))
        return false;
    if (size == 10)
        return true;
    if (size < 19 || (text[10] != 'T' && text[10] != ' ' && text[10] != 't') || text[13] != ':' ||
        text[16] != ':')
        return false;
    hour = two(text + 11);
    minute = two(text + 14);
    second = two(text + 17);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        return false;
    when->micros = ((hour * 60 + minute) * 60 + second) * INT64_C(1000000);
    at = text + 19;
    if (at < end && *at == '.')
        at = parse_fraction(at + 1, end, when);
    if (!at)
        return false;
    if (at == end || (end - at == 1 && *at == 'Z'))
        return true;
    if (end - at != 6 || (*at != '+' && *at != '-') || at[3] != ':')
        return false;
    hour = two(at + 1);
    minute = two(at + 4);
    when->offset = (hour * 60 + minute) * (*at == '-' ? -60 : 60);
    return hour >= 0 && hour <= 23 && minute >= 0 && minute <= 59;
}
