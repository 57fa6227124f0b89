// A fixed set of threads that run one job at a time. The caller takes part, so `threads` = 1 starts none.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace glulam {

class Pool {
 public:
  explicit Pool(int threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return count_; }

  // Runs job(worker) once on each worker, 0 <= worker < threads(), and returns when all are done.
  void run(const std::function<void(int)>& job);

  // Runs body(begin, end) over [0, n) in pieces of at most `grain`, handed out as workers come free. Which worker gets
  // which piece varies, so a body's result must depend on its piece alone: that keeps runs repeatable bit for bit.
  void forEach(size_t n, size_t grain, const std::function<void(size_t, size_t)>& body);

 private:
  void work(int worker);

  int count_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  const std::function<void(int)>* job_ = nullptr;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> running_{0};
  bool stop_ = false;
};

}  // namespace glulam
