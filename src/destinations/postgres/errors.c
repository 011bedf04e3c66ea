#include "destinations/postgres/postgres.h"

/* What is to be made of an SQLSTATE: the longest prefix that fits wins. */
static const struct {
    const char *state;
    sl_rc code;
    const char *hint;
} known[] = {
    { "08", SL_E_UNREACHABLE, "" },
    { "0A000", SL_E_DESTINATION,
      "a view or rule may use the column: drop it, let the sync run, make it again" },
    { "22", SL_E_DATA, "" },
    { "23", SL_E_DATA,
      "has someone else written to the table, or put a constraint on it? Only the connector's sync "
      "may change its rows" },
    { "25006", SL_E_CONFIG, "the server is a standby: give the address of the primary" },
    { "28", SL_E_CONFIG, "check user and password, and the server's pg_hba.conf" },
    { "2BP01", SL_E_DESTINATION,
      "something of someone else's needs what has to go (a foreign key, a view): drop it, let the "
      "sync run, make it again" },
    { "3D000", SL_E_CONFIG, "create the database first, or correct its name" },
    { "40", SL_E_RETRY, "" },
    { "42501", SL_E_PERMISSION, "" },
    { "42P07", SL_E_SCHEMA, "rename or drop that table: it was not made by this connection" },
    { "53100", SL_E_DISK_FULL, "the server's disk is full: nothing was lost" },
    { "53200", SL_E_NOMEM, "the server has no memory left for this" },
    { "53300", SL_E_RETRY, "the server takes no more connections: raise max_connections" },
    { "53400", SL_E_LIMIT, "" },
    { "54", SL_E_LIMIT, "" },
    { "55P03", SL_E_RETRY,
      "someone else has the table locked: end what they do, or raise lock_timeout" },
    { "57014", SL_E_TIMEOUT, "the statement took longer than statement_timeout: raise it" },
    { "57P", SL_E_UNREACHABLE, "" },
    { "58", SL_E_DESTINATION, "the server met an error of its own system: see its log" },
};

const char *
sl_pg_state(const PGresult *res)
{
    const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;

    return state ? state : "";
}

/* libpq ends its messages with a newline; a login that tried several addresses has several lines. */
static int
first_line(const char *text)
{
    return (int)strcspn(text, "\n");
}

static void
explain(const char *state, sl_rc *code, const char **hint)
{
    size_t best = 0;

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t n = strlen(known[i].state);

        if (n > best && strncmp(state, known[i].state, n) == 0) {
            best = n;
            *code = known[i].code;
            *hint = known[i].hint;
        }
    }
}

sl_rc
sl_pg_fail(struct sl_pg *pg, const PGresult *res, const char *doing, struct sl_err *err)
{
    const char *state = sl_pg_state(res), *hint = "";
    const char *text = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *detail = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL) : NULL;
    sl_rc code = SL_E_DESTINATION;

    if (text == NULL)
        text = PQerrorMessage(pg->conn);
    explain(state, &code, &hint);
    if (sl_pg_is_lost(pg)) {
        code = SL_E_UNREACHABLE;
        hint = "";
        sl_fail(err, code, "%s: the connection to %s was lost: %.*s", doing, pg->name,
                first_line(text), text);
    } else if (detail != NULL) {
        sl_fail(err, code, "%s: %.*s (%.300s)%s%s", doing, first_line(text), text, detail,
                *state ? ", SQLSTATE " : "", state);
    } else {
        sl_fail(err, code, "%s: %.*s%s%s", doing, first_line(text), text,
                *state ? ", SQLSTATE " : "", state);
    }
    if (*hint)
        sl_err_hint(err, "%s", hint);
    return code;
}

/* Texts of libpq and the server about a login, which come without an SQLSTATE. */
static const struct {
    const char *has;
    sl_rc code;
    const char *hint;
} logins[] = {
    { "password authentication failed", SL_E_CONFIG, "check user and password" },
    { "no password supplied", SL_E_CONFIG, "give a password" },
    { "no pg_hba.conf entry", SL_E_CONFIG,
      "the server's pg_hba.conf does not let this user in from here: its administrator adds a "
      "line" },
    { "authentication failed", SL_E_CONFIG,
      "check user and password, and the server's pg_hba.conf" },
    { "database \"", SL_E_CONFIG, "create the database first, or correct its name" },
    { "role \"", SL_E_CONFIG, "create the role first, or correct its name" },
    { "server does not support SSL", SL_E_CONFIG,
      "the server has no TLS: switch it on there, or choose sslmode \"disable\" if the network is "
      "yours" },
    { "certificate verify failed", SL_E_CONFIG,
      "the certificate was not signed by one that is trusted: give sslrootcert" },
    { "server certificate for", SL_E_CONFIG,
      "the certificate is for another name: use that name as host, or sslmode \"verify-ca\"" },
    { "root certificate file", SL_E_CONFIG, "give sslrootcert, or sslmode \"require\"" },
    { "certificate", SL_E_CONFIG, "check the certificates and the key" },
    { "session is read-only", SL_E_CONFIG,
      "the server is a standby: give the address of the primary" },
    { "could not translate host name", SL_E_UNREACHABLE, "check the host's name" },
    { "too many clients", SL_E_RETRY,
      "the server takes no more connections: raise max_connections" },
    { "remaining connection slots", SL_E_RETRY,
      "the server takes no more connections: raise max_connections" },
};

sl_rc
sl_pg_fail_login(struct sl_pg *pg, struct sl_err *err)
{
    const char *text = PQerrorMessage(pg->conn);
    const char *hint = "is the server running there, and does a firewall let this machine through?";
    sl_rc code = SL_E_UNREACHABLE;

    for (size_t i = 0; i < sizeof logins / sizeof logins[0]; i++)
        if (strstr(text, logins[i].has) != NULL) {
            code = logins[i].code;
            hint = logins[i].hint;
            break;
        }
    sl_fail(err, code, "connecting to %s: %.*s", pg->name, first_line(text), text);
    sl_err_hint(err, "%s", hint);
    return code;
}
