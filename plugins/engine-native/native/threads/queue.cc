#include "threads/queue.h"

#include <chrono>
#include <exception>
#include <stdexcept>
#include <utility>

namespace glulam {
namespace {

// Commands arrive in bursts, microseconds apart, and waking a thread costs more than that.
constexpr auto spinTime = std::chrono::microseconds(50);

constexpr size_t headerWords = 4;

// What a command's words begin with.
struct Header {
  size_t operation, frees, ids, params;
  explicit Header(const double* words)
      : operation(size_t(words[0])), frees(size_t(words[1])), ids(size_t(words[2])), params(size_t(words[3])) {}
};

void checkWords(const std::vector<double>& words) {
  for (size_t at = 0; at < words.size();) {
    const double* header = words.data() + at;
    size_t left = words.size() - at;
    bool fits = left >= headerWords && header[0] >= 0 && header[0] < double(operations().size());
    left -= headerWords;
    for (size_t i = 1; fits && i < headerWords; i++) {
      fits = header[i] >= 0 && header[i] <= double(left);
      if (fits) left -= size_t(header[i]);
    }
    if (!fits) throw std::logic_error("a command has fewer words than it says, or a number that no operation has");
    at = words.size() - left;
  }
}

}  // namespace

Queue::Queue(int threads, const Choice& choice) : pool_(threads), choice_(choice), thread_([this] { work(); }) {}

Queue::~Queue() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Queue::push(Batch batch) {
  checkWords(batch.words);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(std::move(batch));
    count_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_one();
}

void Queue::work() {
  using Clock = std::chrono::steady_clock;
  const auto called = [this] { return stop_.load() || count_.load(std::memory_order_acquire) > 0; };
  for (;;) {
    for (const auto end = Clock::now() + spinTime; !called() && Clock::now() < end;) std::this_thread::yield();
    Batch batch;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, called);
      if (stop_) return;
      batch = std::move(waiting_.front());
      waiting_.pop_front();
      count_.fetch_sub(1, std::memory_order_relaxed);
    }
    if (!execute(batch)) return;
    if (batch.done) batch.done(failure_.get());
  }
}

bool Queue::execute(const Batch& batch) {
  static const std::vector<char> nothing;
  const double* const end = batch.words.data() + batch.words.size();
  for (const double* at = batch.words.data(); at < end;) {
    if (stop_) return false;
    const Header header(at);
    at += headerWords;
    for (size_t i = 0; i < header.frees; i++) store_.free(uint32_t(at[i]));
    at += header.frees;
    ids_.assign(at, at + header.ids);
    at += header.ids;
    params_.assign(at, at + header.params);
    at += header.params;
    const bool isLast = at == end;
    run(operations()[header.operation], isLast ? batch.payload : nothing, isLast ? batch.destination : nullptr);
  }
  return true;
}

void Queue::run(const Operation& operation, const std::vector<char>& payload, void* destination) {
  if (failure_) return;
  const auto fail = [&](const std::string& why) { return Failure{std::string(operation.name) + ": " + why}; };
  try {
    operation.run({store_, pool_, choice_, ids_, params_, payload, destination});
    // It may have gone on with zeros in place of a part of a file that is gone.
    files_.checkIntact();
  } catch (const FileLost& error) {
    failure_.reset(new Failure{fail(error.what()).message, true, error.file, error.offset});
  } catch (const std::exception& error) {
    failure_.reset(new Failure(fail(error.what())));
  } catch (...) {
    failure_.reset(new Failure(fail("an unknown failure")));
  }
}

}  // namespace glulam
