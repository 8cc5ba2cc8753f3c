/* The border between dfp and its plugins.
 *
 * A plugin is a shared library that exports one function, dfp_plugin_entry_v0, which answers with a constant table. Tables
 * begin with their size and only grow at the end: read a slot of a foreign table through DFP_HAS. Handing over an Arrow
 * struct moves it, whether or not the call succeeds. All text is UTF-8.
 *
 * Generated from dfp-sdk/abi/src/c.rs by the test border_header; not to be edited. */

#ifndef DFP_PLUGIN_H
#define DFP_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include "dfp/arrow_c.h"

/* Whether a table has a slot and the slot is filled. */
#define DFP_HAS(table, slot) \
  ((size_t)((const char *)&(table)->slot - (const char *)(table)) + sizeof((table)->slot) <= \
       (size_t)(table)->struct_size && \
   (table)->slot != NULL)

#ifdef _WIN32
#define DFP_EXPORT __declspec(dllexport)
#else
#define DFP_EXPORT __attribute__((visibility("default")))
#endif

/* Which header this is. Until the border is frozen, host and plugin must agree on it. */
#define DFP_ABI_FINGERPRINT UINT64_C(0xd255e962cf15dcf3)

#define DFP_VERSION "0.1.0"

// Which list of slots the tables have; grows when one is added.
#define DFP_ABI_MINOR 0

// Success. Every other code is a failure; 1000 and above are a plugin's own.
#define DFP_OK 0

// A caller passed something the function does not accept.
#define DFP_INVALID_ARGUMENT 1

// A configuration value is missing, unknown or out of range.
#define DFP_INVALID_CONFIG 2

// Columns are missing or of another type than declared.
#define DFP_SCHEMA_MISMATCH 3

// The operation exists but not here.
#define DFP_UNSUPPORTED 4

// A file or entity does not exist.
#define DFP_NOT_FOUND 5

// Reading or writing failed.
#define DFP_IO 6

// The operating system or a policy refused.
#define DFP_PERMISSION 7

// The host asked to stop.
#define DFP_CANCELLED 8

// It took longer than allowed.
#define DFP_TIMEOUT 9

// Memory, disk or a stated limit ran out.
#define DFP_RESOURCE_EXHAUSTED 10

// The data itself is damaged.
#define DFP_BAD_DATA 11

// The call came at the wrong moment.
#define DFP_INVALID_STATE 12

// An earlier panic made this instance unusable; only destroy is legal.
#define DFP_POISONED 13

// The callee panicked.
#define DFP_PANIC 14

// A fault of dfp or of the plugin.
#define DFP_INTERNAL 15

// An accelerator failed.
#define DFP_DEVICE 16

// Added to a code that a stream callback returns. Arrow lets those return errno values, all of them smaller; so a
// plugin may return either.
#define DFP_STREAM_CODE_BASE 4096

// Error flag: the message was longer than the room for it.
#define DFP_ERROR_TRUNCATED 1

// Error flag: the input ends before it should, as a half-copied file does.
#define DFP_ERROR_UNEXPECTED_END 2

// Component kind: reads records and emits them as batches. 2 is a stage, 3 a sink, 4 a model; they come later.
#define DFP_KIND_SOURCE 1

// Log level: something failed.
#define DFP_LOG_ERROR 1

// Log level: something is odd and handled.
#define DFP_LOG_WARN 2

// Log level: progress worth knowing.
#define DFP_LOG_INFO 3

// Log level: detail for whoever debugs the plugin.
#define DFP_LOG_DEBUG 4

// Log level: everything.
#define DFP_LOG_TRACE 5

// Room for an error's text, the closing NUL included.
#define DFP_ERROR_MESSAGE_BYTES 1008

