/* no_pkcs11.c - stands in for p11-kit in a statically linked server.
 *
 * GnuTLS asks p11-kit for keys in smart cards and security modules when a key or certificate is named by a "pkcs11:" address.
 * Ours come from PEM files, and p11-kit exists as a shared library only, which a wheel cannot count on. So every function of it
 * that libgnutls.a names answers NULL or 0: there is no module, and no address can be made. The linker says so when a newer GnuTLS
 * names one more.
 */
#include <p11-kit/p11-kit.h>
#include <p11-kit/pin.h>
#include <p11-kit/uri.h>

static void *
nothing(void)
{
    return NULL;
}

/* One body for all of them: on the systems we build for a function's result is in the same register whatever its parameters. */
#pragma GCC diagnostic ignored "-Wattribute-alias"
#define NOTHING(name) __typeof__(name) name __attribute__((alias("nothing")));

NOTHING(p11_kit_config_option)
NOTHING(p11_kit_message)
NOTHING(p11_kit_module_finalize)
NOTHING(p11_kit_module_get_flags)
NOTHING(p11_kit_module_get_name)
NOTHING(p11_kit_module_load)
NOTHING(p11_kit_module_release)
NOTHING(p11_kit_modules_load)
NOTHING(p11_kit_pin_file_callback)
NOTHING(p11_kit_pin_get_length)
NOTHING(p11_kit_pin_get_value)
NOTHING(p11_kit_pin_new_for_string)
NOTHING(p11_kit_pin_register_callback)
NOTHING(p11_kit_pin_request)
NOTHING(p11_kit_pin_unref)
NOTHING(p11_kit_pin_unregister_callback)
NOTHING(p11_kit_space_strdup)
NOTHING(p11_kit_space_strlen)
NOTHING(p11_kit_strerror)
NOTHING(p11_kit_uri_format)
NOTHING(p11_kit_uri_free)
NOTHING(p11_kit_uri_get_attribute)
NOTHING(p11_kit_uri_get_attributes)
NOTHING(p11_kit_uri_get_module_info)
NOTHING(p11_kit_uri_get_pin_source)
NOTHING(p11_kit_uri_get_pin_value)
NOTHING(p11_kit_uri_get_token_info)
NOTHING(p11_kit_uri_match_module_info)
NOTHING(p11_kit_uri_match_token_info)
NOTHING(p11_kit_uri_new)
NOTHING(p11_kit_uri_parse)
NOTHING(p11_kit_uri_set_attribute)
