/* dfp for programs in C.
 *
 * Codes, dfp_error, dfp_buf and dfp_reject are those of dfp/plugin.h. What holds for every function:
 *
 * - It returns DFP_OK or another code, and takes the place for an error last. That may be NULL; else set its struct_size and
 *   zero the next 12 bytes. No panic and no exception comes out of a function.
 * - An Arrow struct passed in moves, whether or not the call succeeds: it is released when the function returns or when the
 *   stream made of it is, and its place holds a released struct.
 * - Places for results are written to without a look at what they hold. After a failure they hold nothing: a released struct,
 *   an empty dfp_buf, NULL. What they hold after a success is the caller's to release, each on its own, in any order.
 * - Texts are UTF-8 and end with NUL, and are borrowed for the call. options, config and timeline are JSON objects; they
 *   and the observer may be NULL, which means nothing but defaults. No other pointer may.
 * - A stream that comes out reads the one that went in while it is pulled. Where it fails, its get_next returns
 *   DFP_STREAM_CODE_BASE plus a code, and its get_last_error says why.
 * - Any thread may call any function; a stream is used by one thread at a time.
 *
 * Columns may be of integers, floats, booleans, texts and bytes (also large), timestamps, dates, durations, decimals of 128
 * bits, dictionaries of texts with keys of 32 bits, and lists, structs and maps of these. Every value that comes in is checked.
 *
 * Generated from dfp-sdk/capi/src by the test capi; not to be edited. */

#ifndef DFP_H
#define DFP_H

#include "dfp/plugin.h"

// A model of sequences. It never changes: any number of threads may use it at once, until one of them frees it.
typedef struct dfp_sequence_model dfp_sequence_model;

// Who is told what becomes of rows: those used and those rejected are all there were. Every callback may be NULL, and is called
// on the thread that made the call or pulls the stream, never by two threads at once. Texts are pointer and length, borrowed
// for the call. Callbacks must return: no longjmp, no exception.
typedef struct dfp_observer {
  // sizeof(dfp_observer), set by the caller.
  uint32_t struct_size;
  // 0.
  uint32_t reserved;
  // Passed to every callback. Must stay valid until the stream that the call produced is released.
  void *ctx;
  // Takes a row that cannot be used.
  void (*reject)(void *ctx, const dfp_reject *reject);
  // Adds n to a named counter: "unreadable:COLUMN" is rows used without their parameters.
  void (*count)(void *ctx, const char *counter, size_t counter_len, uint64_t n);
  // Takes a line for people; level is DFP_LOG_*.
  void (*log)(void *ctx, uint32_t level, const char *message, size_t message_len);
} dfp_observer;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// DFP_VERSION of the library, which may be newer than the header.
const char *dfp_version(void);

// Makes a stream of one batch: a struct of columns with its schema. Looks at every value, and fails with DFP_BAD_DATA if one is
// not what Arrow demands.
int32_t dfp_stream_of_batch(struct ArrowSchema *schema,
                            struct ArrowArray *batch,
                            struct ArrowArrayStream *out,
                            dfp_error *error);

// Makes sessions of raw records: which records count, whose they are, what happened and where sessions end is said by rules, a
// text in TOML or JSON, as in examples/sessions. The columns that come out are those of dfp_sessionize.
int32_t dfp_build_sessions(struct ArrowArrayStream *records,
                           const char *rules,
                           const struct dfp_observer *observer,
                           struct ArrowArrayStream *out,
                           dfp_error *error);

// Makes sessions of events: those of one identity that follow each other closely become one row. options is a JSON object:
// "identity" (list of columns), "time" (column, default "_time"), "event" (column), "limits" ("max_length" as "20min",
// "max_separation" as "2min", "bounds" as "exclusive" or "inclusive", "list_limit", "lateness", "max_open_rows"), "nulls",
// "number_distinct". Out come the identity columns, TIME_min, TIME_max, EVENT_list, duration, number_events, and record_ids if
// the events have a column _record_id.
//
// The events are read while the sessions are pulled: without "lateness" all of them before the first session, with it as far
// as need be, so that sessions come as they close.
int32_t dfp_sessionize(struct ArrowArrayStream *events,
                       const char *options,
                       const struct dfp_observer *observer,
                       struct ArrowArrayStream *out,
                       dfp_error *error);

// Learns a model from sessions and scores these same sessions; all of them are held in memory. column holds the events: a list
// of texts, or of structs of name and params (a list of texts, or a map of text to text). config is a JSON object of the
// model's settings (docs/sequences.md) and "preset": "default", or "parity" for msticpy's numbers. The sessions come out
// batch by batch as they came in, with the columns of the scores behind their own.
int32_t dfp_score_sessions(struct ArrowArrayStream *sessions,
                           const char *column,
                           const char *config,
                           struct ArrowArrayStream *out,
                           dfp_error *error);

// dfp_score_sessions and dfp_visualise_scored_sessions in one: fills both out and html, or neither.
int32_t dfp_score_and_visualise_sessions(struct ArrowArrayStream *sessions,
                                         const char *column,
                                         const char *config,
                                         const char *timeline,
                                         struct ArrowArrayStream *out,
                                         dfp_buf *html,
                                         dfp_error *error);

// Writes scored sessions as one HTML page, UTF-8, that needs nothing but a browser. timeline is a JSON object: "time_column",
// "score_column", "window_column", "upper_bound" (sessions above it are left out), "source_columns" (a list of further columns
// to show; "why" is the reasons as sentences), "title". What is left out is found by the names that scored sessions have.
int32_t dfp_visualise_scored_sessions(struct ArrowArrayStream *scored,
                                      const char *timeline,
                                      dfp_buf *html,
                                      dfp_error *error);

// Learns a model from sessions, batch by batch; column and config are those of dfp_score_sessions.
int32_t dfp_sequence_model_fit(struct ArrowArrayStream *sessions,
                               const char *column,
                               const char *config,
                               struct dfp_sequence_model **out,
                               dfp_error *error);

// Makes a model of what another one learned and of more sessions: the same as if all had been there from the start. The other
// stays as it is.
int32_t dfp_sequence_model_update(const struct dfp_sequence_model *model,
                                  struct ArrowArrayStream *sessions,
                                  struct dfp_sequence_model **out,
                                  dfp_error *error);

// Scores sessions, seen before or not, as they are pulled from out: their own columns, and those of the scores behind them. The
// stream keeps what it needs of the model, which may be freed meanwhile.
int32_t dfp_sequence_model_score(const struct dfp_sequence_model *model,
                                 struct ArrowArrayStream *sessions,
                                 struct ArrowArrayStream *out,
                                 dfp_error *error);

// The model as bytes that dfp_sequence_model_load reads, in this and every later version: safetensors, nothing executable.
int32_t dfp_sequence_model_save(const struct dfp_sequence_model *model,
                                dfp_buf *out,
                                dfp_error *error);

// Reads a model that dfp_sequence_model_save or dfp wrote. Safe on any bytes; they are borrowed for the call.
int32_t dfp_sequence_model_load(const uint8_t *data,
                                size_t len,
                                struct dfp_sequence_model **out,
                                dfp_error *error);

// Frees a model, which no other call may be using any more. NULL is fine.
void dfp_sequence_model_free(struct dfp_sequence_model *model);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif /* DFP_H */
