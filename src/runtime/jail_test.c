/* The walls, tried from inside: each probe is a small Python program in a jail that prints what it was told.
 *
 * As root all runs twice: with all walls and an own user, and once more by this program as an ordinary user, who has neither own
 * users nor cgroups to give. */
#include "runtime/rig_test.h"

#include "base/time.h"
#include "runtime/child.h"
#include "runtime/jail.h"
#include "runtime/proc.h"
#include "runtime/python.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define USER 20001 /* of jails made by root */
#define MEMORY (256u << 20)
#define PROCESSES 24

static char *dir, *work;
static struct sl_python python;
static bool root;

/* An interpreter that the current user may read. */
static bool
find_python(void)
{
    static const char *const places[] = { NULL, "/usr/bin/python3", "/usr/local/bin/python3" };

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (sl_python_find(&python, places[i], NULL) != SL_OK)
            continue;
        if (access(python.base, X_OK) == 0)
            return true;
        sl_python_free(&python);
    }
    return false;
}

static int
setup(void **state)
{
    char name[] = "/tmp/sluice-jail-XXXXXX";
    char *made = mkdtemp(name), *secret;

    (void)state;
    root = geteuid() == 0;
    if (made == NULL || !find_python())
        return 1;
    dir = sl_path_real(made);
    work = sl_path_join(dir, "work");
    secret = sl_path_join(dir, "secret");
    if (sl_mkdirs(work, NULL) || sl_file_write(secret, SL_LIT("the server's key"), false, NULL) ||
        chmod(secret, 0644) != 0)
        return 1;
    free(secret);
    return setenv("SLUICE_SECRET", "of the server", 1);
}

static int
teardown(void **state)
{
    (void)state;
    assert_int_equal(sl_remove_tree(dir, NULL), 0);
    sl_python_free(&python);
    free(work);
    free(dir);
    return 0;
}

static sl_rc
make(struct sl_jail **j, enum sl_sandbox mode, const char *name, struct sl_err *err)
{
    const char *const read[] = { python.prefix, NULL };
    struct sl_jail_conf conf = { .mode = mode,
                                 .name = name,
                                 .work = work,
                                 .read = read,
                                 .uid = USER,
                                 .memory = MEMORY,
                                 .processes = PROCESSES,
                                 .file_size = 8u << 20 };

    return sl_jail_new(j, &conf, err);
}

static struct sl_jail *
jail(void)
{
    char *name = sl_sprintf("sluicetest-%d", (int)getpid());
    struct sl_jail *j = NULL;
    struct sl_err err = { 0 };

    if (make(&j, SL_SANDBOX_BEST, name, &err))
        fail_msg("%s (%s)", err.text, err.hint);
    free(name);
    return j;
}

/* Runs Python code in a jail; its output is in `out`. */
static int
run(struct sl_jail *j, const char *code, const char *arg, struct sl_buf *out)
{
    const char *argv[] = { python.base, "-I", "-c", code, arg, NULL };
    struct sl_child_names names = { "conn", "my_connection", "group", work };
    struct sl_vars vars;
    struct sl_err err = { 0 };
    int status = -1;

    sl_buf_init(out, 1u << 20);
    sl_child_server_vars(&vars, &names);
    if (sl_run(&(struct sl_run){ .argv = argv,
                                 .env = vars.list,
                                 .cwd = work,
                                 .log_fd = -1,
                                 .timeout_us = 60 * 1000000,
                                 .jail = j },
               out, &status, &err))
        fail_msg("%s\n%s", err.text, sl_buf_str(out));
    sl_vars_free(&vars);
    return status;
}

static void
expect_arg(const char *code, const char *arg, const char *text)
{
    struct sl_jail *j = jail();
    struct sl_buf out;
    int status = run(j, code, arg, &out);

    if (status != 0 || strcmp(sl_buf_str(&out), text) != 0)
        fail_msg("[%s]\n%s\nexit %d: %s\nexpected: %s", sl_jail_walls(j), code, status,
                 sl_buf_str(&out), text);
    sl_buf_free(&out);
    sl_jail_free(j);
}

static void
expect(const char *code, const char *text)
{
    expect_arg(code, "", text);
}

