/* A source plugin in C: the log of an imaginary door controller, a binary format.
 *
 *   file     "DOOR", version (1), three zero bytes, records
 *   record   length of the rest (2 bytes, little endian), seconds since 1970 (8 bytes, little endian), granted (0 or 1),
 *            length of the badge (1 byte), badge, length of the door (1 byte), door; texts are UTF-8
 *
 *   cc -std=c11 -fPIC -shared -I ../../dfp-sdk/abi/include doorlog.c -o libdoorlog.so
 *
 * docs/plugins.md walks through it. */

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "config.h"
#include "dfp/plugin.h"

enum { HEADER_BYTES = 8, FIXED_BYTES = 11, BATCH_ROWS = 4096, COLUMNS = 6, READ_BYTES = 1 << 16 };

/* --- Errors ------------------------------------------------------------------------------------------------------- */

/* The caller owns the struct; it is written to only when failing, and it may be NULL. */
static int32_t fail(dfp_error *error, int32_t code, const char *message) {
  if (error != NULL && error->struct_size >= sizeof(dfp_error)) {
    int len = snprintf(error->message, sizeof(error->message), "%s", message);
    error->code = code;
    error->message_len = (uint32_t)(len < DFP_ERROR_MESSAGE_BYTES ? len : DFP_ERROR_MESSAGE_BYTES - 1);
  }
  return code;
}

/* --- Schema ------------------------------------------------------------------------------------------------------- */

enum { RECORD_ID, ORIGIN, TIME, BADGE, DOOR, GRANTED };

static const struct {
  const char *name, *format;
  int64_t flags;
} FIELDS[COLUMNS] = {
    {"_record_id", "u", ARROW_FLAG_NULLABLE}, {"_origin", "u", 0}, {"_time", "tsn:UTC", 0},
    {"badge", "u", 0},                        {"door", "u", 0},    {"granted", "b", 0},
};

typedef struct {
  struct ArrowSchema fields[COLUMNS];
  struct ArrowSchema *children[COLUMNS];
} schema_memory;

static void release_field(struct ArrowSchema *field) { field->release = NULL; }

static void release_schema(struct ArrowSchema *schema) {
  for (int i = 0; i < COLUMNS; i++) {
    if (schema->children[i]->release != NULL) {
      schema->children[i]->release(schema->children[i]);
    }
  }
  free(schema->private_data);
  schema->release = NULL;
}

static bool make_schema(struct ArrowSchema *out) {
  schema_memory *memory = calloc(1, sizeof(*memory));
  if (memory == NULL) {
    return false;
  }
  for (int i = 0; i < COLUMNS; i++) {
    memory->fields[i].format = FIELDS[i].format;
    memory->fields[i].name = FIELDS[i].name;
    memory->fields[i].flags = FIELDS[i].flags;
    memory->fields[i].release = release_field;
    memory->children[i] = &memory->fields[i];
  }
  memset(out, 0, sizeof(*out));
  out->format = "+s";
  out->name = "";
  out->n_children = COLUMNS;
  out->children = memory->children;
  out->release = release_schema;
  out->private_data = memory;
  return true;
}

/* --- Batches: columns that grow, then become Arrow arrays ------------------------------------------------------------ */

typedef struct {
  /* Offsets of a text column, else values; then the bytes of a text column. */
  uint8_t *values, *bytes;
  size_t bytes_len, bytes_capacity;
  /* All zero: every value is null. */
  uint8_t *validity;
  const void *buffers[3];
} column;

static void free_column(column *owned) {
  free(owned->values);
  free(owned->bytes);
  free(owned->validity);
  free(owned);
}

static bool is_text(int index) { return strcmp(FIELDS[index].format, "u") == 0; }

/* Room for BATCH_ROWS rows, zeroed: the widest values are 8 bytes, and texts have one offset more than rows. */
static column *make_column(int index) {
  column *made = calloc(1, sizeof(*made));
  if (made == NULL) {
    return NULL;
  }
  made->values = calloc(BATCH_ROWS + 1, 8);
  made->validity = index == RECORD_ID ? calloc(BATCH_ROWS / 8, 1) : NULL;
  if (made->values == NULL || (index == RECORD_ID && made->validity == NULL)) {
    free_column(made);
    return NULL;
  }
  return made;
}

