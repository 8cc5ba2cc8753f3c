/* dfp/plugin.h for authors in C++17: derive from dfp::source, dfp::stage, dfp::sink or dfp::trainer, and export with
 * DFP_EXPORT_PLUGIN. Header only. What the host sees is plain C: no exception leaves a function, and everything is released by
 * whoever owns it.
 *
 *   class pass : public dfp::stage {
 *    public:
 *     static constexpr const char *id = "pass", *title = "Passes batches on", *config_schema = "{\"type\": \"object\"}";
 *     pass(dfp::host, std::string_view) {}
 *     dfp::schema bind(const ArrowSchema &input) override { return dfp::schema::copy_of(input); }
 *     void push(dfp::array batch) override { held_ = std::move(batch); }
 *     dfp::array pull() override { return std::move(held_); }
 *     void finish() override {}
 *
 *    private:
 *     dfp::array held_;
 *   };
 *   DFP_EXPORT_PLUGIN("com.example.pass", "1.0.0", "Example", "Apache-2.0", dfp::component<pass>())
 *
 * Arrays and schemas are Arrow's C structs: build them with nanoarrow, Arrow C++ or by hand. An exception becomes the code of a
 * dfp::error, else DFP_INTERNAL, with its what(). Compile with -fvisibility=hidden. */

#ifndef DFP_PLUGIN_HPP
#define DFP_PLUGIN_HPP

#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "dfp/plugin.h"

namespace dfp {

/* A failure with one of the DFP_ codes. */
class error : public std::runtime_error {
 public:
  error(int32_t code, const std::string &what, uint32_t flags = 0)
      : std::runtime_error(what), code_(code == DFP_OK ? DFP_INTERNAL : code), flags_(flags) {}
  int32_t code() const noexcept { return code_; }
  /* DFP_ERROR_ bits of a failed call of the host. */
  uint32_t flags() const noexcept { return flags_; }

 private:
  int32_t code_;
  uint32_t flags_;
};

namespace detail {

inline void report(dfp_error *out, int32_t code, const char *what) noexcept {
  if (out == nullptr || out->struct_size < sizeof(dfp_error)) {
    return;
  }
  size_t len = std::strlen(what), room = sizeof(out->message) - 1;
  out->flags = len > room ? DFP_ERROR_TRUNCATED : 0;
  if (len > room) {
    len = room;
    while (len > 0 && (static_cast<unsigned char>(what[len]) & 0xC0) == 0x80) {
      len--; /* Not in the middle of a character. */
    }
  }
  std::memcpy(out->message, what, len);
  out->message[len] = '\0';
  out->message_len = static_cast<uint32_t>(len);
  out->code = code;
}

/* Runs f. Whatever it throws ends here: failed(code, what) hears of it, and the code is the answer. */
template <class Failed, class F>
int32_t caught(Failed &&failed, F &&f) noexcept {
  try {
    f();
    return DFP_OK;
  } catch (const error &e) {
    failed(e.code(), e.what());
    return e.code();
  } catch (const std::bad_alloc &) {
    failed(DFP_RESOURCE_EXHAUSTED, "out of memory");
    return DFP_RESOURCE_EXHAUSTED;
  } catch (const std::exception &e) {
    failed(DFP_INTERNAL, e.what());
    return DFP_INTERNAL;
  } catch (...) {
    failed(DFP_INTERNAL, "an exception that says nothing about itself");
    return DFP_INTERNAL;
  }
}

template <class F>
int32_t answer(dfp_error *out, F &&f) noexcept {
  return caught([out](int32_t code, const char *what) noexcept { report(out, code, what); }, std::forward<F>(f));
}

/* An Arrow struct that is released when it goes out of scope. Arrow lets structs be moved by copying the bytes. */
template <class Struct>
class owned {
 public:
  owned() noexcept { std::memset(&value_, 0, sizeof(value_)); }
  /* Takes what from holds, and leaves a released struct there. NULL gives an empty one. */
  explicit owned(Struct *from) noexcept : owned() {
    if (from != nullptr) {
      value_ = *from;
      from->release = nullptr;
    }
  }
  owned(owned &&other) noexcept : owned(&other.value_) {}
  owned &operator=(owned &&other) noexcept {
    if (this != &other) {
      reset();
      value_ = other.value_;
      other.value_.release = nullptr;
    }
    return *this;
  }
  owned(const owned &) = delete;
  owned &operator=(const owned &) = delete;
  ~owned() { reset(); }

