// The door between JavaScript and the worker. JavaScript holds a handle and numbers, never memory of the worker's.
//
//   isas: string[]                widest first
//   operations: string[]          an operation's number is its place here
//   layoutsHash: string           of the arguments that commands have, see src/commands/layouts.ts
//   formats: string[]             storage formats that weights are decoded from; a format's number is its place here
//   create(threads, choice) -> handle   names of instruction sets between spaces: that of all that is no product, then
//                                 those of products, in the order of gemm.h's Choice
//   productRate(isa, pass, rows, bfloat16) -> GFLOP/s of one product; numbers as in gemm.h
//   submit(handle, words: Float64Array, count, payload?: TypedArray)
//                                 commands, in the first `count` words (see queue.h); the payload is the last one's. Both are
//                                 copied
//   read(handle, id, destination: TypedArray) -> Promise<Failure | undefined>   the failure, if there was one
//   drain(handle) -> Promise<Failure | undefined>
//   close(handle) -> Promise<Failure | undefined>   finishes the queue and frees everything
//                                 Failure: { message, file?, offset? }, the last two where a part of a mapped file is gone
//   mapFile(handle, path) -> [file, bytes]
//   stats(handle) -> { liveBytes, peakBytes, heldBytes, heldPeakBytes, mappedBytes }
//
// All state hangs on the handle, so that every thread of JavaScript that loads the addon has its own.
#include <node_api.h>

#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

#include "commands/arguments.h"
#include "gemm/gemm.h"
#include "gemm/gemm_rate.h"
#include "threads/queue.h"

namespace glulam {
namespace {

void check(napi_status status, const char* what) {
  if (status != napi_ok) throw std::runtime_error(std::string("Node-API refused to ") + what);
}

struct Session {
  std::unique_ptr<Queue> queue;  // none once closed
  napi_threadsafe_function reports = nullptr;
  napi_ref handle = nullptr;
  size_t pending = 0;  // promises that wait for the worker: they keep the process and the handle alive
  bool closing = false;
};

// A promise on its way.
struct Request {
  Session* session;
  napi_deferred deferred;
  napi_ref destination = nullptr;  // keeps what a read writes to alive
  bool closes = false;
  std::unique_ptr<Failure> failure;
};

void stop(napi_env env, Session* session);

// Node runs this when the environment ends, whatever waits: the worker must be gone before JavaScript's memory is.
void endWithEnvironment(void* data) { static_cast<Session*>(data)->queue.reset(); }

void stop(napi_env env, Session* session) {
  if (!session->queue) return;
  session->queue.reset();
  napi_remove_env_cleanup_hook(env, endWithEnvironment, session);
  napi_release_threadsafe_function(session->reports, napi_tsfn_release);
}

void forget(napi_env env, void* data, void*) {
  auto session = static_cast<Session*>(data);
  stop(env, session);
  delete session;
}

void setNumber(napi_env env, napi_value object, const char* name, size_t value) {
  napi_value number;
  napi_create_double(env, double(value), &number);
  napi_set_named_property(env, object, name, number);
}

napi_value describe(napi_env env, const Failure& failure) {
  napi_value result, message;
  napi_create_object(env, &result);
  napi_create_string_utf8(env, failure.message.data(), failure.message.size(), &message);
  napi_set_named_property(env, result, "message", message);
  if (failure.isLoss) {
    setNumber(env, result, "file", failure.file);
    setNumber(env, result, "offset", failure.offset);
  }
  return result;
}

// On JavaScript's thread: settles a promise.
void report(napi_env env, napi_value, void*, void* data) {
  const std::unique_ptr<Request> request(static_cast<Request*>(data));
  if (!env) return;  // the environment is ending
  Session* session = request->session;
  if (request->destination) napi_delete_reference(env, request->destination);
  if (request->closes) stop(env, session);
  if (--session->pending == 0) {
    if (session->queue) napi_unref_threadsafe_function(env, session->reports);
    napi_reference_unref(env, session->handle, nullptr);
  }
  napi_value result;
  if (request->failure) {
    result = describe(env, *request->failure);
  } else {
    napi_get_undefined(env, &result);
  }
  napi_resolve_deferred(env, request->deferred, result);
}

// The arguments of one call, checked.
struct Arguments {
  napi_env env;
  size_t count = 4;
  napi_value values[4];

  Arguments(napi_env env_, napi_callback_info info) : env(env_) {
    check(napi_get_cb_info(env, info, &count, values, nullptr, nullptr), "give the arguments");
  }

  bool given(size_t i) const {
    napi_valuetype type = napi_undefined;
    if (i < count) napi_typeof(env, values[i], &type);
    return type != napi_undefined;
  }

