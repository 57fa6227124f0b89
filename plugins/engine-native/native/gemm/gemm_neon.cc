#if defined(__aarch64__)
#include <arm_neon.h>

#define GLULAM_TARGET
#include "gemm/gemm_loops.h"
#include "gemm/gemm_neon_registers.h"

namespace glulam {
namespace {

// Baseline ARMv8: bfloat16 is widened in registers, two shifts for four elements.
template <bool Rounded>
struct Neon : NeonSums, FloatCells<Neon<Rounded>, Rounded> {
  using Cells = float32x4_t;

  GLULAM_INLINE void keep(float32x4_t& cells) { __asm__("" : "+w"(cells)); }
  GLULAM_INLINE float32x4_t zero() { return vdupq_n_f32(0); }
  GLULAM_INLINE float32x4_t load(const float* at) { return vld1q_f32(at); }
  GLULAM_INLINE float32x4_t broadcast(const float* at) { return vld1q_dup_f32(at); }
  GLULAM_INLINE float32x4_t multiplyAdd(float32x4_t sums, float32x4_t a, float32x4_t b) { return vfmaq_f32(sums, a, b); }
  GLULAM_INLINE void put(float* at, float32x4_t cells, size_t n) { std::memcpy(at, &cells, std::min(n, lanes) * 4); }
  GLULAM_INLINE void transpose(float32x4_t (&block)[4]) { transposeBlock(block); }

  template <DType T>
  GLULAM_INLINE float32x4_t widen(const char* at) {
    return glulam::widen<T>(at);
  }
  template <DType T>
  GLULAM_INLINE float32x4_t widenPart(const char* at, size_t n) {
    return glulam::widenPart<T>(at, n);
  }
  GLULAM_INLINE float32x4_t toBfloat16(float32x4_t value) { return vreinterpretq_f32_u32(roundBits(value)); }
};

}  // namespace

const GemmKernels& neonKernels(bool bfloat16) {
  static const GemmKernels exact = makeKernels<Neon<false>>(), rounded = makeKernels<Neon<true>>();
  return bfloat16 ? rounded : exact;
}

}  // namespace glulam
#endif