  /* Whether there is something in it. */
  explicit operator bool() const noexcept { return value_.release != nullptr; }
  Struct *get() noexcept { return &value_; }
  const Struct &operator*() const noexcept { return value_; }
  const Struct *operator->() const noexcept { return &value_; }
  /* Hands it over, into a place whose old content is not released. */
  void move_to(Struct *to) noexcept {
    *to = value_;
    value_.release = nullptr;
  }

 private:
  void reset() noexcept {
    if (value_.release != nullptr) {
      value_.release(&value_);
      value_.release = nullptr;
    }
  }
  Struct value_;
};

} /* namespace detail */

/* A batch; empty where there is none. */
class array : public detail::owned<ArrowArray> {
 public:
  using owned::owned;
};

/* The columns of batches. */
class schema : public detail::owned<ArrowSchema> {
 public:
  using owned::owned;

  /* A schema of its own: one that was passed in is lent for the call alone. */
  static schema copy_of(const ArrowSchema &from) {
    schema made;
    copy(from, made.get());
    return made;
  }

 private:
  struct memory {
    std::string format, name;
    std::vector<char> metadata;
    std::vector<schema> children;
    std::vector<ArrowSchema *> pointers;
    std::vector<schema> dictionary; /* One or none. */
  };

  static size_t metadata_size(const char *metadata) {
    int32_t pairs, len;
    std::memcpy(&pairs, metadata, sizeof(pairs));
    size_t size = sizeof(pairs);
    for (int64_t texts = 2 * static_cast<int64_t>(pairs); texts > 0; texts--) {
      std::memcpy(&len, metadata + size, sizeof(len));
      size += sizeof(len) + static_cast<size_t>(len);
    }
    return size;
  }

  static void copy(const ArrowSchema &from, ArrowSchema *to) {
    auto kept = std::make_unique<memory>();
    kept->format = from.format;
    kept->name = from.name != nullptr ? from.name : "";
    if (from.metadata != nullptr) {
      kept->metadata.assign(from.metadata, from.metadata + metadata_size(from.metadata));
    }
    kept->children.resize(static_cast<size_t>(from.n_children));
    for (size_t i = 0; i < kept->children.size(); i++) {
      copy(*from.children[i], kept->children[i].get());
      kept->pointers.push_back(kept->children[i].get());
    }
    if (from.dictionary != nullptr) {
      kept->dictionary.resize(1);
      copy(*from.dictionary, kept->dictionary[0].get());
    }
    to->format = kept->format.c_str();
    to->name = kept->name.c_str();
    to->metadata = kept->metadata.empty() ? nullptr : kept->metadata.data();
    to->flags = from.flags;
    to->n_children = from.n_children;
    to->children = kept->pointers.data();
    to->dictionary = kept->dictionary.empty() ? nullptr : kept->dictionary[0].get();
    to->release = [](ArrowSchema *self) noexcept {
      delete static_cast<memory *>(self->private_data);
      self->release = nullptr;
    };
    to->private_data = kept.release();
  }
};

/* Batches that somebody else makes. */
class stream : public detail::owned<ArrowArrayStream> {
 public:
  using owned::owned;

  schema get_schema() {
    schema made;
    check(get()->get_schema(get(), made.get()));
    return made;
  }
  /* The next batch; empty at the end. */
  array next() {
    array made;
    check(get()->get_next(get(), made.get()));
    return made;
  }

 private:
  void check(int code) {
    if (code == 0) {
      return;
    }
    const char *what = get()->get_last_error != nullptr ? get()->get_last_error(get()) : nullptr;
    int32_t own = code > DFP_STREAM_CODE_BASE ? code - DFP_STREAM_CODE_BASE : DFP_IO;
    throw error(own, what != nullptr ? what : "the stream failed and does not say why");
  }
};

class input;

/* The host, as one instance sees it. Copies keep its context valid. */
class host {
 public:
  host(const dfp_host *table, void *ctx) noexcept : table_(table), ctx_(ctx) { retain(); }
  host(const host &other) noexcept : host(other.table_, other.ctx_) {}
  host &operator=(host other) noexcept {
    std::swap(table_, other.table_);
    std::swap(ctx_, other.ctx_);
    return *this;
  }
  ~host() {
    if (DFP_HAS(table_, release)) {
      table_->release(ctx_);
    }
  }