/* ---- what stands ---- */

static void
test_says_what_stands(void **state)
{
    struct sl_jail *j = jail();
    const char *walls = sl_jail_walls(j);

    (void)state;
    print_message("%s\n", walls);
    assert_non_null(strstr(walls, "landlock "));
    assert_non_null(strstr(walls, "seccomp"));
    assert_non_null(strstr(walls, "no new privileges"));
    if (root) {
        assert_non_null(strstr(walls, "user 20001"));
        assert_non_null(strstr(walls, "own view of files"));
        assert_non_null(strstr(walls, "(memory 256 MiB, 24 processes)"));
        assert_null(strstr(walls, "missing"));
    } else {
        assert_non_null(strstr(walls, "missing: own view of files (it needs root), own user"));
        assert_non_null(strstr(walls, "memory of each process 256 MiB"));
    }
    sl_jail_free(j);
}

static void
test_require(void **state)
{
    char *name = sl_sprintf("sluicetest-require-%d", (int)getpid());
    struct sl_jail *j = NULL;
    struct sl_err err = { 0 };
    sl_rc rc = make(&j, SL_SANDBOX_REQUIRE, name, &err);

    (void)state;
    if (root) {
        assert_int_equal(rc, SL_OK);
    } else {
        assert_int_equal(rc, SL_E_ENV);
        assert_string_equal(err.text,
                            "a wall of the sandbox cannot stand here: own user (it needs root)");
        assert_non_null(strstr(err.hint, "--sandbox=best"));
    }
    sl_jail_free(j);
    free(name);
}

static void
test_off(void **state)
{
    struct sl_jail *j = NULL;
    struct sl_err err = { 0 };

    (void)state;
    assert_int_equal(make(&j, SL_SANDBOX_OFF, "unused", &err), SL_OK);
    assert_string_equal(sl_jail_walls(j), "none (switched off)");
    sl_jail_free(j);
}

static void
test_rights(void **state)
{
    char *want = sl_sprintf("%d True 0000000000000000 0000000000000000 1 2 (1024, 1024) True",
                            root ? USER : RIG_ORDINARY);

    (void)state;
    expect("import os, resource\n"
           "s = dict(l.split(':\\t', 1) for l in open('/proc/self/status').read().splitlines())\n"
           "print(os.getuid(), os.getgroups() in ([], [os.getgid()]), s['CapEff'].strip(),\n"
           "      s['CapPrm'].strip(), s['NoNewPrivs'], s['Seccomp'],\n"
           "      resource.getrlimit(resource.RLIMIT_NOFILE),\n"
           "      resource.getrlimit(resource.RLIMIT_CORE)[0] <= 1, end='')\n",
           want);
    free(want);
}

/* ---- files ---- */

#define TRY                                                                                        \
    "import os, sys, errno\n"                                                                      \
    "def denied(f):\n"                                                                             \
    "    try: f()\n"                                                                               \
    "    except (PermissionError, FileNotFoundError): return True\n"                               \
    "    except OSError as e: return e.errno in (errno.EROFS, errno.EXDEV)\n"                      \
    "    return False\n"

static void
test_reads_nothing_of_the_server(void **state)
{
    char *secret = sl_path_join(dir, "secret");

    (void)state;
    expect_arg(
        TRY
        "print([denied(lambda: open(p, 'rb').read(1)) for p in (sys.argv[1], '/etc/fstab',\n"
        "  '/etc/shadow', '/proc/1/environ', '/proc/%d/environ' % os.getppid(), '/proc/%d/mem' %\n"
        "  os.getppid())], [denied(lambda: os.listdir(p)) for p in ('/tmp', '/root', '/etc', '/',\n"
        "  os.path.dirname(sys.argv[1]))], denied(lambda: os.readlink('/proc/%d/fd/0' % "
        "os.getppid())), end='')\n",
        secret, "[True, True, True, True, True, True] [True, True, True, True, True] True");
    free(secret);
}

