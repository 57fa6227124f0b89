// Rows of encoded weights as float32, compiled for every instruction set: the compiler vectorizes these loops. Included
// by gemm_loops.h, which says what GLULAM_TARGET is.
#pragma once
#include <algorithm>

#include "formats/formats.h"
#include "gemm/gemm_convert.h"

namespace glulam {
namespace {

template <size_t Bytes, class Widen>
GLULAM_TARGET inline void decodePlain(const uint8_t* at, size_t count, float* out, const Widen&) {
  for (size_t i = 0; i < count; i++) out[i] = Widen::of(at + i * Bytes);
}
struct WidenFloat32 {
  GLULAM_INLINE float of(const uint8_t* at) {
    float value;
    std::memcpy(&value, at, 4);
    return value;
  }
};
struct WidenBfloat16 {
  GLULAM_INLINE float of(const uint8_t* at) {
    uint16_t bits;
    std::memcpy(&bits, at, 2);
    return widenBfloat16(bits);
  }
};
struct WidenFloat16 {
  GLULAM_INLINE float of(const uint8_t* at) {
    uint16_t bits;
    std::memcpy(&bits, at, 2);
    return widenFloat16(bits);
  }
};

// Elements [from, to) of one block, to `out`.
struct DecodeQ8 {
  static constexpr size_t elements = 32;
  GLULAM_INLINE void block(const Encoded& weight, size_t block, size_t from, size_t to, float* out) {
    const uint8_t* at = weight.parts[0] + block * 34;
    uint16_t half;
    std::memcpy(&half, at, 2);
    const float d = widenFloat16(half);
    const auto q = reinterpret_cast<const int8_t*>(at + 2);
    for (size_t i = from; i < to; i++) out[i - from] = d * float(q[i]);
  }
};

template <Format F>
struct DecodeNf4 {
  static constexpr size_t elements = 64;
  GLULAM_INLINE void block(const Encoded& weight, size_t block, size_t from, size_t to, float* out) {
    const uint8_t* packed = weight.parts[0] + block * 32;
    float scale;
    std::memcpy(&scale, weight.parts[1] + block * 4, 4);
    float table[16];
    for (size_t i = 0; i < 16; i++) {
      const float value = nf4Values[i] * scale;
      if constexpr (F == Format::nf4Bf16) {
        table[i] = widenBfloat16(roundToBfloat16(value));
      } else if constexpr (F == Format::nf4F16) {
        table[i] = widenFloat16(roundToFloat16(value));
      } else {
        table[i] = value;
      }
    }
    for (size_t i = from; i < to; i++) out[i - from] = table[i % 2 == 0 ? packed[i / 2] >> 4 : packed[i / 2] & 15];
  }
};

template <class Block>
GLULAM_TARGET inline void decodeBlocks(const Encoded& weight, size_t begin, size_t end, float* out) {
  for (size_t at = begin; at < end;) {
    const size_t block = at / Block::elements, from = at % Block::elements;
    const size_t to = std::min(Block::elements, from + end - at);
    Block::block(weight, block, from, to, out);
    out += to - from;
    at += to - from;
  }
}

// Elements [begin, end) of a row.
GLULAM_TARGET void decodeRow(const Encoded& weight, size_t row, size_t begin, size_t end, float* out) {
  const size_t from = weight.begin(row) + begin, to = weight.begin(row) + end;
  switch (weight.format) {
    case Format::f32: return decodePlain<4>(weight.parts[0] + from * 4, to - from, out, WidenFloat32());
    case Format::bf16: return decodePlain<2>(weight.parts[0] + from * 2, to - from, out, WidenBfloat16());
    case Format::f16: return decodePlain<2>(weight.parts[0] + from * 2, to - from, out, WidenFloat16());
    case Format::q8_0: return decodeBlocks<DecodeQ8>(weight, from, to, out);
    case Format::nf4F32: return decodeBlocks<DecodeNf4<Format::nf4F32>>(weight, from, to, out);
    case Format::nf4Bf16: return decodeBlocks<DecodeNf4<Format::nf4Bf16>>(weight, from, to, out);
    case Format::nf4F16: return decodeBlocks<DecodeNf4<Format::nf4F16>>(weight, from, to, out);
  }
}

}  // namespace
}  // namespace glulam
