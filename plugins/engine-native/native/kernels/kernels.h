// Every kernel but the matrix products (gemm.h). Arithmetic is float32; tensors are contiguous and row-major unless
// strides are given. Kernels divide their work over the pool in pieces whose results depend on the piece alone, so that
// results do not depend on scheduling, nor on the number of threads.
#pragma once
#include <cstddef>
#include <cstdint>

#include "threads/pool.h"
#include "types.h"

namespace glulam {

// JavaScript sends these as numbers: new ones come last.
enum class Unary : uint8_t { neg, exp, log, sqrt, rsqrt, sigmoid };
// max is NaN where one operand is; greaterEqual gives 1 or 0.
enum class Binary : uint8_t { add, sub, mul, div, max, greaterEqual };
enum class Reduction : uint8_t { sum, max };

constexpr int maxRank = 6;

// An N-dimensional walk, 1 <= rank <= maxRank; strides count elements and may be 0 (broadcasting).
struct Walk {
  int rank;
  size_t shape[maxRank];
};
struct Strides {
  size_t of[maxRank];
};

// Philox4x32-10: element i is word i % 4 of philox(counter = {i/4, (i/4) >> 32, stream0, stream1}, key = {seed0, seed1}).
struct RandomKey {
  uint32_t seed0, seed1, stream0, stream1;
};

// Row queryStart + i stands at position keyLength - queryLength + i among its segment's keys and sees those up to it.
// So queryLength = keyLength in training, and is less for a chunk of a prompt or, with 1, for the next token. No more
// than keyLength; no two segments have a query in common, nor, where gradients are taken, a key.
struct Segment {
  size_t queryStart, queryLength, keyStart, keyLength;
};

struct Attention {
  size_t heads, keyValueHeads, headSize;
  size_t window;  // how many last keys a query sees, its own included; 0: all
  float scale;
  float softCap;  // a score s becomes softCap * tanh(s / softCap); 0: it stays
  const Segment* segments;
  size_t segmentCount;
};

// A tensor's values of type f32 or bf16. rope and attention read `rowStride`, which counts elements; 0: rows lie one
// after another.
struct Values {
  const void* data;
  DType type;
  size_t rowStride = 0;
};
struct ValuesOut {
  void* data;
  DType type;
  size_t rowStride = 0;
};

struct AdamWTensor {
  float* parameter;
  const float* gradient;
  float* mean;
  float* variance;
  size_t size;
  float learningRate, weightDecay;
};
struct AdamWStep {
  double beta1, beta2, epsilon, gradientScale;
  int64_t step;  // 1 at the first
};

struct FloatSpan {
  const float* data;
  size_t size;
};

struct Kernels {
  // Between f32, bf16, f16 and i32. Rounds to nearest even, to i32 towards zero and to the nearest that it has; NaN
  // stays NaN, or is 0 as i32. `from` may lie at any byte address.
  void (*convert)(Pool&, void* to, DType toType, const void* from, DType fromType, size_t n);
  void (*fill)(Pool&, float* y, float value, size_t n);
  void (*unary)(Pool&, Unary, float* y, const float* x, size_t n);
  // y (contiguous, of the walk's shape) = a op b
  void (*binary)(Pool&, Binary, float* y, const float* a, const float* b, const Walk&, const Strides& aStrides,
                 const Strides& bStrides);
  // y = factor * x + offset
  void (*affine)(Pool&, float* y, const float* x, float factor, float offset, size_t n);
  // y += x
  void (*accumulate)(Pool&, float* y, const float* x, size_t n);
  // y = condition != 0 ? a : b
  void (*select)(Pool&, float* y, const float* condition, const float* a, const float* b, const Walk&,
                 const Strides& conditionStrides, const Strides& aStrides, const Strides& bStrides);
  // [outer, axis, inner] -> [outer, inner]; sums in double; the maximum of nothing is -infinity
  void (*reduce)(Pool&, Reduction, float* y, const float* x, size_t outer, size_t axis, size_t inner);
  // y [n, width] = rows of table [rows, width] (f32, bf16 or f16); throws std::runtime_error on an index outside of it
  void (*gatherRows)(Pool&, float* y, const void* table, DType tableType, size_t rows, size_t width,
                     const int32_t* indices, size_t n);
  // y [rows, width] += x [n, width] at indices, in the order of x; throws like gatherRows
  void (*scatterAddRows)(Pool&, float* y, size_t rows, size_t width, const float* x, const int32_t* indices, size_t n);
  // An N-dimensional region to another; elements of 2 or 4 bytes
  void (*stridedCopy)(Pool&, void* to, const void* from, size_t elementBytes, const Walk&, const Strides& toStrides,
                      const Strides& fromStrides);
  // y [rows] = index of the largest of x [rows, n], the first of equals; NaN is larger than any number
  void (*argmax)(Pool&, int32_t* y, const float* x, size_t rows, size_t n);
  // Uniform in [0, 1) with 24 bits
  void (*random)(Pool&, float* y, size_t n, const RandomKey&);
  // y = uniform(i) >= rate ? x * (1 / (1 - rate)) : 0, the uniforms of `random`
  void (*dropout)(Pool&, ValuesOut y, Values x, size_t n, float rate, const RandomKey&);

