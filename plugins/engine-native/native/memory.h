// Where tensors live: memory of the process, taken and given back by the worker, and files mapped for reading.
#pragma once
#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace glulam {

// Blocks at a cache line's start. Freed ones are kept for the next of their size: the same shapes come again in every
// layer and step, and fresh pages cost a fault each. Live and kept blocks together never exceed the most that was ever
// live, so keeping them costs no memory at the peak. For one thread; the counts may be read by any.
class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory();

  // Throws std::runtime_error when the system refuses.
  void* take(size_t bytes);
  // `bytes` as they were asked for.
  void give(void* block, size_t bytes);

  size_t live() const { return live_.load(std::memory_order_relaxed); }
  size_t peak() const { return peak_.load(std::memory_order_relaxed); }
  size_t cached() const { return cached_.load(std::memory_order_relaxed); }

 private:
  // Give kept blocks back to the system, the largest first, until `bucket` more bytes raise no peak.
  void makeRoom(size_t bucket);

  std::map<size_t, std::vector<void*>> cache_;  // no empty lists
  std::atomic<size_t> live_{0}, peak_{0}, cached_{0};
};

// A file mapped whole, read-only: its pages belong to the system's cache and are shared with every process that reads it.
class MappedFile {
 public:
  // Throws std::runtime_error when it cannot be opened or mapped.
  explicit MappedFile(const std::string& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const char* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  const char* data_ = nullptr;
  size_t bytes_ = 0;
};

// Files by number; each path is mapped once. For any thread.
class MappedFiles {
 public:
  size_t open(const std::string& path);
  const MappedFile& at(size_t file) const;
  size_t bytes() const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<MappedFile>> files_;
  std::map<std::string, size_t> byPath_;
};

}  // namespace glulam
