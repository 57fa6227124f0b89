// The loops that every instruction set shares, over a description V of its registers. A gemm_<isa>.cc defines
// GLULAM_TARGET (a function attribute), then includes this and describes its V; makeKernels<V>() gives the table.
//
// All is in an unnamed namespace: the linker must never take one instruction set's code for another's. No lambdas here,
// since GCC compiles them without the target of the function around them.
//
// V has: the types Cell, Cells (a register of cells) and Sums (a register of float32 sums); the sizes of GemmKernels and
// dotColumns; and static functions
//   zero() zeroSums() load(cell*) broadcast(cell*) multiplyAdd(sums, cells, cells)
//   put(cell*, cells, n)                 the first n cells; n may be more than there are
//   fetch<type>(at)                      lanes * step neighbours in memory, converted
//   fetchPart<type>(at, n)               the first n of these, zero beyond
//   weave<type>(even, odd)               cells of an element of `even` and, if step is 2, one of `odd`
//   weavePart<type>(even, odd, n)        n cells of these, zero beyond; `odd` may be null
//   keep(cells)                          has them in a register: GCC would load them again for each use
//   transpose(cells[lanes])
//   totals(sums[n], float*)              the sum over each register's lanes
//   loadSums(float*, n) update<type>(out, sums, n, alpha, beta)
#pragma once
#include <algorithm>
#include <utility>

#include "gemm/gemm_convert.h"
#include "gemm/gemm_kernels.h"

#define GLULAM_INLINE GLULAM_TARGET __attribute__((always_inline)) static inline

#include "gemm/gemm_decode.h"

namespace glulam {
namespace {

// What cells of one float32 have in common. V says how elements are read, widen<type>(at) and widenPart<type>(at, n), and
// how a register of floats is rounded to bfloat16; with Rounded, operands are rounded so as they are read.
template <class V, bool Rounded>
struct FloatCells {
  using Cell = float;
  static constexpr size_t step = 1;