// What went wrong. The caller provides it, sets struct_size and zeroes the next 12 bytes; the callee writes to it only
// if it fails. It owns nothing, so nothing has to be freed. Frozen: it never grows.
typedef struct dfp_error {
  // sizeof(dfp_error), set by the caller.
  uint32_t struct_size;
  // The code the function returned.
  int32_t code;
  // DFP_ERROR_* bits.
  uint32_t flags;
  // Bytes of message, without the closing NUL.
  uint32_t message_len;
  // UTF-8 without NUL inside, cut at a character if it was too long, closed by NUL.
  char message[DFP_ERROR_MESSAGE_BYTES];
} dfp_error;

// Bytes handed over together with the way to free them. Frozen: it never grows.
typedef struct dfp_buf {
  // May be NULL if len is 0.
  const uint8_t *data;
  // Bytes.
  size_t len;
  // Frees data and sets itself to NULL. Whoever received the struct calls it once. NULL: there is nothing to free.
  void (*release)(struct dfp_buf *buf);
  // For release alone.
  void *private_data;
} dfp_buf;

// A record that cannot be used. Texts are pointer and length, borrowed for the call; a text that is not UTF-8 is taken
// with the bad bytes replaced. Frozen: it never grows.
typedef struct dfp_reject {
  // File or topic and position, as in the column _origin.
  const char *origin;
  // Bytes of origin.
  size_t origin_len;
  // A short, stable word to count by.
  const char *reason;
  // Bytes of reason.
  size_t reason_len;
  // What exactly was wrong, for a person.
  const char *detail;
  // Bytes of detail.
  size_t detail_len;
  // The start of the record; NULL if it is not given.
  const char *excerpt;
  // Bytes of excerpt.
  size_t excerpt_len;
} dfp_reject;

// What the host lends to plugins. The table lives until the process ends; what tells one engine from another is ctx, which
// create receives and every function here takes. Slots may be called from any thread. ctx is valid until destroy has
// returned and every stream of the instance is released, and beyond that while it is retained.
typedef struct dfp_host {
  // sizeof(dfp_host) on the host's side: a slot beyond it does not exist (see DFP_HAS).
  uint32_t struct_size;
  // DFP_ABI_MINOR of the host.
  uint32_t abi_minor;
  // DFP_ABI_FINGERPRINT of the host.
  uint64_t fingerprint;
  // Name of the host program or library.
  const char *name;
  // DFP_VERSION of the host.
  const char *version;
  // 1 if a log line of this level would go anywhere, else 0.
  int32_t (*log_enabled)(void *ctx, uint32_t level);
  // Writes a log line; target names the component.
  void (*log)(void *ctx,
              uint32_t level,
              const char *target,
              size_t target_len,
              const char *message,
              size_t message_len);
  // 1 if the run should stop, else 0. Whoever blocks asks at least once a second and returns DFP_CANCELLED.
  int32_t (*is_cancelled)(void *ctx);
  // Fetches a secret by the name the configuration refers to. NULL if the host keeps none.
  int32_t (*get_secret)(void *ctx,
                        const char *name,
                        size_t name_len,
                        struct dfp_buf *out,
                        struct dfp_error *error);
  // Keeps ctx valid until a release more: for whoever stores it beyond its instance.
  void (*retain)(void *ctx);
  // Gives back one retain.
  void (*release)(void *ctx);
  // Opens an input by name or address. Plugins open no files and no sockets themselves.
  int32_t (*open_input)(void *ctx, const char *uri, size_t uri_len, void **out, struct dfp_error *error);
  // Reads up to capacity bytes, decompressed; *read is 0 at the end. One thread at a time for one input.
  int32_t (*read_input)(void *ctx,
                        void *input,
                        uint8_t *buffer,
                        size_t capacity,
                        size_t *read,
                        struct dfp_error *error);
  // Closes an input. NULL is fine.
  void (*close_input)(void *ctx, void *input);
  // Takes a record that cannot be used.
  void (*reject)(void *ctx, const struct dfp_reject *reject);
  // Adds n to a named counter. A source counts every record it finds as "records_read", whatever becomes of it.
  void (*count)(void *ctx, const char *counter, size_t counter_len, uint64_t n);
} dfp_host;