static void
test_environment_is_its_own(void **state)
{
    (void)state;
    expect("import os, glob\n"
           "found = []\n"
           "for f in glob.glob('/proc/[0-9]*/environ'):\n"
           "    try: found += [f] if b'of the server' in open(f, 'rb').read() else []\n"
           "    except OSError: pass\n"
           "print(found, 'SLUICE_SECRET' in os.environ, os.environ['FIVETRAN_DEPLOYMENT_MODEL'],\n"
           "      os.environ['FIVETRAN_CONNECTION_NAME'], end='')\n",
           "[] False self_hosted my_connection");
}

static void
test_sees_no_other_processes(void **state)
{
    (void)state;
    if (!root) {
        print_message("only root can have its own view of /proc\n");
        skip();
    }
    expect("import os\n"
           "print([p for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid()], "
           "end='')\n",
           "[]");
}

static void
test_writes_only_to_its_folder(void **state)
{
    (void)state;
    expect_arg(
        TRY
        "print([denied(lambda: open(p + '/x', 'w')) for p in ('/usr', '/etc', '/', '/proc/self',\n"
        "  sys.argv[1], sys.prefix)], denied(lambda: os.link(sys.executable, 'l')),\n"
        "  denied(lambda: open('/dev/null', 'w').write('x')), end=' ')\n"
        "open('x', 'w').write('1'); os.rename('x', 'y'); os.mkdir('d'); os.symlink('y', 'd/l')\n"
        "os.rename('y', 'd/y'); os.truncate('d/y', 0); os.mkfifo('f'); os.chmod('d/y', 0o700)\n"
        "import tempfile; t = tempfile.NamedTemporaryFile(); t.write(b'1'); t.flush()\n"
        "import shutil; shutil.rmtree('d'); os.unlink('f')\n"
        "print(os.path.dirname(t.name) == os.getcwd() + '/tmp', end='')\n",
        dir, "[True, True, True, True, True, True] True False True");
}

static void
test_file_size(void **state)
{
    (void)state;
    expect("try: open('big', 'wb').write(b'x' * (9 << 20)); print('written', end='')\n"
           "except OSError as e: print(e.errno, end='')\n",
           "27");
}

static void
test_knows_itself(void **state)
{
    (void)state;
    if (!root) {
        print_message("only root can have its own view of /etc\n");
        skip();
    }
    expect("import pwd, grp, os\n"
           "print(len(pwd.getpwall()), pwd.getpwuid(os.getuid()).pw_dir == os.environ['HOME'],\n"
           "      grp.getgrgid(os.getgid()).gr_name, end='')\n",
           "1 True connector");
}

/* ---- processes ---- */

static void
test_signals_nobody(void **state)
{
    (void)state;
    expect("import os, signal\n"
           "def denied(pid, s):\n"
           "    try: os.kill(pid, s)\n"
           "    except (PermissionError, ProcessLookupError): return True\n"
           "    return False\n"
           "print(denied(os.getppid(), signal.SIGTERM), denied(os.getppid(), 0), denied(1, 0), "
           "end='')\n",
           "True True True");
}

#define CALLS                                                                                      \
    "import ctypes, errno, os\n"                                                                   \
    "libc = ctypes.CDLL(None, use_errno=True)\n"                                                   \
    "def call(name, *a):\n"                                                                        \
    "    r = getattr(libc, name)(*a)\n"                                                            \
    "    return errno.errorcode[ctypes.get_errno()] if r == -1 else 'allowed'\n"

static void
test_system_calls(void **state)
{
    (void)state;
    expect(CALLS "print(call('ptrace', 0, 0, 0, 0), call('ptrace', 16, os.getppid(), 0, 0),\n"
                 "  call('unshare', 0x10000000), call('unshare', 0x20000), call('setns', 0, 0),\n"
                 "  call('mount', b'none', b'/tmp', b'tmpfs', 0, 0), call('chroot', b'.'),\n"
                 "  call('process_vm_readv', os.getppid(), 0, 0, 0, 0, 0),\n"
                 "  call('personality', 0x0040000), call('init_module', 0, 0, 0),\n"
                 "  call('open_by_handle_at', 0, 0, 0), end='')\n",
           "EPERM EPERM EPERM EPERM EPERM EPERM EPERM EPERM EPERM EPERM EPERM");
#ifdef __x86_64__
    expect(
        CALLS
        "def sys(n, *a): return call('syscall', n, *a)\n"
        "print(sys(321, 0, 0, 0), sys(250, 0, 0, 0), sys(248, 0, 0, 0), sys(298, 0, 0, 0, 0, 0),\n"
        "  sys(323, 0), sys(425, 1, 0), sys(435, 0, 0), sys(56, 0x10000011, 0, 0, 0, 0), end='')\n",
        "EPERM EPERM EPERM EPERM EPERM ENOSYS ENOSYS EPERM");
#endif
}

