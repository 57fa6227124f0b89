#include "threads/pool.h"

#include <algorithm>
#include <chrono>
#include <exception>

namespace glulam {
namespace {

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

// A kernel follows the next within microseconds, and waking a thread costs more than that: so threads spin a little
// before they sleep, but not so long that an idle process is seen to burn a core.
template <class Ready>
bool spinUntil(const Ready& ready) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::microseconds(50);
  do {
    for (int i = 0; i < 64; i++) {
      if (ready()) return true;
      pause();
    }
  } while (Clock::now() < end);
  return false;
}

}  // namespace

Pool::Pool(int threads) : count_(std::max(1, threads)) {
  try {
    for (int worker = 1; worker < count_; worker++) threads_.emplace_back([this, worker] { work(worker); });
  } catch (...) {
    // The system refused a thread: those that did start must end, or destroying them would end the process.
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
      generation_.fetch_add(1);
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
    throw;
  }
}

Pool::~Pool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    generation_.fetch_add(1);
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void Pool::work(int worker) {
  uint64_t seen = 0;
  const auto called = [&] { return generation_.load(std::memory_order_acquire) != seen; };
  for (;;) {
    if (!spinUntil(called)) {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, called);
    }
    if (stop_) return;  // written before generation_, so this read is ordered after it
    seen = generation_.load(std::memory_order_acquire);
    (*job_)(worker);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      { std::lock_guard<std::mutex> lock(mutex_); }  // run() is either before its check or already asleep
      wake_.notify_all();
    }
  }
}

void Pool::run(const std::function<void(int)>& job) {
  if (count_ == 1) return job(0);
  std::mutex failing;
  std::exception_ptr failure;
  const std::function<void(int)> guarded = [&](int worker) {
    try {
      job(worker);
    } catch (...) {
      std::lock_guard<std::mutex> lock(failing);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::lock_guard<std::mutex> lock(mutex_);
    job_ = &guarded;
    running_.store(count_ - 1, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  guarded(0);
  const auto finished = [&] { return running_.load(std::memory_order_acquire) == 0; };
  if (!spinUntil(finished)) {
    std::unique_lock<std::mutex> lock(mutex_);
    wake_.wait(lock, finished);
  }
  if (failure) std::rethrow_exception(failure);
}

void Pool::forEach(size_t n, size_t grain, const std::function<void(size_t, size_t)>& body) {
  grain = std::max<size_t>(1, grain);
  if (count_ == 1 || n <= grain) {
    for (size_t begin = 0; begin < n; begin += grain) body(begin, std::min(n, begin + grain));
    return;
  }
  std::atomic<size_t> next{0};
  run([&](int) {
    for (size_t begin; (begin = next.fetch_add(grain, std::memory_order_relaxed)) < n;) {
      body(begin, std::min(n, begin + grain));
    }
  });
}

}  // namespace glulam
