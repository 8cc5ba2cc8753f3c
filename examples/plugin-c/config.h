/* The list of texts in {"inputs": ["..."]}. The host has checked the object against the component's schema before; a plugin with
 * a richer configuration uses a JSON library instead of this file. */

#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  char **items;
  size_t count;
} texts;

static void free_texts(texts *list) {
  for (size_t i = 0; i < list->count; i++) {
    free(list->items[i]);
  }
  free(list->items);
  list->items = NULL;
  list->count = 0;
}

typedef struct {
  const char *at;
  const char *end;
} cursor;

static void skip_space(cursor *c) {
  while (c->at < c->end && strchr(" \t\r\n", *c->at) != NULL && *c->at != '\0') {
    c->at++;
  }
}

/* Passes over one character, and the space around it. */
static bool take(cursor *c, char wanted) {
  skip_space(c);
  if (c->at == c->end || *c->at != wanted) {
    return false;
  }
  c->at++;
  skip_space(c);
  return true;
}

static bool take_hex(cursor *c, uint32_t *out) {
  *out = 0;
  for (int i = 0; i < 4; i++) {
    const char *digits = "0123456789abcdef";
    const char *digit = c->at < c->end && *c->at != '\0' ? strchr(digits, *c->at | 0x20) : NULL;
    if (digit == NULL) {
      return false;
    }
    *out = *out << 4 | (uint32_t)(digit - digits);
    c->at++;
  }
  return true;
}

static char *put_utf8(char *to, uint32_t code) {
  if (code < 0x80) {
    *to++ = (char)code;
  } else if (code < 0x800) {
    *to++ = (char)(0xC0 | code >> 6);
    *to++ = (char)(0x80 | (code & 0x3F));
  } else {
    if (code < 0x10000) {
      *to++ = (char)(0xE0 | code >> 12);
    } else {
      *to++ = (char)(0xF0 | code >> 18);
      *to++ = (char)(0x80 | (code >> 12 & 0x3F));
    }
    *to++ = (char)(0x80 | (code >> 6 & 0x3F));
    *to++ = (char)(0x80 | (code & 0x3F));
  }
  return to;
}

static bool take_escape(cursor *c, char **to) {
  static const char NAMES[] = "\"\\/bfnrt", VALUES[] = "\"\\/\b\f\n\r\t";
  if (c->at == c->end) {
    return false;
  }
  char name = *c->at++;
  if (name == 'u') {
    uint32_t code, low;
    if (!take_hex(c, &code) || code == 0) {
      return false;
    }
    if (code >= 0xD800 && code < 0xE000) {
      if (code >= 0xDC00 || c->end - c->at < 6 || c->at[0] != '\\' || c->at[1] != 'u') {
        return false;
      }
      c->at += 2;
      if (!take_hex(c, &low) || low < 0xDC00 || low >= 0xE000) {
        return false;
      }
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    *to = put_utf8(*to, code);
    return true;
  }
  const char *found = name != '\0' ? strchr(NAMES, name) : NULL;
  if (found == NULL) {
    return false;
  }
  *(*to)++ = VALUES[found - NAMES];
  return true;
}

/* A text of its own, closed by NUL; NULL if there is none. No escape is shorter than what it stands for. */
static char *take_text(cursor *c) {
  if (c->at == c->end || *c->at != '"') {
    return NULL;
  }
  c->at++;
  char *text = malloc((size_t)(c->end - c->at) + 1), *to = text;
  bool whole = false;
  while (text != NULL && c->at < c->end && *c->at != '\0') {
    char next = *c->at++;
    if (next == '"') {
      whole = true;
      break;
    }
    if (next != '\\') {
      *to++ = next;
    } else if (!take_escape(c, &to)) {
      break;
    }
  }
  if (!whole) {
    free(text);
    return NULL;
  }
  *to = '\0';
  skip_space(c);
  return text;
}

/* False if the text is anything else; *list is empty then. */
static bool parse_inputs(const char *config, size_t len, texts *list) {
  cursor c = {config, config + len};
  list->items = NULL;
  list->count = 0;
  bool right = take(&c, '{');
  char *key = right ? take_text(&c) : NULL;
  right = key != NULL && strcmp(key, "inputs") == 0 && take(&c, ':') && take(&c, '[');
  free(key);
  for (bool more = right && !(c.at < c.end && *c.at == ']'); more; more = take(&c, ',')) {
    char *text = take_text(&c);
    char **items = text != NULL ? realloc(list->items, (list->count + 1) * sizeof(char *)) : NULL;
    if (items == NULL) {
      free(text);
      right = false;
      break;
    }
    list->items = items;
    list->items[list->count++] = text;
  }
  if (!right || !take(&c, ']') || !take(&c, '}') || c.at != c.end) {
    free_texts(list);
    return false;
  }
  return true;
}

#endif /* CONFIG_H */
