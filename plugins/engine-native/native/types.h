// Words that every kernel shares.
#pragma once
#include <cstddef>
#include <cstdint>

namespace glulam {

enum class DType : uint8_t { f32 = 0, bf16 = 1, f16 = 2, i32 = 3 };

inline size_t bytesOf(DType type) { return type == DType::f32 || type == DType::i32 ? 4 : 2; }

// The instruction sets that kernels are compiled for; `plain` is portable C++. avx512: F, BW, DQ and VL; neon: baseline
// ARMv8. Those with a bfloat16 unit multiply bfloat16 operands by it: avx512bf16 by vdpbf16ps, bfdot and bfmmla by the
// instructions of these names (FEAT_BF16). The others widen such operands in registers and multiply in float32.
enum class Isa : uint8_t { plain, avx2, avx512, avx512bf16, neon, bfdot, bfmmla };

// Widest first. A unit for bfloat16 comes after the set that it extends: it takes subnormals for zero.
constexpr Isa allIsas[] = {Isa::avx512, Isa::avx512bf16, Isa::avx2, Isa::neon, Isa::bfmmla, Isa::bfdot, Isa::plain};

struct Encoded;

// A strided matrix; strides count elements, one of them is 1. Data may lie in a mapped file, at any byte address.
struct Matrix {
  const void* data;
  DType type;
  size_t rows, cols;
  size_t rowStride, colStride;
  // A weight that is decoded as it is read (formats.h), to float32; then there is no `data`, and `type` is f32.
  const Encoded* encoded = nullptr;
  // Whether its rows are the columns of this matrix.
  bool turned = false;
};

}  // namespace glulam
