#include "runtime/rig_test.h"

#include "runtime/requirements.h"

#include <stdlib.h>
#include <unistd.h>

static void
expect_text(const char *want, bool pinned)
{
    struct sl_requirements req;
    struct sl_err err = { 0 };
    struct sl_buf out;

    sl_buf_init(&out, 65536);
    if (sl_requirements_load(&req, rig_dir, &err))
        fail_msg("%s", err.text);
    sl_requirements_text(&req, &out);
    assert_string_equal(sl_buf_str(&out), want);
    assert_int_equal(req.pinned, pinned);
    sl_requirements_free(&req);
    sl_buf_free(&out);
}

static void
expect_error(const char *text, const char *in_text, const char *in_hint)
{
    struct sl_requirements req;
    struct sl_err err = { 0 };

    rig_put(rig_dir, "requirements.txt", text);
    assert_int_equal(sl_requirements_load(&req, rig_dir, &err), SL_E_ENV);
    if (strstr(err.text, in_text) == NULL || strstr(err.hint, in_hint) == NULL)
        fail_msg("\"%s\" gave \"%s\", hint \"%s\"", text, err.text, err.hint);
}

static void
lines(void **state)
{
    (void)state;
    rig_put(rig_dir, "requirements.txt",
            "\xef\xbb\xbf# comment\r\nrequests==2.32.3  # why\r\n\r\n"
            "pandas[excel] == \\\n   2.2.1 ; python_version > '3.8'\nodd#name==1\n");
    expect_error("odd#name==1\n", "requirements.txt:1", "version");
    rig_put(rig_dir, "requirements.txt",
            "\xef\xbb\xbf# comment\r\nrequests==2.32.3  # why\r\n\r\n"
            "pandas[excel] == \\\n   2.2.1 ; python_version > '3.8'\n");
    expect_text("requests==2.32.3\npandas[excel] ==    2.2.1 ; python_version > '3.8'\n", true);
    rig_put(rig_dir, "requirements.txt", "a>=1\n");
    expect_text("a>=1\n", false);
    rig_put(rig_dir, "requirements.txt", "a==1.*\n");
    expect_text("a==1.*\n", false);
    rig_put(rig_dir, "requirements.txt",
            "--index-url https://x.example/simple\na @ https://x.example/a.whl\n");
    expect_text("--index-url https://x.example/simple\na @ https://x.example/a.whl\n", false);
}

static void
the_sdk_is_dropped(void **state)
{
    struct sl_requirements req;

    (void)state;
    rig_put(rig_dir, "requirements.txt",
            "fivetran-connector-sdk\nFivetran_Connector.SDK[x]>=1 ; python_version>'3'\n"
            "fivetran-connector-sdk-core==3\nattrs==1\nfivetran-connector-sdk-helpers==1\n");
    expect_text("attrs==1\nfivetran-connector-sdk-helpers==1\n", true);
    assert_int_equal(sl_requirements_load(&req, rig_dir, NULL), 0);
    assert_non_null(req.dropped[2]);
    assert_null(req.dropped[3]);
    sl_requirements_free(&req);
}

static void
nested_files(void **state)
{
    (void)state;
    rig_put(rig_dir, "requirements.txt", "-r more/base.txt\nb==2\n");
    rig_put(rig_dir, "more/base.txt", "a==1\n-r other.txt\n");
    rig_put(rig_dir, "more/other.txt", "c==3\n");
    expect_text("a==1\nc==3\nb==2\n", true);
    rig_put(rig_dir, "more/other.txt", "bad line here\n");
    expect_error("-r more/base.txt\n", "more/other.txt:1", "after the name");
    expect_error("-r ../outside.txt\n", "requirements.txt:1", "no such file");
    expect_error("-r /etc/hostname\n", "requirements.txt:1", "outside the project");
    rig_put(rig_dir, "more/other.txt", "-r base.txt\n");
    expect_error("-r more/base.txt\n", "base.txt", "circle");
}

