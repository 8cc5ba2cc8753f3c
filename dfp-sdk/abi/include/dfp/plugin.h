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
#define DFP_ABI_FINGERPRINT UINT64_C(0x5ad5d0eedda8aa39)

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

// Component kind: reads records and emits them as batches. Its table is dfp_source_ops.
#define DFP_KIND_SOURCE 1

// Component kind: turns batches into other batches. Its table is dfp_stage_ops.
#define DFP_KIND_STAGE 2

// Component kind: takes batches out of the run. Its table is dfp_sink_ops.
#define DFP_KIND_SINK 3

// Component kind: learns from batches and scores others. Its table is dfp_model_ops.
#define DFP_KIND_MODEL 4

// Component flag: calls on one instance, or on one fitted model, may overlap. Without it the host makes one at a time;
// request_cancel may overlap in any case.
#define DFP_CONCURRENT 1

// Component flag: equal configuration and input give equal output, whatever the number of threads.
#define DFP_DETERMINISTIC 2

// Component flag: row i of a stage's output belongs to row i of its input. Models always keep rows.
#define DFP_KEEPS_ROWS 4

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
  // The shipped profile, TOML; NULL if there is none, as always for what is no source.
  const char *profile;
  // DFP_CONCURRENT, DFP_DETERMINISTIC, DFP_KEEPS_ROWS.
  uint64_t flags;
  // The table of its kind.
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

// Makes an instance. config is a JSON object of config_len bytes, borrowed for the call. On failure *out is NULL and
// nothing has to be freed.
typedef int32_t (*dfp_create)(const struct dfp_host *host,
                              void *ctx,
                              const char *config,
                              size_t config_len,
                              void **out,
                              struct dfp_error *error);

// Frees an instance; NULL is fine. It joins the instance's own threads.
typedef void (*dfp_destroy)(void *instance);

// Asks whatever call is blocking to return DFP_CANCELLED. Any thread, any time before destroy.
typedef void (*dfp_request_cancel)(void *instance);

// Says what the instance is doing, as a JSON object for people.
typedef int32_t (*dfp_introspect)(void *instance, struct dfp_buf *out, struct dfp_error *error);

// How the table of every kind begins. Functions return a code and take the place for an error last; it may be NULL. An
// instance is called by one thread at a time, not always the same one, unless the component has DFP_CONCURRENT. After a
// failure other than DFP_INVALID_ARGUMENT, DFP_INVALID_STATE and DFP_CANCELLED only destroy is legal. Whoever passes an
// ArrowArray or ArrowArrayStream hands it over: the callee releases it, whether or not the call succeeds. An ArrowSchema
// passed in is borrowed for the call. Batches are structs with offset 0 and no top-level nulls. What a call produced stays
// valid after destroy, on any thread, in any order of release.
typedef struct dfp_instance_ops {
  // Size of the whole table on the plugin's side.
  uint32_t struct_size;
  // 0.
  uint32_t reserved;
  // Required.
  dfp_create create;
  // Required.
  dfp_destroy destroy;
  // Optional: whoever asks is_cancelled at least once a second needs none.
  dfp_request_cancel request_cancel;
  // Optional.
  dfp_introspect introspect;
} dfp_instance_ops;

