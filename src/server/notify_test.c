#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/notify.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A manager that listens at this address ('@': abstract) hears `state`. */
static void
heard(const char *name)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct pollfd p = { .fd = socket(AF_UNIX, SOCK_DGRAM, 0), .events = POLLIN };
    char got[64] = "";
    size_t n = strlen(name);

    memcpy(at.sun_path, name, n);
    if (name[0] == '@')
        at.sun_path[0] = '\0';
    assert_int_equal(
        bind(p.fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
        0);
    setenv("NOTIFY_SOCKET", name, 1);
    sl_notify_begin();
    assert_null(getenv("NOTIFY_SOCKET"));
    sl_notify("READY=1");
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_int_equal(recv(p.fd, got, sizeof got, 0), 7);
    assert_string_equal(got, "READY=1");
    close(p.fd);
    sl_notify("STOPPING=1"); /* nobody listens any more: nothing happens */
}

static void
by_path(void **state)
{
    char dir[] = "/tmp/sluice-notify-XXXXXX", path[64];

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/socket", dir);
    heard(path);
    unlink(path);
    rmdir(dir);
}

static void
by_abstract_name(void **state)
{
    char name[64];

    (void)state;
    snprintf(name, sizeof name, "@sluice-notify-%ld", (long)getpid());
    heard(name);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_path),
        cmocka_unit_test(by_abstract_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
