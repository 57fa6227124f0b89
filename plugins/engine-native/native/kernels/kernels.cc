#include "kernels/kernels.h"

#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "kernels/kernels_support.h"

namespace glulam {

namespace plain { const Kernels& table(); }
#if defined(__x86_64__)
namespace avx2 { const Kernels& table(); }
namespace avx512 { const Kernels& table(); }
namespace avx512bf16 { const Kernels& table(); }
#endif

const Kernels& kernels(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx512bf16) return avx512bf16::table();
  if (isa == Isa::avx512) return avx512::table();
  if (isa == Isa::avx2) return avx2::table();
#endif
  (void)isa;
  return plain::table();  // for NEON too: its vectors are NEON's
}

void runPieces(Pool& pool, size_t n, size_t grain, Piece piece, void* context) {
  pool.forEach(n, grain, [=](size_t begin, size_t end) { piece(context, begin, end); });
}

namespace {

void* allocate(size_t bytes) {
  void* memory = std::aligned_alloc(64, (bytes + 63) & ~size_t(63));
  if (!memory && bytes > 0) throw std::bad_alloc();
  return memory;
}

}  // namespace

float* scratch(size_t floats) {
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  thread_local std::unique_ptr<float, Free> memory;
  thread_local size_t size = 0;
  if (floats > size) {
    memory.reset();
    size = 0;
    memory.reset(static_cast<float*>(allocate(floats * sizeof(float))));
    size = floats;
  }
  return memory.get();
}

SharedScratch::SharedScratch(size_t bytes) : data(allocate(bytes)) {}
SharedScratch::~SharedScratch() { std::free(data); }

void failIndex(const char* what, int64_t index, size_t limit) {
  throw std::runtime_error(std::string(what) + " got index " + std::to_string(index) + "; expected 0 to " +
                           std::to_string(int64_t(limit) - 1));
}

}  // namespace glulam
