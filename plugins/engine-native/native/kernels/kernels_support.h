// What the per-instruction-set kernel files call that must be compiled once, without their flags: the linker would
// otherwise be free to keep, for everyone, a copy of some inline function that only newer machines can run.
#pragma once
#include "kernels/kernels.h"

namespace glulam {

using Piece = void (*)(void* context, size_t begin, size_t end);
void runPieces(Pool& pool, size_t n, size_t grain, Piece piece, void* context);

// This thread's own memory, 64-byte aligned; the next call on the thread may move it.
float* scratch(size_t floats);

// Memory that the pieces of one kernel share, 64-byte aligned.
class SharedScratch {
 public:
  explicit SharedScratch(size_t bytes);
  SharedScratch(const SharedScratch&) = delete;
  SharedScratch& operator=(const SharedScratch&) = delete;
  ~SharedScratch();

  void* const data;
};

[[noreturn]] void failIndex(const char* what, int64_t index, size_t limit);

}  // namespace glulam