  Session* session() const {
    void* data = nullptr;
    check(count > 0 ? napi_get_value_external(env, values[0], &data) : napi_invalid_arg, "read the handle");
    auto session = static_cast<Session*>(data);
    if (!session->queue || session->closing) throw std::runtime_error("the engine is closed");
    return session;
  }

  double number(size_t i) const {
    double value = 0;
    check(i < count ? napi_get_value_double(env, values[i], &value) : napi_invalid_arg, "read a number");
    return value;
  }

  std::string text(size_t i) const {
    size_t length = 0;
    check(i < count ? napi_get_value_string_utf8(env, values[i], nullptr, 0, &length) : napi_invalid_arg,
          "read a text");
    std::string value(length, '\0');
    check(napi_get_value_string_utf8(env, values[i], &value[0], length + 1, &length), "read a text");
    return value;
  }

  struct View {
    napi_typedarray_type type;
    size_t length;
    void* data;
  };
  View view(size_t i) const {
    View view{};
    check(i < count ? napi_get_typedarray_info(env, values[i], &view.type, &view.length, &view.data, nullptr, nullptr)
                    : napi_invalid_arg,
          "read a typed array");
    return view;
  }

  size_t size(size_t i) const {
    const double value = number(i);
    if (!(value >= 0 && value <= 0xffffffff)) throw std::runtime_error("a number of things was expected");
    return size_t(value);
  }
};

size_t elementBytes(napi_typedarray_type type) {
  switch (type) {
    case napi_float32_array:
    case napi_int32_array:
    case napi_uint32_array: return 4;
    case napi_int16_array:
    case napi_uint16_array: return 2;
    case napi_float64_array: return 8;
    default: return 1;
  }
}

double operationNumber(const std::string& name) {
  const auto& all = operations();
  for (size_t number = 0; number < all.size(); number++) {
    if (all[number].name == name) return double(number);
  }
  throw std::logic_error("there is no operation " + name);
}

// Sends a batch whose end settles a promise.
napi_value request(const Arguments& given, Session* session, Batch batch, napi_ref destination, bool closes) {
  napi_env env = given.env;
  auto pending = std::make_unique<Request>();
  pending->session = session;
  pending->destination = destination;
  pending->closes = closes;
  napi_value promise;
  check(napi_create_promise(env, &pending->deferred, &promise), "make a promise");
  if (session->pending++ == 0) {
    napi_ref_threadsafe_function(env, session->reports);
    napi_reference_ref(env, session->handle, nullptr);
  }
  batch.done = [to = pending.release(), reports = session->reports](const Failure* failure) {
    if (failure) to->failure = std::make_unique<Failure>(*failure);
    napi_call_threadsafe_function(reports, to, napi_tsfn_blocking);
  };
  session->queue->push(std::move(batch));
  return promise;
}

Isa isaNamed(const std::string& name) {
  for (const Isa isa : allIsas) {
    if (name == isaName(isa) && supported(isa)) return isa;
  }
  throw std::runtime_error(name + " is not supported here");
}

napi_value productRate(const Arguments& given) {
  const size_t pass = given.size(1), rows = given.size(2);
  if (pass >= passes || rows >= rowClasses) throw std::runtime_error("there is no such class of products");
  const double rate = productRate(isaNamed(given.text(0)), Pass(pass), Rows(rows), given.size(3) != 0);
  napi_value number;
  check(napi_create_double(given.env, rate, &number), "make a number");
  return number;
}

napi_value create(const Arguments& given) {
  napi_env env = given.env;
  const int threads = int(given.number(0));
  Choice choice;
  std::istringstream names(given.text(1));
  const auto next = [&] {
    std::string name;
    if (!(names >> name)) throw std::runtime_error("a choice of instruction sets names too few");
    return isaNamed(name);
  };
  choice.others = next();
  for (auto& precision : choice.products) {
    for (auto& pass : precision) {
      for (Isa& isa : pass) isa = next();
    }
  }

  auto session = std::make_unique<Session>();
  napi_value what, handle;
  napi_create_string_utf8(env, "glulam", NAPI_AUTO_LENGTH, &what);
  check(napi_create_threadsafe_function(env, nullptr, nullptr, what, 0, 1, nullptr, nullptr, nullptr, report,
                                        &session->reports),
        "make a way back from the worker");
  napi_unref_threadsafe_function(env, session->reports);
  try {
    session->queue = std::make_unique<Queue>(threads, choice);
    check(napi_create_external(env, session.get(), forget, nullptr, &handle), "make a handle");
  } catch (...) {
    napi_release_threadsafe_function(session->reports, napi_tsfn_release);
    throw;
  }
  Session* owned = session.release();
  // After the thread-safe function, whose own hook then runs later.
  napi_add_env_cleanup_hook(env, endWithEnvironment, owned);
  check(napi_create_reference(env, handle, 0, &owned->handle), "refer to a handle");
  return handle;
}

napi_value submit(const Arguments& given) {
  Session* session = given.session();
  const Arguments::View words = given.view(1);
  if (words.type != napi_float64_array) throw std::runtime_error("a Float64Array was expected");
  const size_t count = given.size(2);
  if (count > words.length) throw std::runtime_error("there are fewer words than the count says");
  Batch batch;
  const double* first = static_cast<const double*>(words.data);
  batch.words.assign(first, first + count);
  if (given.given(3)) {
    const Arguments::View payload = given.view(3);
    const char* bytes = static_cast<const char*>(payload.data);
    batch.payload.assign(bytes, bytes + payload.length * elementBytes(payload.type));
  }
  session->queue->push(std::move(batch));
  return nullptr;
}

napi_value read(const Arguments& given) {
  Session* session = given.session();
  const Arguments::View destination = given.view(2);
  static const double operation = operationNumber("read");
  Batch batch;
  const double bytes = double(destination.length * elementBytes(destination.type));
  batch.words = {operation, 0, 1, 1, given.number(1), bytes};
  batch.destination = destination.data;
  napi_ref kept;
  check(napi_create_reference(given.env, given.values[2], 1, &kept), "refer to a typed array");
  return request(given, session, std::move(batch), kept, false);
}

napi_value drain(const Arguments& given) { return request(given, given.session(), {}, nullptr, false); }

napi_value close(const Arguments& given) {
  Session* session = given.session();
  session->closing = true;
  return request(given, session, {}, nullptr, true);
}

napi_value mapFile(const Arguments& given) {
  Session* session = given.session();
  const size_t file = session->queue->files().open(given.text(1));
  napi_value result, number, bytes;
  check(napi_create_array_with_length(given.env, 2, &result), "make an array");
  napi_create_double(given.env, double(file), &number);
  napi_create_double(given.env, double(session->queue->files().at(file).bytes()), &bytes);
  napi_set_element(given.env, result, 0, number);
  napi_set_element(given.env, result, 1, bytes);
  return result;
}

napi_value stats(const Arguments& given) {
  Session* session = given.session();
  napi_value result;
  check(napi_create_object(given.env, &result), "make an object");
  const auto put = [&](const char* name, size_t value) { setNumber(given.env, result, name, value); };
  put("liveBytes", session->queue->memory().live());
  put("peakBytes", session->queue->memory().peak());
  put("heldBytes", session->queue->memory().held());
  put("heldPeakBytes", session->queue->memory().heldPeak());
  put("mappedBytes", session->queue->files().bytes());
  return result;
}

using Function = napi_value (*)(const Arguments&);

template <Function function>
napi_value guarded(napi_env env, napi_callback_info info) {
  try {
    return function(Arguments(env, info));
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
    return nullptr;
  }
}

template <Function function>
void define(napi_env env, napi_value exports, const char* name) {
  napi_value value;
  check(napi_create_function(env, name, NAPI_AUTO_LENGTH, guarded<function>, nullptr, &value), "make a function");
  check(napi_set_named_property(env, exports, name, value), "export a function");
}

void defineNames(napi_env env, napi_value exports, const char* name, const std::vector<const char*>& texts) {
  napi_value list;
  check(napi_create_array_with_length(env, texts.size(), &list), "make an array");
  for (size_t i = 0; i < texts.size(); i++) {
    napi_value text;
    check(napi_create_string_utf8(env, texts[i], NAPI_AUTO_LENGTH, &text), "make a text");
    check(napi_set_element(env, list, uint32_t(i), text), "fill an array");
  }
  check(napi_set_named_property(env, exports, name, list), "export an array");
}

void exportAll(napi_env env, napi_value exports) {
  std::vector<const char*> names, isas, formats;
  for (const Operation& operation : operations()) names.push_back(operation.name);
  for (const Isa isa : allIsas) {
    if (supported(isa)) isas.push_back(isaName(isa));
  }
  for (size_t i = 0; i < formatCount; i++) formats.push_back(shapeOf(Format(i)).name);
  napi_value hash;
  check(napi_create_string_utf8(env, layoutsHash, NAPI_AUTO_LENGTH, &hash), "make a text");
  check(napi_set_named_property(env, exports, "layoutsHash", hash), "export a text");
  defineNames(env, exports, "operations", names);
  defineNames(env, exports, "formats", formats);
  defineNames(env, exports, "isas", isas);
  define<productRate>(env, exports, "productRate");
  define<create>(env, exports, "create");
  define<submit>(env, exports, "submit");
  define<read>(env, exports, "read");
  define<drain>(env, exports, "drain");
  define<close>(env, exports, "close");
  define<mapFile>(env, exports, "mapFile");
  define<stats>(env, exports, "stats");
}

}  // namespace
}  // namespace glulam

NAPI_MODULE_INIT() {
  try {
    glulam::exportAll(env, exports);
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
  }
  return exports;
}
