// What an instruction set brings to a product, and the two ways to compute one. Internal to gemm*.cc.
#pragma once
#include "formats/formats.h"
#include "gemm/gemm.h"

namespace glulam {

// Part of an operand: vectors along k, side by side. Strides count elements, one of them is 1.
struct Strip {
  const char* data;
  DType type;
  size_t across, along;  // strides from vector to vector, and along k
  // Of an encoded operand, which has no `data`: where this part begins, and whether vectors are the weight's rows.
  const Encoded* encoded = nullptr;
  bool rows = false;
  size_t vector = 0, k = 0;
};

// Operands are packed as cells of 4 bytes: one float32, or two bfloat16 that are neighbours along k (`step`).
struct GemmKernels {
  size_t step;
  size_t lanes;        // cells in a register
  size_t tileRows;     // the tile of C that is summed in registers: rows
  size_t tileVectors;  // and columns, in registers
  size_t dotRows;      // rows of the slim operand that `dots` takes in one pass over the wide one

  // panels[i / stride][k / step][i % stride] of the `width` vectors i of `strip`, zero beyond them; a panel has room
  // for panelCells cells along k.
  void (*pack)(const Strip& strip, size_t width, size_t k, void* panels, size_t stride, size_t panelCells);

  // out[rows][columns] = alpha * left right + beta * out, `left` packed with stride `rows`, `right` with `vectors`
  // registers. rows <= tileRows, vectors <= tileVectors, columns <= vectors * lanes.
  void (*tile)(size_t rows, size_t vectors, const void* left, const void* right, size_t cells, float* out,
               size_t stride, size_t columns, float alpha, float beta);

  // rows[i][k], as float or bfloat16, i < count, zero from k to stride: the slim operand of `dots`.
  void (*copyRows)(const Strip& strip, size_t count, size_t k, void* rows, size_t stride);

  // sums[s * slimStep + w * wideStep] += slim[s] . wide[w], s < slimCount, w < wideCount. `wide` runs along k and is
  // read in place; `slim` comes from copyRows.
  void (*dots)(const void* slim, size_t slimStride, size_t slimCount, const Strip& wide, size_t wideCount, size_t k,
               float* sums, size_t slimStep, size_t wideStep);

  // out[i] = alpha * sums[i] + beta * out[i], `out` of `type`.
  void (*store)(const float* sums, size_t n, void* out, DType type, float alpha, float beta);

  // sums[i] += u[0] b[i] + u[1] b[stride + i] + ..., i < n.
  void (*addLowRank)(float* sums, size_t n, const float* u, size_t rank, const float* b, size_t stride);

  // sums[i] = sums[i] * scale[i] + bias[i]; either may be null.
  void (*scaleColumns)(float* sums, size_t n, const float* scale, const float* bias);

  // Elements [begin, end) of a row of an encoded weight.
  void (*decodeRow)(const Encoded& weight, size_t row, size_t begin, size_t end, float* out);
};

const GemmKernels& plainKernels(bool bfloat16);
#if defined(__x86_64__)
const GemmKernels& avx2Kernels(bool bfloat16);
const GemmKernels& avx512Kernels(bool bfloat16);
const GemmKernels& avx512Bfloat16Kernels();
#elif defined(__aarch64__)
const GemmKernels& neonKernels(bool bfloat16);
// Clang before 16 cannot compile single functions for a processor with FEAT_BF16.
#if !defined(__clang__) || __clang_major__ >= 16
#define GLULAM_ARM_BF16
const GemmKernels& bfdotKernels();
const GemmKernels& bfmmlaKernels();
#endif
#endif

// Where a product goes: C, or with `transposed` the transpose of C.
struct Target {
  MatrixOut c;
  bool transposed;
  float alpha, beta;
  const Finish* finish;  // or null; never with `transposed`

  char* at(size_t row, size_t column) const {
    return static_cast<char*>(c.data) + (row * c.rowStride + column) * bytesOf(c.type);
  }
};

// The part of a finish that some columns need, with b as rows: made once, then used for every row of sums.
class FinishColumns {
 public:
  // `room` holds rank * columns floats.
  FinishColumns(const Finish& finish, size_t n, size_t column, size_t columns, float* room);

  // Writes C's elements [row][column...] from their sums, which it changes; they may be these elements themselves.
  void store(const GemmKernels& kernels, const Target& target, size_t row, float* sums) const;

 private:
  const Finish& finish_;
  size_t column_, columns_;
  const float* b_;
};

inline Strip rowsOf(const Matrix& m) {
  return {static_cast<const char*>(m.data), m.type, m.rowStride, m.colStride, m.encoded, !m.turned};
}
inline Strip columnsOf(const Matrix& m) {
  return {static_cast<const char*>(m.data), m.type, m.colStride, m.rowStride, m.encoded, m.turned};
}
inline Strip from(const Strip& strip, size_t vector, size_t k) {
  Strip moved = strip;
  if (strip.encoded) {
    moved.vector += vector;
    moved.k += k;
    return moved;
  }
  moved.data += (vector * strip.across + k * strip.along) * bytesOf(strip.type);
  return moved;
}

// Of an encoded strip, the first `width` vectors and `k` elements along k, decoded into memory that the thread's next call
// overwrites.
Strip decodedCopy(const GemmKernels& kernels, const Strip& strip, size_t width, size_t k);

// The same in readable form: of any other strip the strip itself.
inline Strip decoded(const GemmKernels& kernels, const Strip& strip, size_t width, size_t k) {
  return strip.encoded ? decodedCopy(kernels, strip, width, k) : strip;
}

// left: M vectors, right: N vectors, all of K elements.
// Packs both operands: for products where each element is used often.
void multiplyTiles(Pool& pool, const GemmKernels& kernels, const Strip& left, size_t m, const Strip& right, size_t n,
                   size_t k, const Target& target);
// Streams `right` (along k) once from where it lies: for few rows of `left`.
void multiplyDots(Pool& pool, const GemmKernels& kernels, const Strip& left, size_t m, const Strip& right, size_t n,
                  size_t k, const Target& target);

}  // namespace glulam
