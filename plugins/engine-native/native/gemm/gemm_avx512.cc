#if defined(__x86_64__)
// GCC 12's own header leaves registers undefined on purpose, and then warns of it where they are inlined (PR 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#define GLULAM_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#include "gemm/gemm_loops.h"
#include "gemm/gemm_avx512_registers.h"

namespace glulam {
namespace {

// bfloat16 is widened in registers. With Rounded, other operands are rounded to it as they are read: what is multiplied is what
// the unit for bfloat16 multiplies, in float32.
template <bool Rounded>
struct Float32 : Sums512, FloatCells<Float32<Rounded>, Rounded> {
  using Cells = __m512;

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
  GLULAM_INLINE __m512 widen(const char* at) {
    return glulam::widen<T>(at);
  }
  template <DType T>
  GLULAM_INLINE __m512 widenPart(const char* at, size_t n) {
    return glulam::widenPart<T>(at, n);
  }
  GLULAM_INLINE __m512 toBfloat16(__m512 value) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(roundToBfloat16s(value)), 16));
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

}  // namespace

const GemmKernels& avx512Kernels(bool bfloat16) {
  static const GemmKernels exact = makeKernels<Float32<false>>(), rounded = makeKernels<Float32<true>>();
  return bfloat16 ? rounded : exact;
}

}  // namespace glulam
#endif
