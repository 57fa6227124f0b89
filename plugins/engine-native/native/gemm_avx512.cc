#if defined(__x86_64__)
// GCC 12's own header leaves registers undefined on purpose, and then warns of it where they are inlined (PR 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#define GLULAM_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,f16c")))
#include "gemm_loops.h"

namespace glulam {
namespace {

GLULAM_INLINE __mmask16 first16(size_t n) { return n >= 16 ? 0xffff : __mmask16((1u << n) - 1); }
GLULAM_INLINE __mmask32 first32(size_t n) { return n >= 32 ? 0xffffffff : (1u << n) - 1; }

template <DType T>
GLULAM_INLINE __m512 widen(const char* at) {
  if constexpr (T == DType::f32) return _mm512_loadu_ps(at);
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  if constexpr (T == DType::f16) return _mm512_cvtph_ps(half);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

template <DType T>
GLULAM_INLINE __m512 widenPart(const char* at, size_t n) {
  if constexpr (T == DType::f32) return _mm512_maskz_loadu_ps(first16(n), at);
  const __m256i half = _mm256_maskz_loadu_epi16(first16(n), at);
  if constexpr (T == DType::f16) return _mm512_cvtph_ps(half);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

// 16 elements as bfloat16.
template <DType T>
GLULAM_INLINE __m256i narrow(const char* at) {
  if constexpr (T == DType::bf16) return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  return (__m256i)_mm512_cvtneps_pbh(widen<T>(at));
}

template <DType T>
GLULAM_INLINE __m256i narrowPart(const char* at, size_t n) {
  if constexpr (T == DType::bf16) return _mm256_maskz_loadu_epi16(first16(n), at);
  return (__m256i)_mm512_cvtneps_pbh(widenPart<T>(at, n));
}

// Rows and columns of a block of 16 x 16 cells change places.
GLULAM_INLINE void transposeBlock(__m512i (&r)[16]) {
  __m512i t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
  }
}

// The 16 sums over lanes as one register: each step adds halves and makes one register of two.
GLULAM_INLINE __m512 totals16(__m512 (&v)[16]) {
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    v[i] = _mm512_add_ps(_mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]), _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1]));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    const __m512d even = _mm512_castps_pd(v[2 * i]), odd = _mm512_castps_pd(v[2 * i + 1]);
    v[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(even, odd)),
                         _mm512_castpd_ps(_mm512_unpackhi_pd(even, odd)));
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; i++) {
    v[i] = _mm512_add_ps(_mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0x88),
                         _mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0xdd));
  }
  return _mm512_add_ps(_mm512_shuffle_f32x4(v[0], v[1], 0x88), _mm512_shuffle_f32x4(v[0], v[1], 0xdd));
}

struct Sums512 {
  using Sums = __m512;
  static constexpr size_t lanes = 16;
  // 24 sums in registers, with 4 of `right` and one of `left`: 29 of 32. Enough to hide the latency of the products.
  static constexpr size_t tileRows = 6, tileVectors = 4;
  static constexpr size_t dotRows = 3, dotColumns = 8;

  GLULAM_INLINE __m512 zeroSums() { return _mm512_setzero_ps(); }
  GLULAM_INLINE __m512 loadSums(const float* at, size_t n) { return _mm512_maskz_loadu_ps(first16(n), at); }

  template <int N>
  GLULAM_INLINE void totals(const __m512 (&sums)[N], float* out) {
#pragma GCC unroll 2
    for (int from = 0; from < N; from += 16) {
      __m512 group[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; i++) group[i] = from + i < N ? sums[from + i < N ? from + i : 0] : _mm512_setzero_ps();
      _mm512_mask_storeu_ps(out + from, first16(N - from), totals16(group));
    }
  }

  template <DType T>
  GLULAM_INLINE void update(char* out, __m512 sums, size_t n, float alpha, float beta) {
    __m512 value = _mm512_mul_ps(sums, _mm512_set1_ps(alpha));
    if (beta != 0) value = _mm512_fmadd_ps(_mm512_set1_ps(beta), widenPart<T>(out, n), value);
    if constexpr (T == DType::f32) {
      _mm512_mask_storeu_ps(out, first16(n), value);
    } else {
      _mm256_mask_storeu_epi16(out, first16(n), (__m256i)_mm512_cvtneps_pbh(value));
    }
  }
};

struct Float32 : Sums512 {
  using Cell = float;
  using Cells = __m512;
  static constexpr size_t step = 1;

