/* pages.c - the answers libmicrohttpd gives by itself, in our envelope.
 *
 * What is no HTTP, or has a head beyond the connection's memory, is refused inside the library with a page of HTML; there is no
 * callback for it. The linker (--wrap, see meson.build) brings the library's calls here first. Ours pass through.
 *
 * Not mended: version 0.9.75 sends the head twice when Host is missing or Content-Length is wrong. The status is right, and the
 * connection is closed.
 */
#include "base/text.h"

#include <microhttpd.h>
#include <string.h>

#define ENVELOPE(code, message) "{\"code\":\"" code "\",\"message\":\"" message "\"}"

/* Names that the linker makes. */
struct MHD_Response *__real_MHD_create_response_from_buffer(size_t size, void *buffer,
                                                            enum MHD_ResponseMemoryMode mode);
struct MHD_Response *__wrap_MHD_create_response_from_buffer(size_t size, void *buffer,
                                                            enum MHD_ResponseMemoryMode mode);

/* By a part of its page. The first that fits; the last fits any. */
static const struct {
    const char *part, *answer;
} pages[] = {
    { "HTTP header was too big",
      ENVELOPE("HeaderTooLarge", "The request's address and headers are larger than 16 KiB") },
    { "include a &quot;Host:&quot; header",
      ENVELOPE("BadRequest", "The request has no Host header") },
    { "too large value for <b>Content-Length</b>",
      ENVELOPE("PayloadTooLarge", "Content-Length is larger than anything taken here") },
    { "wrong value for <b>Content-Length</b>",
      ENVELOPE("BadRequest", "Content-Length is not a number") },
    { "chunked encoding was syntactically incorrect",
      ENVELOPE("BadRequest", "The body is not in the form of Transfer-Encoding: chunked") },
    { "chunk size used", ENVELOPE("PayloadTooLarge", "A chunk of the body is too large") },
    { "HTTP version", ENVELOPE("BadRequest", "Speak HTTP/1.1") },
    { "Internal server error", ENVELOPE("InternalError", "The server failed; try again") },
    { "", ENVELOPE("BadRequest", "This is no HTTP request") },
};

static const char *
answer_for(const char *page, size_t size)
{
    for (size_t i = 0;; i++)
        if (memmem(page, size, pages[i].part, strlen(pages[i].part)) != NULL)
            return pages[i].answer;
}

struct MHD_Response *
__wrap_MHD_create_response_from_buffer(size_t size, void *buffer, enum MHD_ResponseMemoryMode mode)
{
    static const char html[] = "<html>";
    struct MHD_Response *response;
    const char *answer;

    /* Only the library's pages are HTML that is never freed. */
    if (mode != MHD_RESPMEM_PERSISTENT || size < sizeof html ||
        memcmp(buffer, html, sizeof html - 1) != 0)
        return __real_MHD_create_response_from_buffer(size, buffer, mode);
    answer = answer_for(buffer, size);
    response = __real_MHD_create_response_from_buffer(strlen(answer), (char *)(uintptr_t)answer,
                                                      mode);
    if (response != NULL)
        MHD_add_response_header(response, "Content-Type", "application/json");
    return response;
}