static void
what_is_wrong_with_a_line(void **state)
{
    (void)state;
    expect_error("requests = 2.0\n", "requirements.txt:1: \"requests = 2.0\"", "==1.2.3");
    expect_error("ok==1\n\nrequests 2.0\n", "requirements.txt:3", "version");
    expect_error("requests==\n", ":1", "version");
    expect_error("requests[socks==2\n", ":1", "]");
    expect_error("requests==2 pandas==1\n", ":1", "one requirement per line");
    expect_error("==2\n", ":1", "begins with");
    expect_error("a==1;\n", ":1", "condition");
}

/* The key does not change with what has no meaning, and changes with what has. */
static void
keys(void **state)
{
    static const char *const same[] = { "Requests == 2.32.3\npandas>=2\n",
                                        "# x\npandas >= 2\nrequests==2.32.3\n" };
    struct sl_buf key[2];
    struct sl_requirements req;

    (void)state;
    for (int i = 0; i < 2; i++) {
        sl_buf_init(&key[i], 65536);
        rig_put(rig_dir, "requirements.txt", same[i]);
        assert_int_equal(sl_requirements_load(&req, rig_dir, NULL), 0);
        sl_requirements_key(&req, &key[i]);
        sl_requirements_free(&req);
    }
    assert_string_equal(sl_buf_str(&key[0]), sl_buf_str(&key[1]));
    assert_string_equal(sl_buf_str(&key[0]), "pandas>=2\nrequests==2.32.3\n");
    sl_buf_free(&key[0]);
    sl_buf_free(&key[1]);
}

static void
pyproject(void **state)
{
    char *txt = sl_path_join(rig_dir, "requirements.txt");
    struct sl_requirements req;
    struct sl_err err = { 0 };

    (void)state;
    unlink(txt);
    free(txt);
    rig_put(rig_dir, "pyproject.toml",
            "[build-system]\nrequires = [\"x\"]\n[tool.x]\ndependencies = [\"no\"]\n"
            "text = \"\"\"\n[project]\ndependencies = ['no']\n\"\"\"\n"
            "[project]\nname = \"a\" # [x]\noptional = { dependencies = [\"no\"] }\n"
            "dependencies = [\n  \"a==1\", # one\n  'b==2 ; python_version>\"3\"',\n]\n"
            "[project.optional-dependencies]\ndev = [\"no\"]\n");
    expect_text("a==1\nb==2 ; python_version>\"3\"\n", true);
    rig_put(rig_dir, "pyproject.toml", "project.dependencies = [\"a==1\"]\n");
    expect_text("a==1\n", true);
    rig_put(rig_dir, "pyproject.toml", "[project]\nname = \"a\"\n");
    expect_text("", true);
    rig_put(rig_dir, "pyproject.toml", "[project]\n\ndependencies = [\"a==1\", 2]\n");
    assert_int_equal(sl_requirements_load(&req, rig_dir, &err), SL_E_ENV);
    assert_non_null(strstr(err.text, "pyproject.toml:3"));
    rig_put(rig_dir, "pyproject.toml", "[project]\ndependencies = [\"a = 1\"]\n");
    assert_int_equal(sl_requirements_load(&req, rig_dir, &err), SL_E_ENV);
    assert_non_null(strstr(err.text, "pyproject.toml:2"));
}