// What a source does. A stream it opened counts as an object of its own and may be pulled while the instance is called on
// another thread.
typedef struct dfp_source_ops {
  // sizeof(dfp_source_ops) on the plugin's side.
  uint32_t struct_size;
  // 0.
  uint32_t reserved;
  // As in dfp_instance_ops.
  dfp_create create;
  // As in dfp_instance_ops.
  dfp_destroy destroy;
  // As in dfp_instance_ops.
  dfp_request_cancel request_cancel;
  // As in dfp_instance_ops.
  dfp_introspect introspect;
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

// What a stage does: bind once; then push and pull until there is nothing to pull, again and again; then finish, and pull
// until there is nothing left.
typedef struct dfp_stage_ops {
  // sizeof(dfp_stage_ops) on the plugin's side.
  uint32_t struct_size;
  // 0.
  uint32_t reserved;
  // As in dfp_instance_ops.
  dfp_create create;
  // As in dfp_instance_ops.
  dfp_destroy destroy;
  // As in dfp_instance_ops.
  dfp_request_cancel request_cancel;
  // As in dfp_instance_ops.
  dfp_introspect introspect;
  // Learns the schema of what will be pushed, which it copies if it keeps it, and gives that of what will be pulled.
  int32_t (*bind)(void *instance,
                  const struct ArrowSchema *input,
                  struct ArrowSchema *out,
                  struct dfp_error *error);
  // Takes a batch. The host pushes again only after pull had nothing more.
  int32_t (*push)(void *instance, struct ArrowArray *batch, struct dfp_error *error);
  // Gives the next finished batch; *out is a released struct (release is NULL) if there is none until more is pushed.
  int32_t (*pull)(void *instance, struct ArrowArray *out, struct dfp_error *error);
  // Says that no more is pushed: what is held back becomes ready to pull.
  int32_t (*finish)(void *instance, struct dfp_error *error);
} dfp_stage_ops;

// What a sink does: bind once; then write and flush; close at the end.
typedef struct dfp_sink_ops {
  // sizeof(dfp_sink_ops) on the plugin's side.
  uint32_t struct_size;
  // 0.
  uint32_t reserved;
  // As in dfp_instance_ops.
  dfp_create create;
  // As in dfp_instance_ops.
  dfp_destroy destroy;
  // As in dfp_instance_ops.
  dfp_request_cancel request_cancel;
  // As in dfp_instance_ops.
  dfp_introspect introspect;
  // Learns the schema of what will be written, which it copies if it keeps it.
  int32_t (*bind)(void *instance, const struct ArrowSchema *input, struct dfp_error *error);
  // Accepts a batch; it need not be durable yet.
  int32_t (*write)(void *instance, struct ArrowArray *batch, struct dfp_error *error);
  // Makes durable what was written so far.
  int32_t (*flush)(void *instance, struct dfp_error *error);
  // Flushes and ends: only destroy may follow.
  int32_t (*close)(void *instance, struct dfp_error *error);
} dfp_sink_ops;

// What a fit may use besides the data. Grows at the end only: read a field if struct_size covers it (see DFP_HAS).
typedef struct dfp_fit_context {
  // sizeof(dfp_fit_context) on the host's side.
  uint32_t struct_size;
  // Threads to use, at least 1.
  uint32_t threads;
  // A saved model of all entities together, borrowed for the call; NULL if there is none.
  const uint8_t *population;
  // Bytes of population.
  size_t population_len;
} dfp_fit_context;

// What a model component does. The instance is the trainer; what it fits or loads is a handle of its own that outlives
// it, never changes, and is freed by model_destroy. Functions that take a model may be called on any thread, by several at
// once if the component has DFP_CONCURRENT.
typedef struct dfp_model_ops {
  // sizeof(dfp_model_ops) on the plugin's side.
  uint32_t struct_size;
  // 0.
  uint32_t reserved;
  // As in dfp_instance_ops.
  dfp_create create;
  // As in dfp_instance_ops.
  dfp_destroy destroy;
  // As in dfp_instance_ops.
  dfp_request_cancel request_cancel;
  // As in dfp_instance_ops.
  dfp_introspect introspect;
  // Learns from rows of one entity (or of all, for a population model), oldest first. On failure *out is NULL.
  int32_t (*fit)(void *instance,
                 const struct dfp_fit_context *context,
                 struct ArrowArrayStream *data,
                 void **out,
                 struct dfp_error *error);
  // Learns one model from each batch of the stream, which has count of them. models and errors have count places: where
  // models[i] is NULL, errors[i] says why. The answer is 0 if all were tried. Optional: the host calls fit for each.
  int32_t (*fit_many)(void *instance,
                      const struct dfp_fit_context *context,
                      struct ArrowArrayStream *data,
                      size_t count,
                      void **models,
                      struct dfp_error *errors,
                      struct dfp_error *error);
  // Reads a model that save wrote. On failure *out is NULL.
  int32_t (*load)(void *instance, const uint8_t *data, size_t len, void **out, struct dfp_error *error);
  // The columns that score needs, in the order it wants them.
  int32_t (*model_schema)(void *model, struct ArrowSchema *out, struct dfp_error *error);
  // The columns that score gives: score (float64) first.
  int32_t (*score_schema)(void *model, struct ArrowSchema *out, struct dfp_error *error);
  // Scores a batch of model_schema: as many rows out as in, in the same order.
  int32_t (*score)(void *model, struct ArrowArray *batch, struct ArrowArray *out, struct dfp_error *error);
  // The model as bytes that load reads. Never an executable format.
  int32_t (*save)(void *model, struct dfp_buf *out, struct dfp_error *error);
  // Frees a model; NULL is fine.
  void (*model_destroy)(void *model);
} dfp_model_ops;


/* Sizes and offsets with 64-bit pointers. If one of these fails, the compiler was told to pack structs. */
#if UINTPTR_MAX == UINT64_MAX
#if defined(__cplusplus) && __cplusplus >= 201103L
#define DFP_LAYOUT(condition) static_assert(condition, #condition)
#elif !defined(__cplusplus) && defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define DFP_LAYOUT(condition) _Static_assert(condition, #condition)
#endif
#endif
#ifdef DFP_LAYOUT
DFP_LAYOUT(sizeof(dfp_error) == 1024);
DFP_LAYOUT(offsetof(dfp_error, struct_size) == 0);
DFP_LAYOUT(offsetof(dfp_error, code) == 4);
DFP_LAYOUT(offsetof(dfp_error, flags) == 8);
DFP_LAYOUT(offsetof(dfp_error, message_len) == 12);
DFP_LAYOUT(offsetof(dfp_error, message) == 16);
DFP_LAYOUT(sizeof(dfp_buf) == 32);
DFP_LAYOUT(offsetof(dfp_buf, data) == 0);
DFP_LAYOUT(offsetof(dfp_buf, len) == 8);
DFP_LAYOUT(offsetof(dfp_buf, release) == 16);
DFP_LAYOUT(offsetof(dfp_buf, private_data) == 24);
DFP_LAYOUT(sizeof(dfp_reject) == 64);
DFP_LAYOUT(offsetof(dfp_reject, origin) == 0);
DFP_LAYOUT(offsetof(dfp_reject, origin_len) == 8);
DFP_LAYOUT(offsetof(dfp_reject, reason) == 16);
DFP_LAYOUT(offsetof(dfp_reject, reason_len) == 24);
DFP_LAYOUT(offsetof(dfp_reject, detail) == 32);
DFP_LAYOUT(offsetof(dfp_reject, detail_len) == 40);
DFP_LAYOUT(offsetof(dfp_reject, excerpt) == 48);
DFP_LAYOUT(offsetof(dfp_reject, excerpt_len) == 56);
DFP_LAYOUT(sizeof(dfp_host) == 120);
DFP_LAYOUT(offsetof(dfp_host, struct_size) == 0);
DFP_LAYOUT(offsetof(dfp_host, abi_minor) == 4);
DFP_LAYOUT(offsetof(dfp_host, fingerprint) == 8);
DFP_LAYOUT(offsetof(dfp_host, name) == 16);
DFP_LAYOUT(offsetof(dfp_host, version) == 24);
DFP_LAYOUT(offsetof(dfp_host, log_enabled) == 32);
DFP_LAYOUT(offsetof(dfp_host, log) == 40);
DFP_LAYOUT(offsetof(dfp_host, is_cancelled) == 48);
DFP_LAYOUT(offsetof(dfp_host, get_secret) == 56);
DFP_LAYOUT(offsetof(dfp_host, retain) == 64);
DFP_LAYOUT(offsetof(dfp_host, release) == 72);
DFP_LAYOUT(offsetof(dfp_host, open_input) == 80);
DFP_LAYOUT(offsetof(dfp_host, read_input) == 88);
DFP_LAYOUT(offsetof(dfp_host, close_input) == 96);
DFP_LAYOUT(offsetof(dfp_host, reject) == 104);
DFP_LAYOUT(offsetof(dfp_host, count) == 112);
DFP_LAYOUT(sizeof(dfp_plugin) == 80);
DFP_LAYOUT(offsetof(dfp_plugin, struct_size) == 0);
DFP_LAYOUT(offsetof(dfp_plugin, abi_minor) == 4);
DFP_LAYOUT(offsetof(dfp_plugin, fingerprint) == 8);
DFP_LAYOUT(offsetof(dfp_plugin, id) == 16);
DFP_LAYOUT(offsetof(dfp_plugin, version) == 24);
DFP_LAYOUT(offsetof(dfp_plugin, vendor) == 32);
DFP_LAYOUT(offsetof(dfp_plugin, licence) == 40);
DFP_LAYOUT(offsetof(dfp_plugin, sdk_version) == 48);
DFP_LAYOUT(offsetof(dfp_plugin, flags) == 56);
DFP_LAYOUT(offsetof(dfp_plugin, components) == 64);
DFP_LAYOUT(offsetof(dfp_plugin, component_count) == 72);
DFP_LAYOUT(sizeof(dfp_component) == 56);
DFP_LAYOUT(offsetof(dfp_component, struct_size) == 0);
DFP_LAYOUT(offsetof(dfp_component, kind) == 4);
DFP_LAYOUT(offsetof(dfp_component, id) == 8);
DFP_LAYOUT(offsetof(dfp_component, title) == 16);
DFP_LAYOUT(offsetof(dfp_component, config_schema) == 24);
DFP_LAYOUT(offsetof(dfp_component, profile) == 32);
DFP_LAYOUT(offsetof(dfp_component, flags) == 40);
DFP_LAYOUT(offsetof(dfp_component, ops) == 48);
DFP_LAYOUT(sizeof(dfp_instance_ops) == 40);
DFP_LAYOUT(offsetof(dfp_instance_ops, struct_size) == 0);
DFP_LAYOUT(offsetof(dfp_instance_ops, reserved) == 4);
DFP_LAYOUT(offsetof(dfp_instance_ops, create) == 8);
DFP_LAYOUT(offsetof(dfp_instance_ops, destroy) == 16);
DFP_LAYOUT(offsetof(dfp_instance_ops, request_cancel) == 24);
DFP_LAYOUT(offsetof(dfp_instance_ops, introspect) == 32);
DFP_LAYOUT(sizeof(dfp_source_ops) == 64);
DFP_LAYOUT(offsetof(dfp_source_ops, struct_size) == 0);
DFP_LAYOUT(offsetof(dfp_source_ops, reserved) == 4);
DFP_LAYOUT(offsetof(dfp_source_ops, create) == 8);
DFP_LAYOUT(offsetof(dfp_source_ops, destroy) == 16);
DFP_LAYOUT(offsetof(dfp_source_ops, request_cancel) == 24);
DFP_LAYOUT(offsetof(dfp_source_ops, introspect) == 32);
DFP_LAYOUT(offsetof(dfp_source_ops, schema) == 40);
DFP_LAYOUT(offsetof(dfp_source_ops, open) == 48);
DFP_LAYOUT(offsetof(dfp_source_ops, position) == 56);
DFP_LAYOUT(sizeof(dfp_stage_ops) == 72);
DFP_LAYOUT(offsetof(dfp_stage_ops, struct_size) == 0);
DFP_LAYOUT(offsetof(dfp_stage_ops, reserved) == 4);
DFP_LAYOUT(offsetof(dfp_stage_ops, create) == 8);
DFP_LAYOUT(offsetof(dfp_stage_ops, destroy) == 16);
DFP_LAYOUT(offsetof(dfp_stage_ops, request_cancel) == 24);
DFP_LAYOUT(offsetof(dfp_stage_ops, introspect) == 32);
DFP_LAYOUT(offsetof(dfp_stage_ops, bind) == 40);
DFP_LAYOUT(offsetof(dfp_stage_ops, push) == 48);
DFP_LAYOUT(offsetof(dfp_stage_ops, pull) == 56);
DFP_LAYOUT(offsetof(dfp_stage_ops, finish) == 64);
DFP_LAYOUT(sizeof(dfp_sink_ops) == 72);
DFP_LAYOUT(offsetof(dfp_sink_ops, struct_size) == 0);
DFP_LAYOUT(offsetof(dfp_sink_ops, reserved) == 4);
DFP_LAYOUT(offsetof(dfp_sink_ops, create) == 8);
DFP_LAYOUT(offsetof(dfp_sink_ops, destroy) == 16);
DFP_LAYOUT(offsetof(dfp_sink_ops, request_cancel) == 24);
DFP_LAYOUT(offsetof(dfp_sink_ops, introspect) == 32);
DFP_LAYOUT(offsetof(dfp_sink_ops, bind) == 40);
DFP_LAYOUT(offsetof(dfp_sink_ops, write) == 48);
DFP_LAYOUT(offsetof(dfp_sink_ops, flush) == 56);
DFP_LAYOUT(offsetof(dfp_sink_ops, close) == 64);
DFP_LAYOUT(sizeof(dfp_fit_context) == 24);
DFP_LAYOUT(offsetof(dfp_fit_context, struct_size) == 0);
DFP_LAYOUT(offsetof(dfp_fit_context, threads) == 4);
DFP_LAYOUT(offsetof(dfp_fit_context, population) == 8);
DFP_LAYOUT(offsetof(dfp_fit_context, population_len) == 16);
DFP_LAYOUT(sizeof(dfp_model_ops) == 104);
DFP_LAYOUT(offsetof(dfp_model_ops, struct_size) == 0);
DFP_LAYOUT(offsetof(dfp_model_ops, reserved) == 4);
DFP_LAYOUT(offsetof(dfp_model_ops, create) == 8);
DFP_LAYOUT(offsetof(dfp_model_ops, destroy) == 16);
DFP_LAYOUT(offsetof(dfp_model_ops, request_cancel) == 24);
DFP_LAYOUT(offsetof(dfp_model_ops, introspect) == 32);
DFP_LAYOUT(offsetof(dfp_model_ops, fit) == 40);
DFP_LAYOUT(offsetof(dfp_model_ops, fit_many) == 48);
DFP_LAYOUT(offsetof(dfp_model_ops, load) == 56);
DFP_LAYOUT(offsetof(dfp_model_ops, model_schema) == 64);
DFP_LAYOUT(offsetof(dfp_model_ops, score_schema) == 72);
DFP_LAYOUT(offsetof(dfp_model_ops, score) == 80);
DFP_LAYOUT(offsetof(dfp_model_ops, save) == 88);
DFP_LAYOUT(offsetof(dfp_model_ops, model_destroy) == 96);
DFP_LAYOUT(sizeof(struct ArrowSchema) == 72);
DFP_LAYOUT(offsetof(struct ArrowSchema, format) == 0);
DFP_LAYOUT(offsetof(struct ArrowSchema, name) == 8);
DFP_LAYOUT(offsetof(struct ArrowSchema, metadata) == 16);
DFP_LAYOUT(offsetof(struct ArrowSchema, flags) == 24);
DFP_LAYOUT(offsetof(struct ArrowSchema, n_children) == 32);
DFP_LAYOUT(offsetof(struct ArrowSchema, children) == 40);
DFP_LAYOUT(offsetof(struct ArrowSchema, dictionary) == 48);
DFP_LAYOUT(offsetof(struct ArrowSchema, release) == 56);
DFP_LAYOUT(offsetof(struct ArrowSchema, private_data) == 64);
DFP_LAYOUT(sizeof(struct ArrowArray) == 80);
DFP_LAYOUT(offsetof(struct ArrowArray, length) == 0);
DFP_LAYOUT(offsetof(struct ArrowArray, null_count) == 8);
DFP_LAYOUT(offsetof(struct ArrowArray, offset) == 16);
DFP_LAYOUT(offsetof(struct ArrowArray, n_buffers) == 24);
DFP_LAYOUT(offsetof(struct ArrowArray, n_children) == 32);
DFP_LAYOUT(offsetof(struct ArrowArray, buffers) == 40);
DFP_LAYOUT(offsetof(struct ArrowArray, children) == 48);
DFP_LAYOUT(offsetof(struct ArrowArray, dictionary) == 56);
DFP_LAYOUT(offsetof(struct ArrowArray, release) == 64);
DFP_LAYOUT(offsetof(struct ArrowArray, private_data) == 72);
DFP_LAYOUT(sizeof(struct ArrowArrayStream) == 40);
DFP_LAYOUT(offsetof(struct ArrowArrayStream, get_schema) == 0);
DFP_LAYOUT(offsetof(struct ArrowArrayStream, get_next) == 8);
DFP_LAYOUT(offsetof(struct ArrowArrayStream, get_last_error) == 16);
DFP_LAYOUT(offsetof(struct ArrowArrayStream, release) == 24);
DFP_LAYOUT(offsetof(struct ArrowArrayStream, private_data) == 32);
#undef DFP_LAYOUT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What a plugin exports. host lives until the process ends; so does the answer. NULL refuses the host. */
DFP_EXPORT const dfp_plugin *dfp_plugin_entry_v0(const dfp_host *host);

#ifdef __cplusplus
}
#endif

#endif /* DFP_PLUGIN_H */
