#if defined(__x86_64__)
#include <immintrin.h>

#define GLULAM_TARGET __attribute__((target("avx2,fma,f16c")))
#include "gemm/gemm_loops.h"

namespace glulam {
namespace {

// The upper 16 bits of each result are the value as bfloat16, the lower are zero.
GLULAM_INLINE __m256i roundBits(__m256 value) {
  const __m256i bits = _mm256_castps_si256(value), one = _mm256_set1_epi32(1);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), one);
  const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
  return _mm256_and_si256(_mm256_blendv_epi8(rounded, quiet, nan), _mm256_set1_epi32(int(0xffff0000)));
}

GLULAM_INLINE __m256i firstMask(size_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n < 8 ? int(n) : 8), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

// With Rounded, operands are rounded to bfloat16 as they are read: what is multiplied is what a unit for bfloat16 multiplies.
template <bool Rounded>
struct Avx2 : FloatCells<Avx2<Rounded>, Rounded> {
  using Cells = __m256;
  using Sums = __m256;
  static constexpr size_t lanes = 8;
  // 12 sums in registers, with 2 of `right` and one of `left`: 15 of 16.
  static constexpr size_t tileRows = 6, tileVectors = 2;
  static constexpr size_t dotRows = 4, dotColumns = 2;

  GLULAM_INLINE void keep(__m256& cells) { __asm__("" : "+x"(cells)); }
  GLULAM_INLINE __m256 zero() { return _mm256_setzero_ps(); }
  GLULAM_INLINE __m256 zeroSums() { return _mm256_setzero_ps(); }
  GLULAM_INLINE __m256 load(const float* at) { return _mm256_loadu_ps(at); }
  GLULAM_INLINE __m256 broadcast(const float* at) { return _mm256_broadcast_ss(at); }
  GLULAM_INLINE __m256 multiplyAdd(__m256 sums, __m256 a, __m256 b) { return _mm256_fmadd_ps(a, b, sums); }
  GLULAM_INLINE __m256 loadSums(const float* at, size_t n) { return _mm256_maskload_ps(at, firstMask(n)); }
  GLULAM_INLINE void put(float* at, __m256 cells, size_t n) {
    if (n >= 8) {
      _mm256_storeu_ps(at, cells);
    } else {
      _mm256_maskstore_ps(at, firstMask(n), cells);
    }
  }

  template <DType T>
  GLULAM_INLINE __m256 widen(const char* at) {
    if constexpr (T == DType::f32) return _mm256_loadu_ps(reinterpret_cast<const float*>(at));
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    if constexpr (T == DType::f16) return _mm256_cvtph_ps(half);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
  }

  template <DType T>
  GLULAM_INLINE __m256 widenPart(const char* at, size_t n) {
    if (n >= 8) return widen<T>(at);
    if constexpr (T == DType::f32) return _mm256_maskload_ps(reinterpret_cast<const float*>(at), firstMask(n));
    char part[16] = {};
    std::memcpy(part, at, n * 2);
    return widen<T>(part);
  }
  GLULAM_INLINE __m256 toBfloat16(__m256 value) { return _mm256_castsi256_ps(roundBits(value)); }

  GLULAM_INLINE void transpose(__m256 (&r)[8]) {
    __m256 t[8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
      t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    __m256 u[8];
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
      u[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
      u[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
      u[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
      u[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      r[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
      r[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
    }
  }

  template <int N>
  GLULAM_INLINE void totals(const __m256 (&sums)[N], float* out) {
#pragma GCC unroll 8
    for (int i = 0; i < N; i++) {
      const __m128 four = _mm_add_ps(_mm256_castps256_ps128(sums[i]), _mm256_extractf128_ps(sums[i], 1));
      const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
      out[i] = _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    }
  }

  template <DType T>
  GLULAM_INLINE void update(char* out, __m256 sums, size_t n, float alpha, float beta) {
    __m256 value = _mm256_mul_ps(sums, _mm256_set1_ps(alpha));
    if (beta != 0) value = _mm256_fmadd_ps(_mm256_set1_ps(beta), widenPart<T>(out, n), value);
    if constexpr (T == DType::f32) {
      put(reinterpret_cast<float*>(out), value, n);
    } else {
      const __m256i high = _mm256_srli_epi32(roundBits(value), 16);
      const __m128i narrow = _mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
      if (n >= 8) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out), narrow);
      } else {
        std::memcpy(out, &narrow, n * 2);
      }
    }
  }
};

}  // namespace

const GemmKernels& avx2Kernels(bool bfloat16) {
  static const GemmKernels exact = makeKernels<Avx2<false>>(), rounded = makeKernels<Avx2<true>>();
  return bfloat16 ? rounded : exact;
}

}  // namespace glulam
#endif