static bool add_text(column *to, size_t row, const void *bytes, size_t len) {
  if (to->bytes_len + len > to->bytes_capacity) {
    size_t capacity = (to->bytes_len + len) * 2;
    uint8_t *grown = realloc(to->bytes, capacity);
    if (grown == NULL) {
      return false;
    }
    to->bytes = grown;
    to->bytes_capacity = capacity;
  }
  if (len > 0) {
    memcpy(to->bytes + to->bytes_len, bytes, len);
    to->bytes_len += len;
  }
  ((int32_t *)(void *)to->values)[row + 1] = (int32_t)to->bytes_len;
  return true;
}

typedef struct {
  struct ArrowArray arrays[COLUMNS];
  struct ArrowArray *children[COLUMNS];
  const void *buffers[1];
} batch_memory;

static void release_column(struct ArrowArray *array) {
  free_column(array->private_data);
  array->release = NULL;
}

static void release_batch(struct ArrowArray *batch) {
  /* A consumer may have moved a child away. */
  for (int i = 0; i < COLUMNS; i++) {
    if (batch->children[i]->release != NULL) {
      batch->children[i]->release(batch->children[i]);
    }
  }
  free(batch->private_data);
  batch->release = NULL;
}

/* Takes the columns over if it succeeds. */
static bool make_batch(column **columns, size_t rows, struct ArrowArray *out) {
  batch_memory *memory = calloc(1, sizeof(*memory));
  if (memory == NULL) {
    return false;
  }
  for (int i = 0; i < COLUMNS; i++) {
    struct ArrowArray *array = &memory->arrays[i];
    column *owned = columns[i];
    owned->buffers[0] = owned->validity;
    owned->buffers[1] = owned->values;
    owned->buffers[2] = owned->bytes;
    array->length = (int64_t)rows;
    array->null_count = owned->validity != NULL ? (int64_t)rows : 0;
    array->n_buffers = is_text(i) ? 3 : 2;
    array->buffers = owned->buffers;
    array->release = release_column;
    array->private_data = owned;
    memory->children[i] = array;
  }
  memset(out, 0, sizeof(*out));
  out->length = (int64_t)rows;
  out->n_buffers = 1;
  out->buffers = memory->buffers;
  out->n_children = COLUMNS;
  out->children = memory->children;
  out->release = release_batch;
  out->private_data = memory;
  return true;
}

/* --- The stream ----------------------------------------------------------------------------------------------------- */

/* What the instance and its streams share: a stream may outlive its instance. The host's context is valid as long as either
 * exists, so neither retains it. */
typedef struct {
  atomic_int users;
  const dfp_host *host;
  void *ctx;
  texts inputs;
} shared;

static void unshare(shared *self) {
  if (atomic_fetch_sub(&self->users, 1) == 1) {
    free_texts(&self->inputs);
    free(self);
  }
}

typedef struct {
  shared *of;
  size_t next_input;
  /* The open input, its name, and what was read of it and not yet used. */
  void *input;
  const char *name;
  uint8_t buffer[READ_BYTES];
  size_t at, filled;
  /* Where buffer[at] lies in the input. */
  uint64_t offset;
  int failed;
  char error[DFP_ERROR_MESSAGE_BYTES];
} reader;

/* Ends the stream. Logs carry texts of any length, so everything goes through vsnprintf. */
static int ends(reader *self, int32_t code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(self->error, sizeof(self->error), format, arguments);
  va_end(arguments);
  self->failed = DFP_STREAM_CODE_BASE + code;
  return self->failed;
}

static void close_input(reader *self) {
  if (self->input != NULL && DFP_HAS(self->of->host, close_input)) {
    self->of->host->close_input(self->of->ctx, self->input);
  }
  self->input = NULL;
}

/* Opens the next input. Files are the host's: it knows compression, limits and object stores. */
static int open_input(reader *self) {
  const dfp_host *host = self->of->host;
  dfp_error error = {.struct_size = sizeof(error)};
  self->name = self->of->inputs.items[self->next_input++];
  self->at = self->filled = 0;
  self->offset = 0;
  if (!DFP_HAS(host, open_input) || !DFP_HAS(host, read_input)) {
    return ends(self, DFP_UNSUPPORTED, "this host opens no inputs");
  }
  int32_t code = host->open_input(self->of->ctx, self->name, strlen(self->name), &self->input, &error);
  return code == DFP_OK ? 0 : ends(self, code, "%s", error.message);
}

