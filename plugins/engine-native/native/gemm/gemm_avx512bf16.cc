#if defined(__x86_64__)
// GCC 12's own header leaves registers undefined on purpose, and then warns of it where they are inlined (PR 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#define GLULAM_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,f16c")))
#include "gemm/gemm_loops.h"
#include "gemm/gemm_avx512_registers.h"

namespace glulam {
namespace {

GLULAM_INLINE __mmask32 first32(size_t n) { return n >= 32 ? 0xffffffff : (1u << n) - 1; }

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

const GemmKernels& avx512Bfloat16Kernels() {
  static const GemmKernels kernels = makeKernels<Bfloat16>();
  return kernels;
}

}  // namespace glulam
#endif