  GLULAM_INLINE void keep(__m512& cells) { __asm__("" : "+v"(cells)); }
  GLULAM_INLINE __m512 zero() { return _mm512_setzero_ps(); }
  GLULAM_INLINE __m512 load(const float* at) { return _mm512_loadu_ps(at); }
  GLULAM_INLINE __m512 broadcast(const float* at) { return _mm512_set1_ps(*at); }
  GLULAM_INLINE __m512 multiplyAdd(__m512 sums, __m512 a, __m512 b) { return _mm512_fmadd_ps(a, b, sums); }
  GLULAM_INLINE void put(float* at, __m512 cells, size_t n) {
    if (n >= 16) {
      _mm512_storeu_ps(at, cells);
    } else {
      _mm512_mask_storeu_ps(at, first16(n), cells);
    }
  }

  template <DType T>
  GLULAM_INLINE __m512 fetch(const char* at) {
    return widen<T>(at);
  }
  template <DType T>
  GLULAM_INLINE __m512 fetchPart(const char* at, size_t n) {
    return widenPart<T>(at, n);
  }
  template <DType T>
  GLULAM_INLINE __m512 weave(const char* even, const char*) {
    return widen<T>(even);
  }
  template <DType T>
  GLULAM_INLINE __m512 weavePart(const char* even, const char*, size_t n) {
    return widenPart<T>(even, n);
  }
  GLULAM_INLINE void transpose(__m512 (&block)[16]) {
    __m512i bits[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) bits[i] = _mm512_castps_si512(block[i]);
    transposeBlock(bits);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) block[i] = _mm512_castsi512_ps(bits[i]);
  }
};

// vdpbf16ps multiplies pairs: a cell holds two elements that are neighbours along k. It takes subnormals for zero.
struct Bfloat16 : Sums512 {
  using Cell = uint32_t;
  using Cells = __m512i;
  static constexpr size_t step = 2;

  GLULAM_INLINE void keep(__m512i& cells) { __asm__("" : "+v"(cells)); }
  GLULAM_INLINE __m512i zero() { return _mm512_setzero_si512(); }
  GLULAM_INLINE __m512i load(const uint32_t* at) { return _mm512_loadu_si512(at); }
  GLULAM_INLINE __m512i broadcast(const uint32_t* at) { return _mm512_set1_epi32(int(*at)); }
  GLULAM_INLINE __m512 multiplyAdd(__m512 sums, __m512i a, __m512i b) {
    return _mm512_dpbf16_ps(sums, (__m512bh)a, (__m512bh)b);
  }
  GLULAM_INLINE void put(uint32_t* at, __m512i cells, size_t n) {
    if (n >= 16) {
      _mm512_storeu_si512(at, cells);
    } else {
      _mm512_mask_storeu_epi32(at, first16(n), cells);
    }
  }

  template <DType T>
  GLULAM_INLINE __m512i fetch(const char* at) {
    if constexpr (T == DType::bf16) return _mm512_loadu_si512(at);
    return (__m512i)_mm512_cvtne2ps_pbh(widen<T>(at + 16 * bytesOf(T)), widen<T>(at));
  }
  template <DType T>
  GLULAM_INLINE __m512i fetchPart(const char* at, size_t n) {
    if constexpr (T == DType::bf16) return _mm512_maskz_loadu_epi16(first32(n), at);
    const __m512 low = widenPart<T>(at, n);
    return (__m512i)_mm512_cvtne2ps_pbh(widenPart<T>(at + 16 * bytesOf(T), n > 16 ? n - 16 : 0), low);
  }
  template <DType T>
  GLULAM_INLINE __m512i weave(const char* even, const char* odd) {
    return _mm512_or_si512(_mm512_cvtepu16_epi32(narrow<T>(even)),
                           _mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow<T>(odd)), 16));
  }
  template <DType T>
  GLULAM_INLINE __m512i weavePart(const char* even, const char* odd, size_t n) {
    const __m512i low = _mm512_cvtepu16_epi32(narrowPart<T>(even, n));
    if (!odd) return low;
    return _mm512_or_si512(low, _mm512_slli_epi32(_mm512_cvtepu16_epi32(narrowPart<T>(odd, n)), 16));
  }
  GLULAM_INLINE void transpose(__m512i (&block)[16]) { transposeBlock(block); }
};

}  // namespace

const GemmKernels& avx512Kernels(bool bf16Operands) {
  static const GemmKernels float32 = makeKernels<Float32>(), bfloat16 = makeKernels<Bfloat16>();
  return bf16Operands ? bfloat16 : float32;
}

}  // namespace glulam
#endif
