// Working memory that a thread keeps from one product to the next.
#pragma once
#include <cstdlib>
#include <new>
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace glulam {

class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::free(data_); }

  // At least `bytes`, at a cache line's start. What it held before is lost.
  void* reserve(size_t bytes) {
    if (bytes <= size_) return data_;
    std::free(data_);
    data_ = nullptr;
    size_ = 0;
    const size_t huge = size_t(2) << 20, alignment = bytes < huge ? 64 : huge;
    const size_t size = (bytes + alignment - 1) / alignment * alignment;
    data_ = std::aligned_alloc(alignment, size);
    if (!data_) throw std::bad_alloc();
    size_ = size;
#ifdef __linux__
    if (alignment == huge) madvise(data_, size, MADV_HUGEPAGE);  // packed panels are walked with long strides
#endif
    return data_;
  }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace glulam