/* Makes up to wanted bytes lie at buffer[at]; says how many do, which are fewer only at the end of the input. */
static int need(reader *self, size_t wanted, size_t *there) {
  const dfp_host *host = self->of->host;
  if (self->at + wanted > sizeof(self->buffer)) {
    memmove(self->buffer, self->buffer + self->at, self->filled - self->at);
    self->filled -= self->at;
    self->at = 0;
  }
  while (self->filled - self->at < wanted) {
    dfp_error error = {.struct_size = sizeof(error)};
    size_t read = 0, room = sizeof(self->buffer) - self->filled;
    int32_t code =
        host->read_input(self->of->ctx, self->input, self->buffer + self->filled, room, &read, &error);
    if (code != DFP_OK) {
      return ends(self, code, "%s: after byte %llu: %s", self->name,
                  (unsigned long long)(self->offset + self->filled - self->at), error.message);
    }
    if (read == 0) {
      break;
    }
    self->filled += read;
  }
  size_t have = self->filled - self->at;
  *there = have < wanted ? have : wanted;
  return 0;
}

static void used(reader *self, size_t bytes) {
  self->at += bytes;
  self->offset += bytes;
}

static int read_header(reader *self) {
  static const uint8_t ZERO[3] = {0};
  size_t there;
  int code = need(self, HEADER_BYTES, &there);
  if (code != 0) {
    return code;
  }
  const uint8_t *bytes = self->buffer + self->at;
  if (there < HEADER_BYTES || memcmp(bytes, "DOOR", 4) != 0) {
    return ends(self, DFP_BAD_DATA, "%s: not a door log: it does not begin with DOOR", self->name);
  }
  if (bytes[4] != 1 || memcmp(bytes + 5, ZERO, sizeof(ZERO)) != 0) {
    return ends(self, DFP_UNSUPPORTED, "%s: version %d of the format; this plugin reads 1", self->name, bytes[4]);
  }
  used(self, HEADER_BYTES);
  return 0;
}

static uint64_t little_endian(const uint8_t *bytes, int count) {
  uint64_t value = 0;
  while (count-- > 0) {
    value = value << 8 | bytes[count];
  }
  return value;
}

/* Whether the bytes are UTF-8, as every text that crosses the border must be. */
static bool is_utf8(const uint8_t *at, size_t len) {
  const uint8_t *end = at + len;
  while (at < end) {
    uint32_t code = *at++, least = 0;
    int more = code < 0x80 ? 0 : code >= 0xC2 && code < 0xE0 ? 1 : code >= 0xE0 && code < 0xF0 ? 2 : code >= 0xF0 && code < 0xF5 ? 3 : -1;
    if (more < 0 || end - at < more) {
      return false;
    }
    if (more > 0) {
      least = more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
      code &= 0x3Fu >> more;
    }
    for (int i = 0; i < more; i++, at++) {
      if ((*at & 0xC0) != 0x80) {
        return false;
      }
      code = code << 6 | (*at & 0x3F);
    }
    if (code < least || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
      return false;
    }
  }
  return true;
}

typedef struct {
  int64_t nanoseconds;
  const uint8_t *badge, *door;
  size_t badge_len, door_len;
  bool granted;
} record;

/* Why a record cannot be used; NULL if it can. Every length is checked before it is believed. */
static const char *parse(const uint8_t *bytes, size_t len, record *out) {
  if (len < FIXED_BYTES) {
    return "it is shorter than a record's fixed part";
  }
  int64_t seconds = (int64_t)little_endian(bytes, 8);
  if (seconds < -9223372036 || seconds > 9223372036) {
    return "its time is out of range";
  }
  out->nanoseconds = seconds * 1000000000;
  if (bytes[8] > 1) {
    return "it is neither granted nor denied";
  }
  out->granted = bytes[8] == 1;
  out->badge_len = bytes[9];
  out->badge = bytes + 10;
  if (out->badge_len > len - FIXED_BYTES) {
    return "its badge is longer than the record";
  }
  out->door_len = bytes[10 + out->badge_len];
  out->door = bytes + FIXED_BYTES + out->badge_len;
  if (out->door_len != len - FIXED_BYTES - out->badge_len) {
    return "its door is not as long as the rest of the record";
  }
  if (!is_utf8(out->badge, out->badge_len) || !is_utf8(out->door, out->door_len)) {
    return "a text is not UTF-8";
  }
  return NULL;
}