/* What a server takes from a stranger, and what it says to the rest. */
static void
a_strangers_list(void **state)
{
    static const char *const fine[] = {
        "requests",
        "requests==2.32.3",
        "requests[socks,security]>=2,<3 ; python_version >= \"3.9\" and extra == 'a-b'",
        "Requests (>=2)",
        "a==1 --hash=sha256:0123",
        "a==1 \\\n  --hash=sha256:0123 \\\n  --hash=sha256:4567",
        "--pre",
        "--prefer-binary",
        "--require-hashes",
        "--only-binary :all:",
        "# -e .",
        "a==1  # -i http://evil",
    };
    static const struct {
        const char *line, *says;
    } refused[] = {
        { "-i http://evil/simple", "requirements.txt:2: this line is refused: packages come from" },
        { "-ihttp://evil/simple", "packages come from the server's package index" },
        { "--index-url http://evil/simple", "packages come from the server's package index" },
        { "--index-url=http://evil/simple", "packages come from the server's package index" },
        { "--extra-index-url http://evil/simple", "packages come from the server's package index" },
        { "--extra-index http://evil/simple", "does not take this option" },
        { "--trusted-host evil", "\"--trusted-host evil\" is refused" },
        { "--no-index", "packages come from the server's package index" },
        { "-f http://evil/", "packages come from the server's package index" },
        { "--find-links /tmp", "packages come from the server's package index" },
        { "-e .", "installs no packages from folders" },
        { "-e git+https://evil/x.git#egg=x", "installs no packages from folders" },
        { "--editable=.", "installs no packages from folders" },
        { "-c other.txt", "a constraints file could name addresses" },
        { "--no-binary :all:", "does not take this option" },
        { "--use-feature x", "does not take this option" },
        { "--proxy http://evil", "does not take this option" },
        { "--config-settings x=y", "does not take this option" },
        { "--", "does not take this option" },
        { "./local", "not from addresses and folders" },
        { "../up", "not from addresses and folders" },
        { "/etc", "not from addresses and folders" },
        { "file:///etc/passwd", "not from addresses and folders" },
        { "git+ssh://git@evil/x.git", "not from addresses and folders" },
        { "git+https://evil/x.git", "not from addresses and folders" },
        { "https://user:hunter22@evil/x-1-py3-none-any.whl", "this line is refused" },
        { "x @ https://evil/x-1-py3-none-any.whl", "not from addresses" },
        { "x@git+https://evil/x.git", "not from addresses" },
        { "x[a] @ file:///etc/passwd", "not from addresses" },
        { "x==${SLUICE_KEY}", "variables are not replaced" },
        { "x==1 --global-option=build", "takes no option but --hash" },
        { "x==1 --config-settings=a=b", "takes no option but --hash" },
        { "x==1 ; python_version > '3' -i http://evil", "takes no option but --hash" },
        { "x==1 ; python_version > '3' --index-url=http://evil", "takes no option but --hash" },
        { "x==1 --hash=sha256:00 --index-url=http://evil", "takes no option but --hash" },
    };
    struct sl_requirements req;
    struct sl_err err = { 0 };

    (void)state;
    rig_put(rig_dir, "other.txt", "x @ http://evil\n");
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        rig_put(rig_dir, "requirements.txt", fine[i]);
        if (sl_requirements_load(&req, rig_dir, &err) || sl_requirements_check(&req, false, &err))
            fail_msg("%s: %s", fine[i], err.text);
        sl_requirements_free(&req);
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char *text = sl_sprintf("first==1\n%s\nlast==1\n", refused[i].line);

        rig_put(rig_dir, "requirements.txt", text);
        if (sl_requirements_load(&req, rig_dir, &err))
            fail_msg("%s: %s", refused[i].line, err.text);
        if (sl_requirements_check(&req, false, &err) != SL_E_ENV ||
            strstr(err.text, refused[i].says) == NULL)
            fail_msg("%s: %s", refused[i].line, err.text);
        assert_string_equal(err.path, "requirements.txt:2");
        assert_true(err.hint[0] != '\0');
        assert_null(strstr(err.text, "hunter22"));
        sl_requirements_free(&req);
        free(text);
    }
    /* Those that fail already when read. */
    rig_put(rig_dir, "requirements.txt", "-r /etc/passwd\n");
    assert_int_equal(sl_requirements_load(&req, rig_dir, &err), SL_E_ENV);
    assert_non_null(strstr(err.hint, "outside the project"));
    rig_put(rig_dir, "requirements.txt", "-r -\n");
    assert_int_equal(sl_requirements_load(&req, rig_dir, &err), SL_E_ENV);
    rig_put(rig_dir, "requirements.txt", "x -i http://evil\n");
    assert_int_equal(sl_requirements_load(&req, rig_dir, &err), SL_E_ENV);
    /* What the operator may allow. */
    rig_put(rig_dir, "requirements.txt",
            "--index-url https://ours/simple\nx @ https://ours/x.whl\n./local\n");
    assert_int_equal(sl_requirements_load(&req, rig_dir, &err), SL_OK);
    assert_int_equal(sl_requirements_check(&req, true, &err), SL_OK);
    sl_requirements_free(&req);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(the_sdk_is_dropped),
        cmocka_unit_test(nested_files),
        cmocka_unit_test(what_is_wrong_with_a_line),
        cmocka_unit_test(keys),
        cmocka_unit_test(pyproject),
        cmocka_unit_test(a_strangers_list),
    };

    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