  bool log_enabled(uint32_t level) const noexcept {
    return DFP_HAS(table_, log_enabled) && table_->log_enabled(ctx_, level) != 0;
  }
  void log(uint32_t level, std::string_view target, std::string_view message) const noexcept {
    if (DFP_HAS(table_, log)) {
      table_->log(ctx_, level, target.data(), target.size(), message.data(), message.size());
    }
  }
  bool is_cancelled() const noexcept { return DFP_HAS(table_, is_cancelled) && table_->is_cancelled(ctx_) != 0; }
  void count(std::string_view counter, uint64_t n) const noexcept {
    if (DFP_HAS(table_, count)) {
      table_->count(ctx_, counter.data(), counter.size(), n);
    }
  }
  void reject(std::string_view origin, std::string_view reason, std::string_view detail,
              std::string_view excerpt = {}) const noexcept {
    if (DFP_HAS(table_, reject)) {
      const dfp_reject rejected = {origin.data(), origin.size(), reason.data(),  reason.size(),
                                   detail.data(), detail.size(), excerpt.data(), excerpt.size()};
      table_->reject(ctx_, &rejected);
    }
  }
  /* Opens an input by name or address. Plugins open no files and no sockets themselves. */
  inline input open(std::string_view uri) const;
  /* A secret by the name that the configuration refers to. */
  std::string secret(std::string_view name) const {
    dfp_error failure = {};
    failure.struct_size = sizeof(failure);
    dfp_buf buf = {};
    if (!DFP_HAS(table_, get_secret)) {
      throw error(DFP_UNSUPPORTED, "this host keeps no secrets");
    }
    int32_t code = table_->get_secret(ctx_, name.data(), name.size(), &buf, &failure);
    if (code != DFP_OK) {
      throw error(code, failure.message, failure.flags);
    }
    struct freed {
      dfp_buf &buf;
      ~freed() {
        if (buf.release != nullptr) {
          buf.release(&buf);
        }
      }
    } guard{buf};
    return buf.data == nullptr ? std::string() : std::string(reinterpret_cast<const char *>(buf.data), buf.len);
  }