static void
test_sockets(void **state)
{
    (void)state;
    expect("import socket, errno\n"
           "def sock(*a):\n"
           "    try: socket.socket(*a); return 'allowed'\n"
           "    except OSError as e: return errno.errorcode[e.errno]\n"
           "print(sock(2, 3, 1), sock(10, 3, 58), sock(17, 3, 0), sock(40, 1), sock(38, 5), "
           "sock(16, 3, 0),\n"
           "  sock(2, 1), sock(10, 2), sock(1, 1), end='')\n",
           "EPERM EPERM EAFNOSUPPORT EAFNOSUPPORT EAFNOSUPPORT allowed allowed allowed allowed");
}

static void
test_32_bit_calls(void **state)
{
#ifdef __x86_64__
    struct sl_jail *j = jail();
    struct sl_buf out;

    (void)state;
    /* mov eax, 20 (getpid); int 0x80; ret */
    assert_int_equal(
        run(j,
            "import ctypes, mmap\n"
            "m = mmap.mmap(-1, 4096, prot=7)\n"
            "m.write(b'\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3')\n"
            "f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))\n"
            "print(f())\n",
            "", &out),
        128 + SIGSYS);
    sl_buf_free(&out);
    sl_jail_free(j);
#else
    (void)state;
    skip();
#endif
}

static void
test_memory(void **state)
{
    struct sl_jail *j = jail();
    struct sl_buf out;
    int status;

    (void)state;
    assert_false(sl_jail_out_of_memory(j));
    status = run(j,
                 "x = []\n"
                 "while True: x.append(bytearray(16 << 20))\n",
                 "", &out);
    if (root) {
        assert_int_equal(status, 128 + SIGKILL);
        assert_true(sl_jail_out_of_memory(j));
        assert_in_range(sl_jail_peak(j), MEMORY / 2, MEMORY);
    } else {
        assert_int_equal(status, 1);
        assert_non_null(strstr(sl_buf_str(&out), "MemoryError"));
        assert_false(sl_jail_out_of_memory(j));
    }
    sl_buf_free(&out);
    sl_jail_free(j);
}

/* Waits until a process is gone; its id is in a file of the work folder. */
static void
assert_gone(const char *file)
{
    char *path = sl_path_join(work, file);
    int64_t start = sl_mono_us();
    struct timespec nap = { .tv_nsec = 1000000 };
    struct sl_buf buf;
    char *stat_path;
    pid_t pid;

    sl_buf_init(&buf, 1u << 20);
    assert_int_equal(sl_file_read(path, &buf, NULL), SL_OK);
    pid = (pid_t)strtol(sl_buf_str(&buf), NULL, 10);
    assert_true(pid > 1);
    stat_path = sl_sprintf("/proc/%d/stat", (int)pid);
    for (;;) {
        const char *text, *end;

        buf.len = 0;
        if (sl_file_read(stat_path, &buf, NULL) != SL_OK)
            break;
        text = sl_buf_str(&buf);
        end = strrchr(text, ')');
        if (end != NULL && (end[2] == 'Z' || end[2] == 'X'))
            break; /* dead; whoever inherited it has not looked yet */
        if (sl_mono_us() - start > 5 * 1000000)
            fail_msg("process %d lives on: %s", (int)pid, text);
        nanosleep(&nap, NULL);
    }
    sl_buf_free(&buf);
    (void)unlink(path);
    free(stat_path);
    free(path);
}

static const char escape[] = "import os, time, signal\n"
                             "if os.fork() == 0:\n"
                             "    os.setsid()\n"
                             "    if os.fork() == 0:\n"
                             "        try: os.setpgid(0, 0)\n"
                             "        except OSError: pass\n"
                             "        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                             "        open('pid.new', 'w').write(str(os.getpid()))\n"
                             "        os.rename('pid.new', 'pid')\n"
                             "        for fd in range(3): os.close(fd)\n"
                             "        time.sleep(600)\n"
                             "    os._exit(0)\n"
                             "os.wait()\n"
                             "while not os.path.exists('pid'): time.sleep(0.001)\n";

