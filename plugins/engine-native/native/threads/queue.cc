#include "threads/queue.h"

#include <chrono>
#include <exception>
#include <utility>

namespace glulam {
namespace {

// Commands arrive in bursts, microseconds apart, and waking a thread costs more than that.
constexpr auto spinTime = std::chrono::microseconds(50);

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

void Queue::push(Command command) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(std::move(command));
    count_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_one();
}

void Queue::work() {
  using Clock = std::chrono::steady_clock;
  const auto called = [this] { return stop_.load() || count_.load(std::memory_order_acquire) > 0; };
  for (;;) {
    for (const auto end = Clock::now() + spinTime; !called() && Clock::now() < end;) std::this_thread::yield();
    Command command;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, called);
      if (stop_) return;
      command = std::move(waiting_.front());
      waiting_.pop_front();
      count_.fetch_sub(1, std::memory_order_relaxed);
    }
    execute(command);
  }
}

void Queue::execute(Command& command) {
  for (const uint32_t id : command.frees) store_.free(id);
  if (command.operation && !failure_) {
    const std::string name = command.operation->name;
    try {
      command.operation->run({store_, pool_, choice_, command.ids, command.params, command.payload, command.destination});
      // It may have gone on with zeros in place of a part of a file that is gone.
      files_.checkIntact();
    } catch (const FileLost& error) {
      failure_.reset(new Failure{name + ": " + error.what(), true, error.file, error.offset});
    } catch (const std::exception& error) {
      failure_.reset(new Failure{name + ": " + error.what()});
    } catch (...) {
      failure_.reset(new Failure{name + ": an unknown failure"});
    }
  }
  if (command.done) command.done(failure_.get());
}

}  // namespace glulam