// One thing a plugin offers.
typedef struct dfp_component {
  // sizeof(dfp_component) on the plugin's side.
  uint32_t struct_size;
  // DFP_KIND_*.
  uint32_t kind;
  // The name users select it by, unique within the plugin.
  const char *id;
  // One line for people.
  const char *title;
  // JSON Schema of the configuration object.
  const char *config_schema;
  // The shipped profile, TOML; NULL if there is none.
  const char *profile;
  // No bit is defined yet: 0.
  uint64_t flags;
  // The table of its kind: dfp_source_ops.
  const void *ops;
} dfp_component;

// What a plugin library offers. The table and all it points to live until the process ends; texts are UTF-8, closed by
// NUL. Everything up to sdk_version keeps its place in all versions, so that any host can name what it refuses.
typedef struct dfp_plugin {
  // sizeof(dfp_plugin) on the plugin's side.
  uint32_t struct_size;
  // DFP_ABI_MINOR of the plugin.
  uint32_t abi_minor;
  // DFP_ABI_FINGERPRINT of the plugin.
  uint64_t fingerprint;
  // Unique name.
  const char *id;
  // The plugin's own version.
  const char *version;
  // Who made it.
  const char *vendor;
  // SPDX expression.
  const char *licence;
  // DFP_VERSION of the plugin.
  const char *sdk_version;
  // No bit is defined yet: 0.
  uint64_t flags;
  // component_count pointers.
  const struct dfp_component *const *components;
  // How many components there are.
  uint64_t component_count;
} dfp_plugin;

// What a source does. Functions return a code and take the place for an error last; it may be NULL. An instance is called by
// one thread at a time, not always the same one; a stream it opened counts as an object of its own and may be pulled
// while the instance is called on another thread. After a failure other than DFP_INVALID_ARGUMENT, DFP_INVALID_STATE and
// DFP_CANCELLED only destroy is legal.
typedef struct dfp_source_ops {
  // sizeof(dfp_source_ops) on the plugin's side.
  uint32_t struct_size;
  // 0.
  uint32_t reserved;
  // Makes an instance. config is a JSON object of config_len bytes, borrowed for the call. On failure *out is NULL and
  // nothing has to be freed.
  int32_t (*create)(const struct dfp_host *host,
                    void *ctx,
                    const char *config,
                    size_t config_len,
                    void **out,
                    struct dfp_error *error);
  // Frees an instance; NULL is fine. Streams and batches it made stay valid. It joins the instance's own threads.
  void (*destroy)(void *instance);
  // Asks whatever call is blocking to return DFP_CANCELLED. Any thread, any time before destroy. Optional: a source that
  // asks is_cancelled often enough needs none.
  void (*request_cancel)(void *instance);
  // The schema of every batch: known before anything is opened, never changing. The caller receives a new struct.
  int32_t (*schema)(void *instance, struct ArrowSchema *out, struct dfp_error *error);
  // Starts reading, from the beginning if resume is NULL, else from a position. The caller receives a new stream. Its
  // batches are structs with offset 0 and no top-level nulls; one without rows says that the source is alive. Its
  // callbacks return 0, an errno value, or DFP_STREAM_CODE_BASE plus a code. get_last_error may be NULL.
  int32_t (*open)(void *instance,
                  const uint8_t *resume,
                  size_t resume_len,
                  struct ArrowArrayStream *out,
                  struct dfp_error *error);
  // A token that resumes after the batches delivered so far; data NULL if there is none now. Optional: NULL if the source
  // cannot resume at all.
  int32_t (*position)(void *instance, struct dfp_buf *out, struct dfp_error *error);
} dfp_source_ops;


#ifdef __cplusplus
extern "C" {
#endif

/* What a plugin exports. host lives until the process ends; so does the answer. NULL refuses the host. */
DFP_EXPORT const dfp_plugin *dfp_plugin_entry_v0(const dfp_host *host);

#ifdef __cplusplus
}
#endif

#endif /* DFP_PLUGIN_H */
