/* Sessions from C: events become sessions, sessions are scored, the rarest is printed, and all are written as a page.
 *
 *   cc -I dfp-sdk/capi/include -I dfp-sdk/abi/include examples/c/sessions.c -L target/release -ldfp -o sessions
 *   LD_LIBRARY_PATH=target/release ./sessions sessions.html
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dfp/dfp.h"

enum { SESSIONS = 40, EVENTS = 3 * SESSIONS };

/* A column of texts as Arrow has it: where each one ends, and all of them one after another. */
typedef struct {
  int32_t offsets[EVENTS + 1];
  char bytes[16 * EVENTS];
  const void *buffers[3];
} texts;

static void append(texts *column, int row, const char *text) {
  size_t length = strlen(text);
  memcpy(column->bytes + column->offsets[row], text, length);
  column->offsets[row + 1] = column->offsets[row] + (int32_t)length;
}

static void release_schema(struct ArrowSchema *schema) {
  for (int64_t i = 0; i < schema->n_children; i++)
    if (schema->children[i]->release) schema->children[i]->release(schema->children[i]);
  schema->release = NULL;
}

static void release_array(struct ArrowArray *array) {
  for (int64_t i = 0; i < array->n_children; i++)
    if (array->children[i]->release) array->children[i]->release(array->children[i]);
  array->release = NULL;
}

static struct ArrowArray array_of(int64_t n_buffers, const void **buffers) {
  struct ArrowArray array = {0};
  array.length = EVENTS;
  array.n_buffers = n_buffers;
  array.buffers = buffers;
  array.release = release_array;
  return array;
}

static struct ArrowSchema schema_of(const char *format, const char *name) {
  struct ArrowSchema schema = {0};
  schema.format = format;
  schema.name = name;
  schema.release = release_schema;
  return schema;
}

/* A batch of events: forty times login, read, logout, an hour apart; once, the user deletes instead. All memory is static, so
 * that releasing it means nothing but to say so. */
static void events(struct ArrowSchema *schema, struct ArrowArray *batch) {
  static texts user, command;
  static int64_t time[EVENTS];
  static const void *time_buffers[2] = {NULL, time};
  static const void *no_buffers[1] = {NULL};
  static struct ArrowSchema fields[3], *field[3] = {&fields[0], &fields[1], &fields[2]};
  static struct ArrowArray columns[3], *column[3] = {&columns[0], &columns[1], &columns[2]};

  for (int row = 0; row < EVENTS; row++) {
    int session = row / 3, step = row % 3;
    const char *usual[3] = {"login", "read", "logout"};
    append(&user, row, session % 2 ? "ann" : "bob");
    append(&command, row, session == 17 && step == 1 ? "delete" : usual[step]);
    time[row] = INT64_C(1700000000000000000) + (session * INT64_C(3600) + step * 10) * INT64_C(1000000000);
  }
  texts *text[2] = {&user, &command};
  for (int i = 0; i < 2; i++) {
    text[i]->buffers[1] = text[i]->offsets;
    text[i]->buffers[2] = text[i]->bytes;
  }
  fields[0] = schema_of("u", "user");
  fields[1] = schema_of("tsn:UTC", "time");
  fields[2] = schema_of("u", "command");
  columns[0] = array_of(3, user.buffers);
  columns[1] = array_of(2, time_buffers);
  columns[2] = array_of(3, command.buffers);

  *schema = schema_of("+s", "");
  schema->n_children = 3;
  schema->children = field;
  *batch = array_of(1, no_buffers);
  batch->n_children = 3;
  batch->children = column;
}

static void check(int32_t code, const dfp_error *error, const char *doing) {
  if (code == DFP_OK) return;
  fprintf(stderr, "%s: %s (code %d)\n", doing, error->message, (int)code);
  exit(1);
}

/* The events' sessions, as a stream of which nothing is made before it is read. */
static struct ArrowArrayStream sessions(dfp_error *error) {
  struct ArrowSchema schema;
  struct ArrowArray batch;
  struct ArrowArrayStream rows, made;
  events(&schema, &batch);
  check(dfp_stream_of_batch(&schema, &batch, &rows, error), error, "taking the events");
  const char *options = "{\"identity\": [\"user\"], \"time\": \"time\", \"event\": \"command\"}";
  check(dfp_sessionize(&rows, options, NULL, &made, error), error, "making sessions");
  return made;
}

static int64_t find(const struct ArrowSchema *schema, const char *name) {
  for (int64_t i = 0; i < schema->n_children; i++)
    if (strcmp(schema->children[i]->name, name) == 0) return i;
  fprintf(stderr, "there is no column %s\n", name);
  exit(1);
}

static void print_list(const struct ArrowArray *lists, int64_t row) {
  const int32_t *ends = (const int32_t *)lists->buffers[1] + lists->offset;
  const struct ArrowArray *items = lists->children[0];
  const int32_t *offsets = (const int32_t *)items->buffers[1] + items->offset;
  const char *bytes = items->buffers[2];
  for (int32_t i = ends[row]; i < ends[row + 1]; i++)
    printf("%s%.*s", i == ends[row] ? "" : ", ", (int)(offsets[i + 1] - offsets[i]), bytes + offsets[i]);
}

/* Prints the rarest window of the most unusual session, and releases the stream. */
static void print_rarest(struct ArrowArrayStream *scored) {
  struct ArrowSchema schema;
  struct ArrowArray batch;
  if (scored->get_schema(scored, &schema)) exit(1);
  int64_t score = find(&schema, "score"), window = find(&schema, "rarest_window3");
  for (;;) {
    if (scored->get_next(scored, &batch)) {
      fprintf(stderr, "reading scores: %s\n", scored->get_last_error(scored));
      exit(1);
    }
    if (!batch.release) break;
    const struct ArrowArray *column = batch.children[score];
    const double *scores = (const double *)column->buffers[1] + column->offset;
    int64_t most = 0;
    for (int64_t row = 1; row < batch.length; row++)
      if (scores[row] > scores[most]) most = row;
    printf("%lld sessions, score %.3f: ", (long long)batch.length, scores[most]);
    print_list(batch.children[window], most);
    printf("\n");
    batch.release(&batch);
  }
  schema.release(&schema);
  scored->release(scored);
}

int main(int argc, char **argv) {
  const char *path = argc > 1 ? argv[1] : "sessions.html";
  dfp_error error = {0};
  error.struct_size = sizeof error;

  /* All at once: learn from the sessions, score these, show them. */
  struct ArrowArrayStream made = sessions(&error), scored;
  dfp_buf page;
  check(dfp_score_and_visualise_sessions(&made, "command_list", NULL, NULL, &scored, &page, &error), &error,
        "scoring sessions");
  print_rarest(&scored);
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(page.data, 1, page.len, file) != page.len || fclose(file)) {
    perror(path);
    return 1;
  }
  page.release(&page);

  /* Train once, score for ever. */
  dfp_sequence_model *model, *again;
  dfp_buf bytes;
  made = sessions(&error);
  check(dfp_sequence_model_fit(&made, "command_list", NULL, &model, &error), &error, "learning");
  check(dfp_sequence_model_save(model, &bytes, &error), &error, "saving");
  dfp_sequence_model_free(model);
  check(dfp_sequence_model_load(bytes.data, bytes.len, &again, &error), &error, "loading");
  bytes.release(&bytes);
  made = sessions(&error);
  check(dfp_sequence_model_score(again, &made, &scored, &error), &error, "scoring");
  dfp_sequence_model_free(again);
  print_rarest(&scored);
  return 0;
}
