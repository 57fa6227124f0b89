// Registers of NEON. A gemm_neon*.cc includes it after gemm_loops.h; all of it is compiled for that file's GLULAM_TARGET.
#pragma once

namespace glulam {
namespace {

// To the nearest bfloat16, to even where two are as near; NaN stays one.
GLULAM_INLINE uint32x4_t roundBits(float32x4_t value) {
  const uint32x4_t bits = vreinterpretq_u32_f32(value), odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
  const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000)), number = vceqq_f32(value, value);
  return vandq_u32(vbslq_u32(number, rounded, quiet), vdupq_n_u32(0xffff0000));
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

// Rows and columns of a block of 4 x 4 cells change places.
GLULAM_INLINE void transposeBlock(float32x4_t (&r)[4]) {
  const float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(r[0], r[1])), b = vreinterpretq_f64_f32(vtrn2q_f32(r[0], r[1]));
  const float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(r[2], r[3])), d = vreinterpretq_f64_f32(vtrn2q_f32(r[2], r[3]));
  r[0] = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
  r[1] = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
  r[2] = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
  r[3] = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
}

struct NeonSums {
  using Sums = float32x4_t;
  static constexpr size_t lanes = 4;
  static constexpr size_t tileRows = 6, tileVectors = 4;  // 24 sums, 4 of `right` and one of `left`: 29 of 32 registers
  static constexpr size_t dotRows = 4, dotColumns = 4;

  GLULAM_INLINE float32x4_t zeroSums() { return vdupq_n_f32(0); }
  GLULAM_INLINE float32x4_t loadSums(const float* at, size_t n) {
    return widenPart<DType::f32>(reinterpret_cast<const char*>(at), n);
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
      std::memcpy(out, &value, std::min(n, lanes) * 4);
    } else {
      const uint16x4_t narrow = vshrn_n_u32(roundBits(value), 16);
      std::memcpy(out, &narrow, std::min(n, lanes) * 2);
    }
  }
};

}  // namespace
}  // namespace glulam
