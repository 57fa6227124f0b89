#include "gemm/gemm_kernels.h"
#if defined(GLULAM_ARM_BF16)
#include <arm_neon.h>

#define GLULAM_TARGET __attribute__((target("arch=armv8.2-a+bf16")))
#include "gemm/gemm_loops.h"
#include "gemm/gemm_neon_registers.h"

namespace glulam {
namespace {

template <DType T>
GLULAM_INLINE uint16x4_t narrow(float32x4_t value) {
  return vshrn_n_u32(T == DType::bf16 ? vreinterpretq_u32_f32(value) : roundBits(value), 16);
}

// bfdot multiplies pairs: a cell holds two elements that are neighbours along k.
struct Bfdot : NeonSums {
  using Cell = uint32_t;
  using Cells = uint32x4_t;
  static constexpr size_t step = 2;

  GLULAM_INLINE void keep(uint32x4_t& cells) { __asm__("" : "+w"(cells)); }
  GLULAM_INLINE uint32x4_t zero() { return vdupq_n_u32(0); }
  GLULAM_INLINE uint32x4_t load(const uint32_t* at) { return vld1q_u32(at); }
  GLULAM_INLINE uint32x4_t broadcast(const uint32_t* at) { return vld1q_dup_u32(at); }
  GLULAM_INLINE float32x4_t multiplyAdd(float32x4_t sums, uint32x4_t a, uint32x4_t b) {
    return vbfdotq_f32(sums, vreinterpretq_bf16_u32(a), vreinterpretq_bf16_u32(b));
  }
  GLULAM_INLINE void put(uint32_t* at, uint32x4_t cells, size_t n) { std::memcpy(at, &cells, std::min(n, lanes) * 4); }

  template <DType T>
  GLULAM_INLINE uint32x4_t fetch(const char* at) {
    if constexpr (T == DType::bf16) return vreinterpretq_u32_u8(vld1q_u8(reinterpret_cast<const uint8_t*>(at)));
    return vreinterpretq_u32_u16(vcombine_u16(narrow<T>(widen<T>(at)), narrow<T>(widen<T>(at + 4 * bytesOf(T)))));
  }
  template <DType T>
  GLULAM_INLINE uint32x4_t fetchPart(const char* at, size_t n) {
    if (n >= 8) return fetch<T>(at);
    char whole[8 * bytesOf(T)] = {};
    std::memcpy(whole, at, n * bytesOf(T));
    return fetch<T>(whole);
  }
  template <DType T>
  GLULAM_INLINE uint32x4_t weave(const char* even, const char* odd) {
    return pair(narrow<T>(widen<T>(even)), narrow<T>(widen<T>(odd)));
  }
  template <DType T>
  GLULAM_INLINE uint32x4_t weavePart(const char* even, const char* odd, size_t n) {
    const uint16x4_t low = narrow<T>(widenPart<T>(even, n));
    return odd ? pair(low, narrow<T>(widenPart<T>(odd, n))) : vmovl_u16(low);
  }
  GLULAM_INLINE void transpose(uint32x4_t (&block)[4]) {
    float32x4_t bits[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) bits[i] = vreinterpretq_f32_u32(block[i]);
    transposeBlock(bits);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) block[i] = vreinterpretq_u32_f32(bits[i]);
  }