static void
test_leaving_the_group(void **state)
{
    struct sl_jail *j = jail();
    struct sl_buf out;

    (void)state;
    assert_int_equal(run(j, escape, "", &out), 0);
    assert_gone("pid");
    sl_buf_free(&out);
    /* It can be used again. */
    assert_int_equal(run(j, "print('again')", "", &out), 0);
    assert_string_equal(sl_buf_str(&out), "again\n");
    sl_buf_free(&out);
    sl_jail_free(j);
}

static void
test_fork_bomb(void **state)
{
    struct sl_jail *j = jail();
    struct sl_buf out;

    (void)state;
    /* Each child goes on forking in a session of its own; the first tells when it has met the limit, and dies. */
    assert_int_equal(run(j,
                         "import os, time\n"
                         "n = 0\n"
                         "try:\n"
                         "    while True:\n"
                         "        if os.fork() == 0:\n"
                         "            os.setsid()\n"
                         "            for fd in range(3): os.close(fd)\n"
                         "            new = '%d.new' % os.getpid()\n"
                         "            open(new, 'w').write(str(os.getpid()))\n"
                         "            os.rename(new, 'pid')\n"
                         "            while True:\n"
                         "                try: os.fork()\n"
                         "                except OSError: time.sleep(0.01)\n"
                         "        n += 1\n"
                         "except BlockingIOError: print(n < 24)\n"
                         "while not os.path.exists('pid'): time.sleep(0.001)\n",
                         "", &out),
                     0);
    assert_string_equal(sl_buf_str(&out), "True\n");
    assert_gone("pid");
    sl_buf_free(&out);
    sl_jail_free(j);
}

/* A server that died without tidying up; what it left is ended by the next. */
static void
test_sweep(void **state)
{
    char *name, *prefix, *find;
    const char *argv[] = { python.base, "-I", "-c", escape, NULL };
    struct sl_err err = { 0 };
    pid_t server;
    int status = 0;

    (void)state;
    if (!root) {
        print_message("cgroups need root here\n");
        skip();
    }
    name = sl_sprintf("sluicesweep-%d-1", (int)getpid());
    prefix = sl_sprintf("sluicesweep-%d-", (int)getpid());
    server = fork();
    if (server == 0) {
        struct sl_jail *j = NULL;
        int null = open("/dev/null", O_RDWR);
        pid_t pid;

        if (make(&j, SL_SANDBOX_BEST, name, &err) ||
            sl_start(
                &(struct sl_start){
                    .argv = argv, .cwd = work, .pass = -1, .out = null, .err = null, .jail = j },
                &pid, &err))
            _exit(1);
        waitpid(pid, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
    }
    assert_int_equal(waitpid(server, &status, 0), server);
    assert_int_equal(status, 0);
    sl_jail_sweep(prefix);
    assert_gone("pid");
    find = sl_sprintf("find /sys/fs/cgroup -name '%s*' 2>/dev/null", prefix);
    argv[0] = "/bin/sh", argv[1] = "-c", argv[2] = find, argv[3] = NULL;
    {
        struct sl_buf out;

        sl_buf_init(&out, 1u << 20);
        assert_int_equal(
            sl_run(&(struct sl_run){ .argv = argv, .log_fd = -1 }, &out, &status, &err), SL_OK);
        assert_string_equal(sl_buf_str(&out), "");
        sl_buf_free(&out);
    }
    free(find);
    free(prefix);
    free(name);
}

/* ---- what a connector needs ---- */

static void
test_network(void **state)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char port[16];

    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    snprintf(port, sizeof port, "%d", ntohs(at.sin_port));
    expect_arg("import socket, sys\n"
               "s = socket.create_connection(('localhost', int(sys.argv[1])), 10)\n"
               "print(s.getpeername()[0], end='')\n",
               port, "127.0.0.1");
    close(fd);
}

