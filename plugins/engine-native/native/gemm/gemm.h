// Products of matrices in the formats that checkpoints have.
#pragma once
#include "threads/pool.h"
#include "types.h"

namespace glulam {

// Row-major, of type f32 or bf16.
struct MatrixOut {
  void* data;
  DType type;
  size_t rows, cols;
  size_t rowStride;
};

// What becomes of the sums S of a product before they are rounded, in float32: C = scale * (S + u b) + bias.
struct Finish {
  const float* u = nullptr;  // [M, rank], row-major
  const float* b = nullptr;  // [rank, N], row-major, or with `turned` [N, rank]
  size_t rank = 0;
  bool turned = false;
  float factor = 1;              // multiplies u b
  const float* scale = nullptr;  // [N]; none: 1
  const float* bias = nullptr;   // [N]; none: 0
  const MatrixOut* unscaled = nullptr;  // S + u b goes here too
};

// C[M,N] = alpha * A[M,K] B[K,N] + beta * C. A and B are f32, bf16 or f16, each with one stride of 1, at any byte
// address. With `bfloat16` both are rounded to bfloat16 (to nearest even), else both are widened to float32; sums are float32
// either way, over all of K, and a bfloat16 C is rounded once. With beta = 0, C is not read.
//
// An element's sum runs in an order that the shapes, types and `isa` fix: not the pool's threads, nor who ran what. So
// runs repeat bit for bit. To multiply inside a job of a pool, give a Pool(1): that starts no threads.
// Throws std::invalid_argument for shapes that do not fit, a type other than these, or an `isa` not supported here.
void gemm(Pool& pool, Isa isa, const Matrix& a, const Matrix& b, const MatrixOut& c, float alpha, float beta,
          bool bfloat16);

// The same with alpha = 1, beta = 0 and a finish, which saves passes over C: it is done while sums are in the cache.
void gemm(Pool& pool, Isa isa, const Matrix& a, const Matrix& b, const MatrixOut& c, const Finish& finish,
          bool bfloat16);

// `count` elements of an encoded weight as float32, row by row, from element `first` on.
void decodeElements(Pool& pool, Isa isa, const Encoded& weight, size_t first, size_t count, float* out);

Isa bestIsa();  // the first of allIsas that this machine has
bool supported(Isa isa);
const char* isaName(Isa isa);  // "avx512-bf16", say

// Classes of products, for each of which one instruction set may be faster than another.
constexpr size_t slimRows = 40;  // up to this many rows, the other operand is streamed from where it lies
enum class Rows : uint8_t { one, few, many };  // 1, up to slimRows, more
constexpr size_t rowClasses = 3;
// A weight's rows run along k in a forward pass, and across it where its input's gradient is taken.
enum class Pass : uint8_t { forward, inputGradient };
constexpr size_t passes = 2;

// The instruction set of each kind of work.
struct Choice {
  Isa others = Isa::plain;  // what is no product here: kernels.h
  Isa products[2][passes][rowClasses] = {};  // of float32 operands, of bfloat16 ones

  Isa of(const Matrix& a, const Matrix& b, bool bfloat16) const;
};

}  // namespace glulam
