#include "memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <stdexcept>

namespace glulam {
namespace {

constexpr size_t hugePage = size_t(2) << 20;

// Sizes in steps of an eighth of their power of two: an eighth is wasted at most, and few sizes differ.
size_t bucketOf(size_t bytes) {
  if (bytes <= 512) return (bytes + 63) / 64 * 64 + (bytes == 0) * 64;
  size_t step = 64;
  while (step * 16 <= bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

// Large blocks are mapped by themselves: what is given back is the system's again at once. The C library would keep it,
// between blocks that are still in use.
constexpr size_t mappedFrom = size_t(256) << 10;

void* mapBlock(size_t bytes) {
#ifdef __linux__
  // Huge pages want blocks that begin at one; what lies around is given back.
  const size_t alignment = bytes < hugePage ? 1 : hugePage;
  const size_t page = size_t(sysconf(_SC_PAGESIZE)), size = (bytes + page - 1) / page * page;
  void* all = mmap(nullptr, size + alignment - 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) return nullptr;
  char* const begin = static_cast<char*>(all);
  char* const block = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(begin) + alignment - 1) / alignment * alignment);
  char* const end = begin + (size + alignment - 1 + page - 1) / page * page;
  if (block > begin) munmap(begin, size_t(block - begin));
  if (block + size < end) munmap(block + size, size_t(end - block - size));
  if (bytes >= hugePage) madvise(block, bytes, MADV_HUGEPAGE);
  return block;
#else
  void* block = nullptr;
  return posix_memalign(&block, bytes < hugePage ? 64 : hugePage, bytes) == 0 ? block : nullptr;
#endif
}

void* takeFresh(size_t bytes) {
  if (bytes >= mappedFrom) return mapBlock(bytes);
  void* block = nullptr;
  return posix_memalign(&block, 64, bytes) == 0 ? block : nullptr;
}

void giveBack(void* block, size_t bytes) {
#ifdef __linux__
  if (bytes >= mappedFrom) {
    const size_t page = size_t(sysconf(_SC_PAGESIZE));
    munmap(block, (bytes + page - 1) / page * page);
    return;
  }
#endif
  (void)bytes;
  std::free(block);
}

}  // namespace

Memory::~Memory() {
  for (auto& [bucket, blocks] : cache_) {
    for (void* block : blocks) giveBack(block, bucket);
  }
}

void* Memory::take(size_t bytes) {
  const size_t bucket = bucketOf(bytes);
  void* block = nullptr;
  const auto kept = cache_.find(bucket);
  if (kept != cache_.end()) {
    block = kept->second.back();
    kept->second.pop_back();
    if (kept->second.empty()) cache_.erase(kept);
    cached_ -= bucket;
  } else {
    makeRoom(bucket);
    block = takeFresh(bucket);
  }
  if (!block) {
    throw std::runtime_error("out of memory: " + std::to_string(bytes) + " bytes were asked for, with " +
                             std::to_string(live()) + " in use; shorten the batch or turn recomputation on");
  }
  live_ += bucket;
  if (live() > peak()) peak_.store(live());
  return block;
}

void Memory::give(void* block, size_t bytes) {
  const size_t bucket = bucketOf(bytes);
  live_ -= bucket;
  cache_[bucket].push_back(block);
  cached_ += bucket;
}

void Memory::makeRoom(size_t bucket) {
  while (!cache_.empty() && live() + cached() + bucket > peak()) {
    const auto largest = std::prev(cache_.end());
    giveBack(largest->second.back(), largest->first);
    largest->second.pop_back();
    cached_ -= largest->first;
    if (largest->second.empty()) cache_.erase(largest);
  }
}

MappedFile::MappedFile(const std::string& path) {
  const auto refuse = [&](const char* what) {
    throw std::runtime_error(std::string("cannot ") + what + " " + path + ": " + std::strerror(errno));
  };
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) refuse("open");
  struct stat status;
  const bool known = fstat(file, &status) == 0;
  bytes_ = known ? size_t(status.st_size) : 0;
  void* data = nullptr;
  if (bytes_ > 0) data = mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, file, 0);
  const int error = errno;
  close(file);
  errno = error;
  if (!known) refuse("stat");
  if (data == MAP_FAILED) refuse("map");
  data_ = static_cast<const char*>(data);
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<char*>(data_), bytes_);
}

size_t MappedFiles::open(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto known = byPath_.find(path);
  if (known != byPath_.end()) return known->second;
  files_.push_back(std::make_unique<MappedFile>(path));
  byPath_[path] = files_.size() - 1;
  return files_.size() - 1;
}

const MappedFile& MappedFiles::at(size_t file) const {
  std::lock_guard<std::mutex> lock(mutex_);
  return *files_.at(file);
}

size_t MappedFiles::bytes() const {
  std::lock_guard<std::mutex> lock(mutex_);
  size_t sum = 0;
  for (const auto& file : files_) sum += file->bytes();
  return sum;
}

}  // namespace glulam
