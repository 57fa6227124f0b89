#include "kernels.h"

#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "kernels_support.h"

namespace glulam {

namespace plain { const Kernels& table(); }
#if defined(__x86_64__)
namespace avx2 { const Kernels& table(); }
namespace avx512 { const Kernels& table(); }
#endif

const Kernels& kernels(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return avx512::table();
  if (isa == Isa::avx2) return avx2::table();
#endif
  (void)isa;
  return plain::table();
}

void runPieces(Pool& pool, size_t n, size_t grain, Piece piece, void* context) {
  pool.forEach(n, grain, [=](size_t begin, size_t end) { piece(context, begin, end); });
}

float* scratch(size_t floats) {
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  thread_local std::unique_ptr<float, Free> memory;
  thread_local size_t size = 0;
  if (floats > size) {
    size_t bytes = (floats * sizeof(float) + 4095) & ~size_t(4095);
    memory.reset();
    size = 0;
    memory.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
    if (!memory) throw std::bad_alloc();
    size = bytes / sizeof(float);
  }
  return memory.get();
}

void failIndex(const char* what, int64_t index, size_t limit) {
  throw std::runtime_error(std::string(what) + " got index " + std::to_string(index) + "; expected 0 to " +
                           std::to_string(int64_t(limit) - 1));
}

}  // namespace glulam