static void
test_python_works(void **state)
{
    (void)state;
    expect("import ssl, os\n"
           "c = ssl.create_default_context()\n"
           "p = ssl.get_default_verify_paths()\n"
           "print(bool(p.cafile or p.capath), end='')\n",
           "True");
    expect(
        "import sqlite3, tempfile, threading, ctypes, decimal, hashlib, lzma, bz2, zlib, zoneinfo\n"
        "import datetime, subprocess, sys, concurrent.futures as f, getpass, uuid, locale\n"
        "c = sqlite3.connect('t.db'); c.execute('create table if not exists t (a)'); c.commit()\n"
        "with tempfile.TemporaryDirectory() as d: open(d + '/a', 'w').write('x')\n"
        "with f.ThreadPoolExecutor(8) as p: s = sum(p.map(abs, range(100)))\n"
        "r = subprocess.run([sys.executable, '-c', 'print(42)'], capture_output=True, text=True,\n"
        "                   start_new_session=True, check=True)\n"
        "z = datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Paris')).utcoffset()\n"
        "print(s, r.stdout.strip(), z, getpass.getuser(), sys.getfilesystemencoding(), end='')\n",
        "4950 42 2:00:00 connector utf-8");
    expect("import multiprocessing as m\n"
           "c = m.get_context('fork')\n"
           "q = c.Queue()\n"
           "p = c.Process(target=q.put, args=(7,)); p.start()\n"
           "print(q.get(timeout=30), end=' '); p.join()\n"
           "from multiprocessing import shared_memory\n"
           "s = shared_memory.SharedMemory(create=True, size=4096); s.buf[0] = 5; print(s.buf[0], "
           "end=' ')\n"
           "s.close(); s.unlink()\n"
           "with c.Pool(4) as pool: print(sum(pool.map(abs, range(10))), end='')\n",
           "7 5 45");
}

static void
test_program_not_there(void **state)
{
    const char *argv[] = { "/no/such/program", NULL };
    struct sl_jail *j = jail();
    struct sl_err err = { 0 };
    int status;

    (void)state;
    assert_int_equal(
        sl_run(&(struct sl_run){ .argv = argv, .log_fd = -1, .jail = j }, NULL, &status, &err),
        SL_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "cannot start /no/such/program"));
    sl_jail_free(j);
}

/* ---- */

static int
run_all(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_says_what_stands),
        cmocka_unit_test(test_require),
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_reads_nothing_of_the_server),
        cmocka_unit_test(test_environment_is_its_own),
        cmocka_unit_test(test_sees_no_other_processes),
        cmocka_unit_test(test_writes_only_to_its_folder),
        cmocka_unit_test(test_file_size),
        cmocka_unit_test(test_knows_itself),
        cmocka_unit_test(test_signals_nobody),
        cmocka_unit_test(test_system_calls),
        cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_32_bit_calls),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_leaving_the_group),
        cmocka_unit_test(test_fork_bomb),
        cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_python_works),
        cmocka_unit_test(test_program_not_there),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

/* Whether this system has the walls that the tests are about; else the reason is printed. */
static bool
walls_stand(void)
{
    struct sl_jail *j = NULL;
    struct sl_err err = { 0 };
    bool stand = false;

    if (setup(NULL) != 0) {
        printf("skipped: no Python for this user\n");
        return false;
    }
    if (make(&j, root ? SL_SANDBOX_REQUIRE : SL_SANDBOX_BEST, "sluicetest-walls", &err)) {
        printf("skipped: %s\n", err.text);
    } else {
        stand = strstr(sl_jail_walls(j), "landlock (") == NULL &&
                strstr(sl_jail_walls(j), "seccomp (") == NULL &&
                (!root || strstr(sl_jail_walls(j), "missing") == NULL);
        if (!stand)
            printf("skipped: %s\n", sl_jail_walls(j));
    }
    sl_jail_free(j);
    (void)teardown(NULL);
    return stand;
}

int
main(int argc, char **argv)
{
    int failed = walls_stand() ? run_all() : 0;

    if (argc > 1 || geteuid() != 0)
        return failed;
    printf("once more as an ordinary user:\n");
    return rig_fails_as_ordinary(argv[0]) || failed;
}
