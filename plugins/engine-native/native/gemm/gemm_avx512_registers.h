// Registers of AVX-512, for float32 cells and for pairs of bfloat16. A gemm_avx512*.cc includes it after gemm_loops.h; all
// of it is compiled for that file's GLULAM_TARGET.
#pragma once

namespace glulam {
namespace {

GLULAM_INLINE __mmask16 first16(size_t n) { return n >= 16 ? 0xffff : __mmask16((1u << n) - 1); }

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

// To the nearest bfloat16, to even where two are as near; a NaN stays one. Without BF16's own instruction, which not every
// machine with AVX-512 has.
GLULAM_INLINE __m256i roundToBfloat16s(__m512 value) {
  const __m512i bits = _mm512_castps_si512(value), one = _mm512_set1_epi32(1);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), one);
  const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
  const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
  const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_mask_blend_epi32(nan, rounded, quiet), 16));
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
      _mm256_mask_storeu_epi16(out, first16(n), roundToBfloat16s(value));
    }
  }
};

}  // namespace
}  // namespace glulam