 private:
  friend class input;
  void retain() const noexcept {
    if (DFP_HAS(table_, retain)) {
      table_->retain(ctx_);
    }
  }
  const dfp_host *table_;
  void *ctx_;
};

/* A file or address that the host opened. One thread at a time. */
class input {
 public:
  input(host of, std::string_view uri) : host_(std::move(of)) {
    dfp_error failure = {};
    failure.struct_size = sizeof(failure);
    if (!DFP_HAS(host_.table_, open_input) || !DFP_HAS(host_.table_, read_input)) {
      throw error(DFP_UNSUPPORTED, "this host opens no inputs");
    }
    int32_t code = host_.table_->open_input(host_.ctx_, uri.data(), uri.size(), &handle_, &failure);
    if (code != DFP_OK) {
      throw error(code, failure.message, failure.flags);
    }
  }
  input(input &&other) noexcept : host_(other.host_), handle_(std::exchange(other.handle_, nullptr)) {}
  input &operator=(input &&other) noexcept {
    std::swap(host_, other.host_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~input() {
    if (handle_ != nullptr && DFP_HAS(host_.table_, close_input)) {
      host_.table_->close_input(host_.ctx_, handle_);
    }
  }
  /* Up to capacity bytes, decompressed; 0 at the end. */
  size_t read(uint8_t *buffer, size_t capacity) {
    dfp_error failure = {};
    failure.struct_size = sizeof(failure);
    size_t got = 0;
    int32_t code = host_.table_->read_input(host_.ctx_, handle_, buffer, capacity, &got, &failure);
    if (code != DFP_OK) {
      throw error(code, failure.message, failure.flags);
    }
    return got;
  }

 private:
  host host_;
  void *handle_ = nullptr;
};

inline input host::open(std::string_view uri) const { return input(*this, uri); }

/* What every kind may have. A component is made from (dfp::host, std::string_view config), and has the texts id, title and
 * config_schema, and if it likes flags (uint64_t) and profile, as static constexpr members. */
class instance {
 public:
  virtual ~instance() = default;
  /* What it is doing, as a JSON object. */
  virtual std::string introspect() { return "{}"; }
  /* Asks a blocking call to throw DFP_CANCELLED. Any thread. */
  virtual void request_cancel() noexcept {}
};

/* What a source hands out. It may outlive the source and be used on another thread. */
class batches {
 public:
  virtual ~batches() = default;
  virtual schema get_schema() = 0;
  /* The next batch; empty at the end. */
  virtual array next() = 0;
};

class source : public instance {
 public:
  virtual schema get_schema() = 0;
  /* From the beginning, or from a position. */
  virtual std::unique_ptr<batches> open(std::optional<std::string_view> resume) = 0;
  /* A token that resumes after the batches delivered so far. */
  virtual std::optional<std::string> position() { return std::nullopt; }
};

class stage : public instance {
 public:
  virtual schema bind(const ArrowSchema &input) = 0;
  virtual void push(array batch) = 0;
  /* The next finished batch; empty if there is none until more is pushed. */
  virtual array pull() = 0;
  virtual void finish() = 0;
};

class sink : public instance {
 public:
  virtual void bind(const ArrowSchema &input) = 0;
  virtual void write(array batch) = 0;
  virtual void flush() = 0;
  virtual void close() = 0;
};

/* What was learned. It outlives its trainer; const functions may be called by several threads at once if the component has
 * DFP_CONCURRENT. */
class model {
 public:
  virtual ~model() = default;
  virtual schema model_schema() const = 0;
  virtual schema score_schema() const = 0;
  virtual array score(array batch) const = 0;
  virtual std::string save() const = 0;
};

/* What a fit may use besides the data. */
struct fit_options {
  uint32_t threads = 1;
  std::optional<std::string_view> population;
};

class trainer : public instance {
 public:
  virtual std::unique_ptr<model> fit(const fit_options &options, stream data) = 0;
  virtual std::unique_ptr<model> load(std::string_view data) = 0;
};

namespace detail {

template <class T>
T &of(void *instance) {
  if (instance == nullptr) {
    throw error(DFP_INVALID_ARGUMENT, "the instance is NULL");
  }
  return *static_cast<T *>(instance);
}

inline std::string_view text(const void *data, size_t len) noexcept {
  return data == nullptr ? std::string_view() : std::string_view(static_cast<const char *>(data), len);
}

inline const ArrowSchema &lent(const ArrowSchema *input) {
  if (input == nullptr || input->release == nullptr) {
    throw error(DFP_INVALID_ARGUMENT, "the schema is missing");
  }
  return *input;
}

inline void give(dfp_buf *out, std::string bytes) {
  auto kept = std::make_unique<std::string>(std::move(bytes));
  out->data = reinterpret_cast<const uint8_t *>(kept->data());
  out->len = kept->size();
  out->release = [](dfp_buf *buf) noexcept {
    delete static_cast<std::string *>(buf->private_data);
    *buf = {};
  };
  out->private_data = kept.release();
}

/* batches as a C stream. */
struct exported {
  std::unique_ptr<batches> from;
  std::string failure;
  int code = 0;

  template <class F>
  static int call(ArrowArrayStream *stream, F &&f) noexcept {
    auto &self = *static_cast<exported *>(stream->private_data);
    if (self.code != 0) {
      return self.code;
    }
    auto failed = [&self](int32_t code, const char *what) noexcept {
      self.code = DFP_STREAM_CODE_BASE + code;
      try {
        self.failure = what;
      } catch (...) {
        self.failure.clear();
      }
    };
    caught(failed, [&] { f(*self.from); });
    return self.code;
  }

  static void make(std::unique_ptr<batches> from, ArrowArrayStream *out) {
    if (from == nullptr) {
      throw error(DFP_INTERNAL, "open gave no batches");
    }
    auto self = std::make_unique<exported>();
    self->from = std::move(from);
    out->get_schema = [](ArrowArrayStream *stream, ArrowSchema *to) noexcept {
      return call(stream, [to](batches &self) { self.get_schema().move_to(to); });
    };
    out->get_next = [](ArrowArrayStream *stream, ArrowArray *to) noexcept {
      return call(stream, [to](batches &self) { self.next().move_to(to); });
    };
    out->get_last_error = [](ArrowArrayStream *stream) noexcept {
      return static_cast<exported *>(stream->private_data)->failure.c_str();
    };
    out->release = [](ArrowArrayStream *stream) noexcept {
      delete static_cast<exported *>(stream->private_data);
      stream->release = nullptr;
    };
    out->private_data = self.release();
  }
};

/* The functions that every kind begins with. Pointers lead to Base, whatever T derives from besides. */
template <class T, class Base, class Ops>
constexpr Ops instance_ops() noexcept {
  Ops ops = {};
  ops.struct_size = sizeof(Ops);
  ops.create = [](const dfp_host *table, void *ctx, const char *config, size_t len, void **out,
                  dfp_error *failure) noexcept -> int32_t {
    *out = nullptr;
    return answer(failure, [&] {
      if (table == nullptr || table->fingerprint != DFP_ABI_FINGERPRINT) {
        throw error(DFP_UNSUPPORTED, "the host speaks another version of the border than this plugin");
      }
      std::unique_ptr<Base> made = std::make_unique<T>(host(table, ctx), text(config, len));
      *out = made.release();
    });
  };
  ops.destroy = [](void *self) noexcept { delete static_cast<Base *>(self); };
  ops.request_cancel = [](void *self) noexcept {
    if (self != nullptr) {
      static_cast<Base *>(self)->request_cancel();
    }
  };
  ops.introspect = [](void *self, dfp_buf *out, dfp_error *failure) noexcept -> int32_t {
    return answer(failure, [&] { give(out, of<Base>(self).introspect()); });
  };
  return ops;
}

template <class T>
constexpr dfp_source_ops source_ops() noexcept {
  dfp_source_ops ops = instance_ops<T, source, dfp_source_ops>();
  ops.schema = [](void *self, ArrowSchema *out, dfp_error *failure) noexcept -> int32_t {
    return answer(failure, [&] { of<source>(self).get_schema().move_to(out); });
  };
  ops.open = [](void *self, const uint8_t *resume, size_t len, ArrowArrayStream *out,
                dfp_error *failure) noexcept -> int32_t {
    return answer(failure, [&] {
      auto from = resume != nullptr ? std::optional<std::string_view>(text(resume, len)) : std::nullopt;
      exported::make(of<source>(self).open(from), out);
    });
  };
  ops.position = [](void *self, dfp_buf *out, dfp_error *failure) noexcept -> int32_t {
    return answer(failure, [&] {
      auto token = of<source>(self).position();
      *out = {};
      if (token.has_value()) {
        give(out, *std::move(token));
      }
    });
  };
  return ops;
}

template <class T>
constexpr dfp_stage_ops stage_ops() noexcept {
  dfp_stage_ops ops = instance_ops<T, stage, dfp_stage_ops>();
  ops.bind = [](void *self, const ArrowSchema *input, ArrowSchema *out, dfp_error *failure) noexcept -> int32_t {
    return answer(failure, [&] { of<stage>(self).bind(lent(input)).move_to(out); });
  };
  ops.push = [](void *self, ArrowArray *batch, dfp_error *failure) noexcept -> int32_t {
    array taken(batch);
    return answer(failure, [&] { of<stage>(self).push(std::move(taken)); });
  };
  ops.pull = [](void *self, ArrowArray *out, dfp_error *failure) noexcept -> int32_t {
    return answer(failure, [&] { of<stage>(self).pull().move_to(out); });
  };
  ops.finish = [](void *self, dfp_error *failure) noexcept -> int32_t {
    return answer(failure, [&] { of<stage>(self).finish(); });
  };
  return ops;
}

template <class T>
constexpr dfp_sink_ops sink_ops() noexcept {
  dfp_sink_ops ops = instance_ops<T, sink, dfp_sink_ops>();
  ops.bind = [](void *self, const ArrowSchema *input, dfp_error *failure) noexcept -> int32_t {
    return answer(failure, [&] { of<sink>(self).bind(lent(input)); });
  };
  ops.write = [](void *self, ArrowArray *batch, dfp_error *failure) noexcept -> int32_t {
    array taken(batch);
    return answer(failure, [&] { of<sink>(self).write(std::move(taken)); });
  };
  ops.flush = [](void *self, dfp_error *failure) noexcept -> int32_t {
    return answer(failure, [&] { of<sink>(self).flush(); });
  };
  ops.close = [](void *self, dfp_error *failure) noexcept -> int32_t {
    return answer(failure, [&] { of<sink>(self).close(); });
  };
  return ops;
}

/* What the host allows, as far as its struct reaches. */
inline fit_options options_of(const dfp_fit_context *context) {
  fit_options options;
  if (context == nullptr) {
    throw error(DFP_INVALID_ARGUMENT, "the context of the fit is NULL");
  }
  if (context->struct_size >= offsetof(dfp_fit_context, threads) + sizeof(context->threads) && context->threads > 0) {
    options.threads = context->threads;
  }
  if (context->struct_size >= offsetof(dfp_fit_context, population_len) + sizeof(context->population_len) &&
      context->population != nullptr) {
    options.population = text(context->population, context->population_len);
  }
  return options;
}

inline void give_model(std::unique_ptr<model> made, void **out) {
  if (made == nullptr) {
    throw error(DFP_INTERNAL, "there is no model");
  }
  *out = made.release();
}

template <class T>
constexpr dfp_model_ops model_ops() noexcept {
  dfp_model_ops ops = instance_ops<T, trainer, dfp_model_ops>();
  ops.fit = [](void *self, const dfp_fit_context *context, ArrowArrayStream *data, void **out,
               dfp_error *failure) noexcept -> int32_t {
    stream taken(data);
    *out = nullptr;
    return answer(failure, [&] {
      if (!taken) {
        throw error(DFP_INVALID_ARGUMENT, "the stream of data is missing");
      }
      give_model(of<trainer>(self).fit(options_of(context), std::move(taken)), out);
    });
  };
  ops.load = [](void *self, const uint8_t *data, size_t len, void **out, dfp_error *failure) noexcept -> int32_t {
    *out = nullptr;
    return answer(failure, [&] { give_model(of<trainer>(self).load(text(data, len)), out); });
  };
  ops.model_schema = [](void *self, ArrowSchema *out, dfp_error *failure) noexcept -> int32_t {
    return answer(failure, [&] { of<model>(self).model_schema().move_to(out); });
  };
  ops.score_schema = [](void *self, ArrowSchema *out, dfp_error *failure) noexcept -> int32_t {
    return answer(failure, [&] { of<model>(self).score_schema().move_to(out); });
  };
  ops.score = [](void *self, ArrowArray *batch, ArrowArray *out, dfp_error *failure) noexcept -> int32_t {
    array taken(batch);
    return answer(failure, [&] { of<model>(self).score(std::move(taken)).move_to(out); });
  };
  ops.save = [](void *self, dfp_buf *out, dfp_error *failure) noexcept -> int32_t {
    return answer(failure, [&] { give(out, of<model>(self).save()); });
  };
  ops.model_destroy = [](void *self) noexcept { delete static_cast<model *>(self); };
  return ops;
}

template <class T, class = void>
struct flags_of : std::integral_constant<uint64_t, 0> {};
template <class T>
struct flags_of<T, std::void_t<decltype(T::flags)>> : std::integral_constant<uint64_t, T::flags> {};

template <class T, class = void>
struct profile_of {
  static constexpr const char *value = nullptr;
};
template <class T>
struct profile_of<T, std::void_t<decltype(T::profile)>> {
  static constexpr const char *value = T::profile;
};

template <class T>
constexpr auto ops_of() noexcept {
  if constexpr (std::is_base_of_v<source, T>) {
    return std::pair(DFP_KIND_SOURCE, source_ops<T>());
  } else if constexpr (std::is_base_of_v<stage, T>) {
    return std::pair(DFP_KIND_STAGE, stage_ops<T>());
  } else if constexpr (std::is_base_of_v<sink, T>) {
    return std::pair(DFP_KIND_SINK, sink_ops<T>());
  } else {
    static_assert(std::is_base_of_v<trainer, T>, "a component is a dfp::source, stage, sink or trainer");
    return std::pair(DFP_KIND_MODEL, model_ops<T>());
  }
}

} /* namespace detail */

/* The table of one component. It lives until the process ends. */
template <class T>
const dfp_component *component() noexcept {
  static constexpr auto ops = detail::ops_of<T>();
  static constexpr dfp_component table = {
      sizeof(dfp_component),        static_cast<uint32_t>(ops.first), T::id,       T::title, T::config_schema,
      detail::profile_of<T>::value, detail::flags_of<T>::value,       &ops.second,
  };
  return &table;
}

} /* namespace dfp */

/* Exports the tables of a plugin library, once in the whole library; the last arguments are dfp::component<...>(). */
#define DFP_EXPORT_PLUGIN(id, version, vendor, licence, ...)                                                         \
  extern "C" DFP_EXPORT const dfp_plugin *dfp_plugin_entry_v0(const dfp_host *) {                                    \
    static const dfp_component *const components[] = {__VA_ARGS__};                                                  \
    static const dfp_plugin plugin = {                                                                               \
        sizeof(dfp_plugin), DFP_ABI_MINOR, DFP_ABI_FINGERPRINT, id, version, vendor, licence, DFP_VERSION, 0,         \
        components,         sizeof(components) / sizeof(components[0]),                                              \
    };                                                                                                               \
    return &plugin;                                                                                                  \
  }

#endif /* DFP_PLUGIN_HPP */