/* One bad record never ends the stream: the host keeps account of it. */
static void reject(reader *self, const char *origin, const char *detail) {
  const dfp_host *host = self->of->host;
  if (DFP_HAS(host, reject)) {
    dfp_reject rejected = {origin, strlen(origin), "malformed", strlen("malformed"), detail, strlen(detail), NULL, 0};
    host->reject(self->of->ctx, &rejected);
  }
}

static void count_record(reader *self) {
  static const char COUNTER[] = "records_read";
  if (DFP_HAS(self->of->host, count)) {
    self->of->host->count(self->of->ctx, COUNTER, sizeof(COUNTER) - 1, 1);
  }
}

static bool add_row(column **columns, size_t row, const char *origin, const record *from) {
  ((int64_t *)(void *)columns[TIME]->values)[row] = from->nanoseconds;
  columns[GRANTED]->values[row / 8] |= (uint8_t)(from->granted << row % 8);
  return add_text(columns[RECORD_ID], row, NULL, 0) && add_text(columns[ORIGIN], row, origin, strlen(origin)) &&
         add_text(columns[BADGE], row, from->badge, from->badge_len) &&
         add_text(columns[DOOR], row, from->door, from->door_len);
}

/* Reads one record of the open input; closes it at its end. */
static int read_record(reader *self, column **columns, size_t *rows) {
  size_t there;
  int code = need(self, 2, &there);
  if (code != 0) {
    return code;
  }
  if (there == 0) {
    close_input(self);
    return 0;
  }
  unsigned long long start = self->offset;
  size_t len = there == 2 ? (size_t)little_endian(self->buffer + self->at, 2) : 0;
  if (there == 2) {
    used(self, 2);
    code = need(self, len, &there);
    if (code != 0) {
      return code;
    }
  }
  if (self->offset == start || there < len) {
    return ends(self, DFP_BAD_DATA, "%s: the record at byte %llu is cut short: the file ends at byte %llu", self->name,
                start, (unsigned long long)(self->offset + there));
  }
  char origin[4200];
  record parsed;
  snprintf(origin, sizeof(origin), "%.4096s:%llu", self->name, start);
  count_record(self);
  const char *problem = parse(self->buffer + self->at, len, &parsed);
  if (problem != NULL) {
    reject(self, origin, problem);
  } else if (!add_row(columns, *rows, origin, &parsed)) {
    return ends(self, DFP_RESOURCE_EXHAUSTED, "out of memory");
  } else {
    *rows += 1;
  }
  used(self, len);
  return 0;
}

static int read_rows(reader *self, column **columns, size_t *rows) {
  while (*rows < BATCH_ROWS && (self->input != NULL || self->next_input < self->of->inputs.count)) {
    int code = 0;
    if (self->input == NULL) {
      if (*rows > 0) {
        break; /* A batch for each input at least, so that what is there is seen soon. */
      }
      code = open_input(self);
      code = code != 0 ? code : read_header(self);
    }
    code = code != 0 ? code : read_record(self, columns, rows);
    if (code != 0) {
      return code;
    }
  }
  return 0;
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out) {
  reader *self = stream->private_data;
  column *columns[COLUMNS] = {NULL};
  size_t rows = 0;
  int code = self->failed;
  memset(out, 0, sizeof(*out));
  if (code == 0 && DFP_HAS(self->of->host, is_cancelled) && self->of->host->is_cancelled(self->of->ctx) != 0) {
    code = ends(self, DFP_CANCELLED, "cancelled on request");
  }
  for (int i = 0; i < COLUMNS && code == 0; i++) {
    columns[i] = make_column(i);
    if (columns[i] == NULL) {
      code = ends(self, DFP_RESOURCE_EXHAUSTED, "out of memory");
    }
  }
  code = code != 0 ? code : read_rows(self, columns, &rows);
  if (rows > 0) {
    /* What came before a failure is delivered; the failure is remembered, and comes with the next call. */
    if (make_batch(columns, rows, out)) {
      return 0;
    }
    code = ends(self, DFP_RESOURCE_EXHAUSTED, "out of memory");
  }
  for (int i = 0; i < COLUMNS; i++) {
    if (columns[i] != NULL) {
      free_column(columns[i]);
    }
  }
  return code;
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out) {
  return make_schema(out) ? 0 : ends(stream->private_data, DFP_RESOURCE_EXHAUSTED, "out of memory");
}

