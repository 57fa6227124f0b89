// Single elements: what the vector code does for whole registers. Addresses may be unaligned.
#pragma once
#include <cstdint>
#include <cstring>

#include "types.h"

namespace glulam {

inline float floatFromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

inline uint32_t bitsOfFloat(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

inline float widenBfloat16(uint16_t bits) { return floatFromBits(uint32_t(bits) << 16); }

// To nearest, ties to even; a NaN stays one (rounding its bits could carry into infinity).
inline uint16_t roundToBfloat16(float value) {
  const uint32_t bits = bitsOfFloat(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return uint16_t((bits >> 16) | 0x40);
  return uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

inline float widenFloat16(uint16_t half) {
  const uint32_t sign = uint32_t(half & 0x8000) << 16, exponent = (half >> 10) & 31, fraction = half & 1023;
  if (exponent == 31) return floatFromBits(sign | 0x7f800000 | (fraction << 13));
  if (exponent != 0) return floatFromBits(sign | ((exponent + 112) << 23) | (fraction << 13));
  const float tiny = float(fraction) * 0x1p-24f;  // zero or subnormal
  return sign ? -tiny : tiny;
}

// To nearest, ties to even; what is too large becomes infinity.
inline uint16_t roundToFloat16(float value) {
  const uint32_t bits = bitsOfFloat(value), sign = (bits >> 16) & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return uint16_t(sign | 0x7e00);
  if (magnitude >= 0x47800000) return uint16_t(sign | 0x7c00);
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 shifts the fraction to where float32's own rounding does the work.
    return uint16_t(sign | (bitsOfFloat(floatFromBits(magnitude) + 0.5f) - 0x3f000000));
  }
  return uint16_t(sign | ((magnitude + 0xfff + ((magnitude >> 13) & 1) - 0x38000000) >> 13));
}

inline float readElement(const char* at, DType type) {
  if (type == DType::f32) {
    float value;
    std::memcpy(&value, at, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, at, 2);
  return type == DType::bf16 ? widenBfloat16(bits) : widenFloat16(bits);
}

inline void writeElement(char* at, DType type, float value) {
  if (type == DType::f32) {
    std::memcpy(at, &value, 4);
  } else {
    const uint16_t bits = roundToBfloat16(value);
    std::memcpy(at, &bits, 2);
  }
}

}  // namespace glulam
