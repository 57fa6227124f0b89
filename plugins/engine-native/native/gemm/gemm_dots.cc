// Products with a slim left operand, by dot products along k: the wide operand is streamed once from where it lies, a
// mapped file say, without packing. This is decoding (one row against a weight) and the adapters' inner products.
#include <algorithm>
#include <cstring>

#include "gemm/gemm_kernels.h"
#include "gemm/gemm_scratch.h"

namespace glulam {
namespace {

// Wide rows of a task that is read more than once, and the slim rows it meets, stay within a core's L2 cache.
constexpr size_t chunkBytes = 256 * 1024;
// Of a wide row, what is read between sums where rows are read more than once: a tile's rows stay in the L1 cache.
constexpr size_t blockBytes = 4096;
// Of a wide row that is encoded: what is decoded of a task's rows stays in the L2 cache.
constexpr size_t decodedElements = 1024;

}  // namespace

void multiplyDots(Pool& pool, const GemmKernels& kernels, const Strip& left, size_t m, const Strip& right, size_t n,
                  size_t k, const Target& target) {
  thread_local Scratch slimScratch;
  const size_t run = kernels.lanes * kernels.step;
  // In cells; an odd number of registers, since rows at multiples of a page would share few sets of the cache.
  const size_t stride = ((k + run - 1) / run | 1) * kernels.lanes;
  auto slim = static_cast<uint32_t*>(slimScratch.reserve(m * stride * 4));
  const bool small = m * n * k < 100000;
  pool.forEach(m, m * k < 20000 ? m : 1, [&](size_t begin, size_t end) {
    const Strip rows = decoded(kernels, from(left, begin, 0), end - begin, k);
    kernels.copyRows(rows, end - begin, k, slim + begin * stride, stride);
  });

  const bool once = m <= kernels.dotRows;
  const size_t block = right.encoded ? decodedElements : once ? k : blockBytes / bytesOf(right.type);
  size_t chunk = std::max<size_t>(1, n / (8 * size_t(pool.threads())));
  chunk = std::min(chunk, once ? 32 : chunkBytes / blockBytes);
  chunk = std::max<size_t>(8, chunk / 8 * 8);
  // Rows of `sums` are rows of C.
  const size_t slimStep = target.transposed ? 1 : chunk, wideStep = target.transposed ? m : 1;

  pool.forEach(n, small ? n : chunk, [&](size_t begin, size_t end) {
    thread_local Scratch sumsScratch;
    auto sums = static_cast<float*>(sumsScratch.reserve(m * chunk * 4));
    thread_local Scratch finishScratch;
    const auto room = target.finish ? static_cast<float*>(finishScratch.reserve(target.finish->rank * chunk * 4)) : nullptr;
    for (size_t first = begin; first < end; first += chunk) {
      const size_t count = std::min(chunk, end - first);
      std::memset(sums, 0, m * chunk * 4);
      for (size_t p = 0; p < k; p += block) {
        const size_t length = std::min(block, k - p);
        const Strip wide = decoded(kernels, from(right, first, p), count, length);
        kernels.dots(slim + p / kernels.step, stride, m, wide, count, length, sums, slimStep, wideStep);
      }
      if (target.finish) {
        const FinishColumns columns(*target.finish, n, first, count, room);
        for (size_t row = 0; row < m; row++) columns.store(kernels, target, row, sums + row * chunk);
        continue;
      }
      for (size_t row = 0; row < (target.transposed ? count : m); row++) {
        char* out = target.transposed ? target.at(first + row, 0) : target.at(row, first);
        kernels.store(sums + row * (target.transposed ? m : chunk), target.transposed ? m : count, out, target.c.type,
                      target.alpha, target.beta);
      }
    }
  });
}

}  // namespace glulam