  template <DType T>
  GLULAM_INLINE auto fetch(const char* at) {
    const auto value = V::template widen<T>(at);
    if constexpr (Rounded && T != DType::bf16) return V::toBfloat16(value);
    else return value;
  }
  template <DType T>
  GLULAM_INLINE auto fetchPart(const char* at, size_t n) {
    const auto value = V::template widenPart<T>(at, n);
    if constexpr (Rounded && T != DType::bf16) return V::toBfloat16(value);
    else return value;
  }
  template <DType T>
  GLULAM_INLINE auto weave(const char* even, const char*) {
    return fetch<T>(even);
  }
  template <DType T>
  GLULAM_INLINE auto weavePart(const char* even, const char*, size_t n) {
    return fetchPart<T>(even, n);
  }
};

template <class V, int R, int C>
GLULAM_TARGET void tileOf(const void* leftCells, const void* rightCells, size_t cells, float* out, size_t stride,
                          size_t columns, float alpha, float beta) {
  auto left = static_cast<const typename V::Cell*>(leftCells);
  auto right = static_cast<const typename V::Cell*>(rightCells);
  typename V::Sums sums[R][C];
#pragma GCC unroll 8
  for (int i = 0; i < R; i++)
#pragma GCC unroll 4
    for (int j = 0; j < C; j++) sums[i][j] = V::zeroSums();
  for (size_t k = 0; k < cells; k++, left += R, right += C * V::lanes) {
    typename V::Cells b[C];
#pragma GCC unroll 4
    for (int j = 0; j < C; j++) b[j] = V::load(right + j * V::lanes);
#pragma GCC unroll 8
    for (int i = 0; i < R; i++) {
      const typename V::Cells a = V::broadcast(left + i);
#pragma GCC unroll 4
      for (int j = 0; j < C; j++) sums[i][j] = V::multiplyAdd(sums[i][j], a, b[j]);
    }
  }
  // Indexed by constants only, or the sums would live in memory.
#pragma GCC unroll 8
  for (int i = 0; i < R; i++)
#pragma GCC unroll 4
    for (int j = 0; j < C; j++) {
      if (columns <= j * V::lanes) break;
      V::template update<DType::f32>(reinterpret_cast<char*>(out + i * stride + j * V::lanes), sums[i][j],
                                     columns - j * V::lanes, alpha, beta);
    }
}

using Tile = void (*)(const void*, const void*, size_t, float*, size_t, size_t, float, float);

template <class V, int... I>
const Tile* tilesOf(std::integer_sequence<int, I...>) {
  constexpr int columns = V::tileVectors;
  static constexpr Tile tiles[] = {tileOf<V, I / columns + 1, I % columns + 1>...};
  return tiles;
}

template <class V>
void tile(size_t rows, size_t vectors, const void* left, const void* right, size_t cells, float* out, size_t stride,
          size_t columns, float alpha, float beta) {
  static const Tile* const tiles = tilesOf<V>(std::make_integer_sequence<int, V::tileRows * V::tileVectors>());
  tiles[(rows - 1) * V::tileVectors + vectors - 1](left, right, cells, out, stride, columns, alpha, beta);
}

// Vectors that run along k in memory: a register of each, turned.
template <class V, DType T>
GLULAM_TARGET void packTurned(const Strip& strip, size_t width, size_t k, typename V::Cell* cells, size_t stride,
                              size_t panelCells) {
  constexpr size_t lanes = V::lanes, run = V::lanes * V::step;
  for (size_t i = 0; i < width; i += stride, cells += panelCells * stride) {
    for (size_t j = 0; j < stride; j += lanes) {
      const size_t valid = width > i + j ? std::min(width - i - j, lanes) : 0;
      for (size_t p = 0; p < k; p += run) {
        const size_t n = std::min(run, k - p), rows = (n + V::step - 1) / V::step;
        const char* at = strip.data + ((i + j) * strip.across + p) * bytesOf(T);
        typename V::Cells block[lanes];
        if (valid == lanes && n == run) {
#pragma GCC unroll 16
          for (size_t v = 0; v < lanes; v++, at += strip.across * bytesOf(T)) {
            block[v] = V::template fetch<T>(at);
            __builtin_prefetch(at + 512);  // hardware follows fewer streams than these
          }
        } else {
          for (size_t v = 0; v < lanes; v++) {
            block[v] = v < valid ? V::template fetchPart<T>(at + v * strip.across * bytesOf(T), n) : V::zero();
          }
        }
        V::transpose(block);
        typename V::Cell* out = cells + p / V::step * stride + j;
        for (size_t c = 0; c < rows; c++) V::put(out + c * stride, block[c], stride - j);
      }
    }
  }
}

// Vectors that lie side by side in memory.
template <class V, DType T>
GLULAM_TARGET void packStraight(const Strip& strip, size_t width, size_t k, typename V::Cell* cells, size_t stride,
                                size_t panelCells) {
  constexpr size_t lanes = V::lanes;
  const size_t row = strip.along * bytesOf(T);
  for (size_t p = 0; p < k; p += V::step, cells += stride) {
    const char* even = strip.data + p * row;
    const bool pair = V::step == 1 || p + 1 < k;
    for (size_t byte = 0; byte < width * bytesOf(T); byte += 64) {  // rows are far apart: hardware foresees none
      for (size_t ahead = 0; ahead < V::step; ahead++) __builtin_prefetch(even + (16 + ahead) * row + byte);
    }
    typename V::Cell* out = cells;
    for (size_t i = 0; i < width; i += stride, out += panelCells * stride) {
      const size_t valid = std::min(width - i, stride);
      const char* at = even + i * bytesOf(T);
      size_t j = 0;
      for (; pair && j + lanes <= valid; j += lanes, at += lanes * bytesOf(T)) {
        V::put(out + j, V::template weave<T>(at, at + row), lanes);
      }
      for (; j < stride; j += lanes, at += lanes * bytesOf(T)) {
        V::put(out + j, V::template weavePart<T>(at, pair ? at + row : nullptr, valid > j ? valid - j : 0), stride - j);
      }
    }
  }
}

template <class V, DType T>
void packOf(const Strip& strip, size_t width, size_t k, void* cells, size_t stride, size_t panelCells) {
  const auto run = strip.along == 1 ? packTurned<V, T> : packStraight<V, T>;
  run(strip, width, k, static_cast<typename V::Cell*>(cells), stride, panelCells);
}

template <class V>
void pack(const Strip& strip, size_t width, size_t k, void* cells, size_t stride, size_t panelCells) {
  const auto run = strip.type == DType::f32    ? packOf<V, DType::f32>
                   : strip.type == DType::bf16 ? packOf<V, DType::bf16>
                                               : packOf<V, DType::f16>;
  run(strip, width, k, cells, stride, panelCells);
}

template <class V, DType T>
GLULAM_TARGET void copyRun(const char* at, size_t k, typename V::Cell* row, size_t stride) {
  for (size_t c = 0; c < stride; c += V::lanes) {
    const size_t p = c * V::step;
    V::put(row + c, V::template fetchPart<T>(at + p * bytesOf(T), k > p ? k - p : 0), V::lanes);
  }
}

template <class V>
void copyRows(const Strip& strip, size_t count, size_t k, void* rows, size_t stride) {
  auto row = static_cast<typename V::Cell*>(rows);
  if (strip.along != 1 && V::step == 1) {  // what pack does with k for the vectors' direction
    return pack<V>({strip.data, strip.type, strip.along, strip.across}, k, count, rows, stride, 0);
  }
  for (size_t s = 0; s < count; s++, row += stride) {
    const char* at = strip.data + s * strip.across * bytesOf(strip.type);
    if (strip.along != 1) {
      auto pairs = reinterpret_cast<char*>(row);
      for (size_t p = 0; p < stride * 2; p++, pairs += 2) {
        const bool inside = p < k;
        const char* element = at + (inside ? p : 0) * strip.along * bytesOf(strip.type);
        writeElement(pairs, DType::bf16, inside ? readElement(element, strip.type) : 0.0f);
      }
    } else if (strip.type == DType::f32) {
      copyRun<V, DType::f32>(at, k, row, stride);
    } else if (strip.type == DType::bf16) {
      copyRun<V, DType::bf16>(at, k, row, stride);
    } else {
      copyRun<V, DType::f16>(at, k, row, stride);
    }
  }
}

// Some neighbours along k, a register of them (`n` is then free) or fewer.
template <class V, DType T, int S, int W, bool Whole>
GLULAM_INLINE void dotStep(typename V::Sums (&acc)[S * W], const char* slim, size_t slimBytes, const char* wide,
                           size_t wideBytes, size_t n) {
  constexpr DType slimType = V::step == 2 ? DType::bf16 : DType::f32;
  typename V::Cells a[S];
#pragma GCC unroll 8
  for (int s = 0; s < S; s++) {
    const char* at = slim + s * slimBytes;
    if constexpr (Whole) a[s] = V::load(reinterpret_cast<const typename V::Cell*>(at));
    else a[s] = V::template fetchPart<slimType>(at, n);
  }
#pragma GCC unroll 8
  for (int w = 0; w < W; w++) {
    const char* at = wide + w * wideBytes;
    typename V::Cells b;
    if constexpr (Whole) b = V::template fetch<T>(at);
    else b = V::template fetchPart<T>(at, n);
    V::keep(b);
#pragma GCC unroll 8
    for (int s = 0; s < S; s++) acc[s * W + w] = V::multiplyAdd(acc[s * W + w], a[s], b);
  }
}

template <class V, DType T, int S, int W>
GLULAM_TARGET void dotTile(const char* slim, size_t slimBytes, const char* wide, size_t wideBytes, size_t head, size_t k,
                           float* sums, size_t slimStep, size_t wideStep) {
  constexpr size_t run = V::lanes * V::step, slimElement = sizeof(typename V::Cell) / V::step;
  typename V::Sums acc[S * W];
#pragma GCC unroll 24
  for (int i = 0; i < S * W; i++) acc[i] = V::zeroSums();
  if (head > 0) dotStep<V, T, S, W, false>(acc, slim, slimBytes, wide, wideBytes, head);
  slim += head * slimElement;
  wide += head * bytesOf(T);
  size_t left = k - head;
  for (; left >= run; left -= run, slim += run * slimElement, wide += run * bytesOf(T)) {
    dotStep<V, T, S, W, true>(acc, slim, slimBytes, wide, wideBytes, run);
  }
  if (left > 0) dotStep<V, T, S, W, false>(acc, slim, slimBytes, wide, wideBytes, left);
  float total[S * W];
  V::totals(acc, total);
  for (int s = 0; s < S; s++)
    for (int w = 0; w < W; w++) sums[s * slimStep + w * wideStep] += total[s * W + w];
}

template <class V, DType T, int S>
void dotGroup(const char* slim, size_t slimBytes, size_t rows, const char* wide, size_t wideBytes, size_t wideCount,
              size_t head, size_t k, float* sums, size_t slimStep, size_t wideStep) {
  if constexpr (S > 0) {
    if (rows < S) {
      return dotGroup<V, T, S - 1>(slim, slimBytes, rows, wide, wideBytes, wideCount, head, k, sums, slimStep, wideStep);
    }
    if (wideCount == V::dotColumns) {
      dotTile<V, T, S, V::dotColumns>(slim, slimBytes, wide, wideBytes, head, k, sums, slimStep, wideStep);
    } else {
      for (size_t w = 0; w < wideCount; w++) {
        dotTile<V, T, S, 1>(slim, slimBytes, wide + w * wideBytes, wideBytes, head, k, sums + w * wideStep, slimStep,
                            wideStep);
      }
    }
  }
}

template <class V, DType T>
void dotsOf(const void* slimRows, size_t slimStride, size_t slimCount, const Strip& wide, size_t wideCount, size_t k,
            float* sums, size_t slimStep, size_t wideStep) {
  const size_t wideBytes = wide.across * bytesOf(T), slimBytes = slimStride * sizeof(typename V::Cell);
  auto slim = static_cast<const char*>(slimRows);
  // Weights begin anywhere in their file. What a row has before the first address that a register is read from at once
  // is taken by itself: reads that straddle two of the cache's lines would cost a quarter of the speed.
  const size_t alignment = std::min<size_t>(64, V::lanes * V::step * bytesOf(T));
  const size_t beyond = reinterpret_cast<uintptr_t>(wide.data) % alignment;
  const bool alike = wideBytes % alignment == 0 && beyond % bytesOf(T) == 0;
  const size_t head = beyond > 0 && alike ? std::min(k, (alignment - beyond) / bytesOf(T)) : 0;
  for (size_t w = 0; w < wideCount; w += V::dotColumns) {
    const size_t columns = std::min<size_t>(V::dotColumns, wideCount - w);
    for (size_t s = 0; s < slimCount; s += V::dotRows) {
      dotGroup<V, T, V::dotRows>(slim + s * slimBytes, slimBytes, std::min<size_t>(V::dotRows, slimCount - s),
                                 wide.data + w * wideBytes, wideBytes, columns, head, k,
                                 sums + s * slimStep + w * wideStep, slimStep, wideStep);
    }
  }
}

template <class V>
void dots(const void* slim, size_t slimStride, size_t slimCount, const Strip& wide, size_t wideCount, size_t k,
          float* sums, size_t slimStep, size_t wideStep) {
  const auto run = wide.type == DType::f32    ? dotsOf<V, DType::f32>
                   : wide.type == DType::bf16 ? dotsOf<V, DType::bf16>
                                              : dotsOf<V, DType::f16>;
  run(slim, slimStride, slimCount, wide, wideCount, k, sums, slimStep, wideStep);
}

template <class V, DType T>
GLULAM_TARGET void storeOf(const float* sums, size_t n, char* out, float alpha, float beta) {
  for (size_t i = 0; i < n; i += V::lanes) {
    V::template update<T>(out + i * bytesOf(T), V::loadSums(sums + i, n - i), n - i, alpha, beta);
  }
}

template <class V>
void store(const float* sums, size_t n, void* out, DType type, float alpha, float beta) {
  const auto run = type == DType::f32 ? storeOf<V, DType::f32> : storeOf<V, DType::bf16>;
  run(sums, n, static_cast<char*>(out), alpha, beta);
}

// The compiler makes vectors of these two itself.
template <class V>
GLULAM_TARGET void addLowRank(float* __restrict sums, size_t n, const float* u, size_t rank, const float* __restrict b,
                              size_t stride) {
  size_t r = 0;
  for (; r + 4 <= rank; r += 4, b += 4 * stride) {
    const float u0 = u[r], u1 = u[r + 1], u2 = u[r + 2], u3 = u[r + 3];
    const float *b1 = b + stride, *b2 = b1 + stride, *b3 = b2 + stride;
    for (size_t i = 0; i < n; i++) sums[i] += (u0 * b[i] + u1 * b1[i]) + (u2 * b2[i] + u3 * b3[i]);
  }
  for (; r < rank; r++, b += stride) {
    for (size_t i = 0; i < n; i++) sums[i] += u[r] * b[i];
  }
}

template <class V>
GLULAM_TARGET void scaleColumns(float* __restrict sums, size_t n, const float* __restrict scale,
                                const float* __restrict bias) {
  if (scale) {
    for (size_t i = 0; i < n; i++) sums[i] *= scale[i];
  }
  if (bias) {
    for (size_t i = 0; i < n; i++) sums[i] += bias[i];
  }
}

template <class V>
GemmKernels makeKernels() {
  return {V::step, V::lanes,    V::tileRows, V::tileVectors, V::dotRows,    pack<V>,
          tile<V>, copyRows<V>, dots<V>,     store<V>,       addLowRank<V>, scaleColumns<V>, decodeRow};
}

}  // namespace
}  // namespace glulam