  // y = x * rstd * weight, rstd = 1 / sqrt(mean(x^2) + epsilon); x, y [rows, width], weight [width], rstd [rows]
  void (*rmsNorm)(Pool&, ValuesOut y, float* rstd, const float* x, const float* weight, size_t rows, size_t width,
                  float epsilon);
  // dx and dWeight from dy; both are overwritten, and either may be null
  void (*rmsNormBackward)(Pool&, float* dx, float* dWeight, const float* dy, const float* x, const float* weight,
                          const float* rstd, size_t rows, size_t width);
  // Rotate-half layout of the first 2 * pairs elements of each head; x, y [rows, heads * headSize], cos, sin [rows, pairs];
  // inverse turns back (backward)
  void (*rope)(Pool&, ValuesOut y, Values x, const float* cos, const float* sin, size_t rows, size_t heads,
               size_t headSize, size_t pairs, bool inverse);
  // q, out [queries, heads * headSize], k, v [keys, keyValueHeads * headSize], lse [queries, heads]: log of the sum of
  // exponentials. No matrix of scores is made (Dao et al. 2022). Rows of out and lse in no segment stay as they are.
  void (*attention)(Pool&, ValuesOut out, float* lse, Values q, Values k, Values v, const Attention&);
  // Overwrites the rows of dq, dk and dv (contiguous) that are in a segment and leaves the others as they are.
  void (*attentionBackward)(Pool&, float* dq, float* dk, float* dv, const float* dOut, Values out, const float* lse,
                            Values q, Values k, Values v, const Attention&);
  // y = gate * sigmoid(gate) * up
  void (*swiglu)(Pool&, ValuesOut y, Values gate, Values up, size_t n);
  void (*swigluBackward)(Pool&, float* dGate, float* dUp, const float* dy, Values gate, Values up, size_t n);
  // y = gelu(gate) * up, gelu by its approximation with tanh
  void (*gegluTanh)(Pool&, ValuesOut y, Values gate, Values up, size_t n);
  void (*gegluTanhBackward)(Pool&, float* dGate, float* dUp, const float* dy, Values gate, Values up, size_t n);
  // nll[i] = log(sum(exp(logits[i]))) - logits[i][target]; with `gradient` logits become its gradient.
  // A logit l counts as softCap * tanh(l / softCap), unless softCap is 0; logits are overwritten then in any case.
  // Throws std::runtime_error on a target outside of the vocabulary.
  void (*crossEntropy)(Pool&, float* nll, float* logits, const int32_t* targets, size_t rows, size_t vocabulary,
                       float softCap, bool gradient);
  // torch.optim.AdamW over all tensors
  void (*adamW)(Pool&, const AdamWTensor* tensors, size_t count, const AdamWStep&);
  double (*sumOfSquares)(Pool&, const FloatSpan* tensors, size_t count);
};

// The kernels compiled for an instruction set; the caller has checked supported(isa).
const Kernels& kernels(Isa isa);

}  // namespace glulam