static const char *get_last_error(struct ArrowArrayStream *stream) {
  return ((reader *)stream->private_data)->error;
}

static void release_stream(struct ArrowArrayStream *stream) {
  reader *self = stream->private_data;
  close_input(self);
  unshare(self->of);
  free(self);
  stream->release = NULL;
}

/* --- The source ------------------------------------------------------------------------------------------------------ */

static int32_t create(const dfp_host *host, void *ctx, const char *config, size_t config_len, void **out,
                      dfp_error *error) {
  *out = NULL;
  if (host->fingerprint != DFP_ABI_FINGERPRINT) {
    return fail(error, DFP_UNSUPPORTED, "the host was built with another version of dfp/plugin.h");
  }
  shared *self = calloc(1, sizeof(*self));
  if (self == NULL) {
    return fail(error, DFP_RESOURCE_EXHAUSTED, "out of memory");
  }
  if (!parse_inputs(config, config_len, &self->inputs)) {
    free(self);
    return fail(error, DFP_INVALID_CONFIG, "the configuration must be {\"inputs\": [\"FILE\", ...]}");
  }
  atomic_init(&self->users, 1);
  self->host = host;
  self->ctx = ctx;
  *out = self;
  return DFP_OK;
}

static void destroy(void *instance) {
  if (instance != NULL) {
    unshare(instance);
  }
}

static int32_t schema(void *instance, struct ArrowSchema *out, dfp_error *error) {
  (void)instance;
  return make_schema(out) ? DFP_OK : fail(error, DFP_RESOURCE_EXHAUSTED, "out of memory");
}

static int32_t open_stream(void *instance, const uint8_t *resume, size_t resume_len, struct ArrowArrayStream *out,
                           dfp_error *error) {
  (void)resume_len;
  if (resume != NULL) {
    return fail(error, DFP_INVALID_ARGUMENT, "this source cannot resume");
  }
  reader *self = calloc(1, sizeof(*self));
  if (self == NULL) {
    return fail(error, DFP_RESOURCE_EXHAUSTED, "out of memory");
  }
  self->of = instance;
  atomic_fetch_add(&self->of->users, 1);
  out->get_schema = get_schema;
  out->get_next = get_next;
  out->get_last_error = get_last_error;
  out->release = release_stream;
  out->private_data = self;
  return DFP_OK;
}

/* --- Tables: constant, each beginning with its size ---------------------------------------------------------------- */

static const dfp_source_ops OPS = {
    .struct_size = sizeof(dfp_source_ops),
    .create = create,
    .destroy = destroy,
    .schema = schema,
    .open = open_stream,
};

static const dfp_component DOORLOG = {
    .struct_size = sizeof(dfp_component),
    .kind = DFP_KIND_SOURCE,
    .id = "doorlog",
    .title = "Logs of the imaginary door controller",
    .config_schema = "{\"type\": \"object\", \"properties\": {\"inputs\": {\"type\": \"array\", \"items\": {\"type\": "
                     "\"string\"}}}, \"required\": [\"inputs\"], \"additionalProperties\": false}",
    .flags = DFP_DETERMINISTIC,
    .ops = &OPS,
};

static const dfp_component *const COMPONENTS[] = {&DOORLOG};

static const dfp_plugin PLUGIN = {
    .struct_size = sizeof(dfp_plugin),
    .abi_minor = DFP_ABI_MINOR,
    .fingerprint = DFP_ABI_FINGERPRINT,
    .id = "com.example.doorlog-c",
    .version = "1.0.0",
    .vendor = "Example",
    .licence = "Apache-2.0",
    .sdk_version = DFP_VERSION,
    .components = COMPONENTS,
    .component_count = 1,
};

const dfp_plugin *dfp_plugin_entry_v0(const dfp_host *host) {
  (void)host;
  return &PLUGIN;
}
