// The worker: one thread that runs commands in the order they were given, on tensors that it alone touches.
#pragma once
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "commands/commands.h"
#include "gemm/gemm.h"
#include "memory/mapped_files.h"
#include "memory/memory.h"
#include "threads/pool.h"
#include "types.h"

namespace glulam {

struct Failure {
  std::string message;
  // Where a part of a mapped file could not be read: the file's number and the byte.
  bool isLoss = false;
  size_t file = 0, offset = 0;
};

// Commands that follow one another, and what belongs to the last of them.
struct Batch {
  // Of each command: the number of its operation, how many tensors to free first (whatever failed before), how many the
  // operation takes and makes, and how many parameters it has; then all of these, in this order.
  std::vector<double> words;
  std::vector<char> payload;
  void* destination = nullptr;  // of a read
  // Told, on the worker's thread, why the queue failed up to here, or nullptr.
  std::function<void(const Failure*)> done;
};

class Queue {
 public:
  Queue(int threads, const Choice& choice);
  // Waits for the command that runs and drops the rest, without telling anyone.
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // Throws std::logic_error where the words are not those of commands.
  void push(Batch batch);
  MappedFiles& files() { return files_; }
  const Memory& memory() const { return memory_; }

 private:
  void work();
  // Whether all of it ran: not where the queue is to end.
  bool execute(const Batch& batch);
  void run(const Operation& operation, const std::vector<char>& payload, void* destination);

  MappedFiles files_;
  Memory memory_;
  Store store_{memory_, files_};
  Pool pool_;
  const Choice choice_;
  // The first one; nothing runs after it, since what it left undone others would read.
  std::unique_ptr<Failure> failure_;
  // Of the command that runs.
  std::vector<uint32_t> ids_;
  std::vector<double> params_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Batch> waiting_;
  std::atomic<size_t> count_{0};  // of waiting_, to be polled without the lock
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace glulam