 private:
  GLULAM_INLINE uint32x4_t pair(uint16x4_t low, uint16x4_t high) {
    return vorrq_u32(vmovl_u16(low), vshll_n_u16(high, 16));
  }
};

// bfmmla multiplies 2 x 4 elements by 4 x 2 into a square of 2 x 2 sums. Operands are packed as for bfdot; two registers of
// neighbouring cells make the operands of two pairs of vectors.
constexpr size_t mmlaRows = 8, mmlaVectors = 2;

// N cells, zero beyond them.
template <int N>
GLULAM_INLINE uint32x4_t loadCells(const uint32_t* at) {
  if constexpr (N >= 4) return vld1q_u32(at);
  uint32x4_t cells = vdupq_n_u32(0);
  std::memcpy(&cells, at, N * 4);
  return cells;
}

// The operands of N vectors from their cells at `low` and `high`.
template <int N>
GLULAM_INLINE void mmlaOperands(const uint32_t* low, const uint32_t* high, bfloat16x8_t* to) {
  const uint32x4_t first = loadCells<N>(low), second = high ? loadCells<N>(high) : vdupq_n_u32(0);
  to[0] = vreinterpretq_bf16_u32(vzip1q_u32(first, second));
  if constexpr (N > 2) to[1] = vreinterpretq_bf16_u32(vzip2q_u32(first, second));
}

template <int R, int C>
GLULAM_INLINE void mmlaStep(float32x4_t (&sums)[(R + 1) / 2][2 * C], const uint32_t* left, const uint32_t* right, bool pair) {
  bfloat16x8_t a[(R + 1) / 2], b[2 * C];
  constexpr int firstRows = R < 4 ? R : 4;
  mmlaOperands<firstRows>(left, pair ? left + R : nullptr, a);
  if constexpr (R > 4) mmlaOperands<R - 4>(left + 4, pair ? left + R + 4 : nullptr, a + 2);
#pragma GCC unroll 2
  for (int v = 0; v < C; v++) mmlaOperands<4>(right + 4 * v, pair ? right + 4 * (C + v) : nullptr, b + 2 * v);
#pragma GCC unroll 4
  for (int i = 0; i < (R + 1) / 2; i++)
#pragma GCC unroll 4
    for (int j = 0; j < 2 * C; j++) sums[i][j] = vbfmmlaq_f32(sums[i][j], a[i], b[j]);
}

template <int R, int C>
GLULAM_TARGET void mmlaTileOf(const void* leftCells, const void* rightCells, size_t cells, float* out, size_t stride,
                              size_t columns, float alpha, float beta) {
  auto left = static_cast<const uint32_t*>(leftCells), right = static_cast<const uint32_t*>(rightCells);
  float32x4_t sums[(R + 1) / 2][2 * C];
#pragma GCC unroll 4
  for (int i = 0; i < (R + 1) / 2; i++)
#pragma GCC unroll 4
    for (int j = 0; j < 2 * C; j++) sums[i][j] = vdupq_n_f32(0);
  for (size_t k = 0; k + 2 <= cells; k += 2, left += 2 * R, right += 8 * C) mmlaStep<R, C>(sums, left, right, true);
  if (cells % 2) mmlaStep<R, C>(sums, left, right, false);
#pragma GCC unroll 4
  for (int i = 0; i < (R + 1) / 2; i++)
#pragma GCC unroll 2
    for (int v = 0; v < C; v++) {
      if (columns <= size_t(4 * v)) break;
      const float32x4_t even = vcombine_f32(vget_low_f32(sums[i][2 * v]), vget_low_f32(sums[i][2 * v + 1]));
      const float32x4_t odd = vcombine_f32(vget_high_f32(sums[i][2 * v]), vget_high_f32(sums[i][2 * v + 1]));
      auto at = reinterpret_cast<char*>(out + 2 * i * stride + 4 * v);
      NeonSums::update<DType::f32>(at, even, columns - 4 * v, alpha, beta);
      if (2 * i + 1 < R) NeonSums::update<DType::f32>(at + 4 * stride, odd, columns - 4 * v, alpha, beta);
    }
}

template <int... I>
const Tile* mmlaTilesOf(std::integer_sequence<int, I...>) {
  static constexpr Tile tiles[] = {mmlaTileOf<I / mmlaVectors + 1, I % mmlaVectors + 1>...};
  return tiles;
}

void mmlaTile(size_t rows, size_t vectors, const void* left, const void* right, size_t cells, float* out, size_t stride,
              size_t columns, float alpha, float beta) {
  static const Tile* const tiles = mmlaTilesOf(std::make_integer_sequence<int, mmlaRows * mmlaVectors>());
  tiles[(rows - 1) * mmlaVectors + vectors - 1](left, right, cells, out, stride, columns, alpha, beta);
}

}  // namespace

const GemmKernels& bfdotKernels() {
  static const GemmKernels kernels = makeKernels<Bfdot>();
  return kernels;
}

// What is no tile goes by bfdot: with few rows there are no squares to fill.
const GemmKernels& bfmmlaKernels() {
  static const GemmKernels kernels = [] {
    GemmKernels mixed = makeKernels<Bfdot>();
    mixed.tileRows = mmlaRows;
    mixed.tileVectors = mmlaVectors;
    mixed.tile = mmlaTile;
    return mixed;
  }();
  return kernels;
}

}  // namespace glulam
#endif
