#if defined(__aarch64__)
#include <arm_neon.h>

#define GLULAM_TARGET
#include "gemm_loops.h"

namespace glulam {
namespace {

// To the nearest bfloat16, to even where two are as near; NaN stays one.
GLULAM_INLINE uint32x4_t roundBits(float32x4_t value) {
  const uint32x4_t bits = vreinterpretq_u32_f32(value), odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
  const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000)), number = vceqq_f32(value, value);
  return vandq_u32(vbslq_u32(number, rounded, quiet), vdupq_n_u32(0xffff0000));
}

// Baseline ARMv8: bfloat16 is widened in registers, two shifts for four elements.
template <bool Rounded>
struct Neon : FloatCells<Neon<Rounded>, Rounded> {
  using Cells = float32x4_t;
  using Sums = float32x4_t;
  static constexpr size_t lanes = 4;
  static constexpr size_t tileRows = 6, tileVectors = 4;  // 24 sums, 4 of `right` and one of `left`: 29 of 32 registers
  static constexpr size_t dotRows = 4, dotColumns = 4;

  GLULAM_INLINE void keep(float32x4_t& cells) { __asm__("" : "+w"(cells)); }
  GLULAM_INLINE float32x4_t zero() { return vdupq_n_f32(0); }
  GLULAM_INLINE float32x4_t zeroSums() { return vdupq_n_f32(0); }
  GLULAM_INLINE float32x4_t load(const float* at) { return vld1q_f32(at); }
  GLULAM_INLINE float32x4_t loadSums(const float* at, size_t n) {
    return widenPart<DType::f32>(reinterpret_cast<const char*>(at), n);
  }
  GLULAM_INLINE float32x4_t broadcast(const float* at) { return vld1q_dup_f32(at); }
  GLULAM_INLINE float32x4_t multiplyAdd(float32x4_t sums, float32x4_t a, float32x4_t b) { return vfmaq_f32(sums, a, b); }
  GLULAM_INLINE void put(float* at, float32x4_t cells, size_t n) {
    if (n >= lanes) {
      vst1q_f32(at, cells);
    } else {
      float whole[4];
      vst1q_f32(whole, cells);
      std::memcpy(at, whole, n * sizeof(float));
    }
  }

  template <DType T>
  GLULAM_INLINE float32x4_t widen(const char* at) {
    if constexpr (T == DType::f32) return vreinterpretq_f32_u8(vld1q_u8(reinterpret_cast<const uint8_t*>(at)));
    const uint8x8_t half = vld1_u8(reinterpret_cast<const uint8_t*>(at));
    if constexpr (T == DType::f16) return vcvt_f32_f16(vreinterpret_f16_u8(half));
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(half), 16));
  }

  template <DType T>
  GLULAM_INLINE float32x4_t widenPart(const char* at, size_t n) {
    if (n >= 4) return widen<T>(at);
    char whole[16] = {};
    std::memcpy(whole, at, n * bytesOf(T));
    return widen<T>(whole);
  }
  GLULAM_INLINE float32x4_t toBfloat16(float32x4_t value) { return vreinterpretq_f32_u32(roundBits(value)); }

  GLULAM_INLINE void transpose(float32x4_t (&r)[4]) {
    const float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(r[0], r[1])), b = vreinterpretq_f64_f32(vtrn2q_f32(r[0], r[1]));
    const float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(r[2], r[3])), d = vreinterpretq_f64_f32(vtrn2q_f32(r[2], r[3]));
    r[0] = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
    r[1] = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
    r[2] = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
    r[3] = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
  }
  template <int N>
  GLULAM_INLINE void totals(const float32x4_t (&sums)[N], float* out) {
#pragma GCC unroll 16
    for (int i = 0; i < N; i++) out[i] = vaddvq_f32(sums[i]);
  }

  template <DType T>
  GLULAM_INLINE void update(char* out, float32x4_t sums, size_t n, float alpha, float beta) {
    float32x4_t value = vmulq_n_f32(sums, alpha);
    if (beta != 0) value = vfmaq_n_f32(value, widenPart<T>(out, n), beta);
    if constexpr (T == DType::f32) {
      put(reinterpret_cast<float*>(out), value, n);
    } else {
      const uint16x4_t narrow = vshrn_n_u32(roundBits(value), 16);
      std::memcpy(out, &narrow, std::min(n, lanes) * 2);
    }
  }
};

}  // namespace

const GemmKernels& neonKernels(bool bf16Operands) {
  static const GemmKernels exact = makeKernels<Neon<false>>(), rounded = makeKernels<Neon<true>>();
  return bf16Operands ? rounded : exact;
}

}  // namespace glulam
#endif
