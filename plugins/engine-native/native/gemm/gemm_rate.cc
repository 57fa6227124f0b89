#include "gemm/gemm_rate.h"

#include <algorithm>
#include <chrono>

#include "gemm/gemm_convert.h"
#include "gemm/gemm_scratch.h"

namespace glulam {
namespace {

struct Shape {
  size_t rows, outputs, inputs;
};

// One row reads its weight, of 32 MB, from memory, as decoding does. The others are bound by arithmetic.
Shape shapeOf(Rows rows, bool bfloat16) {
  switch (rows) {
    case Rows::one: return {1, bfloat16 ? size_t(4096) : size_t(2048), 4096};
    case Rows::few: return {8, 1024, 2048};
    default: return {128, 1024, 1024};
  }
}

// Small numbers, none of them zero or subnormal: some units take longer for these, or less.
class Numbers {
 public:
  explicit Numbers(DType type) : type_(type) {}

  const void* first(size_t elements) {
    if (elements <= filled_) return data_;
    data_ = static_cast<char*>(scratch_.reserve(elements * bytesOf(type_)));
    for (size_t i = 0; i < elements; i++) writeElement(data_ + i * bytesOf(type_), type_, i % 2 ? -0.5f : 0.25f);
    filled_ = elements;
    return data_;
  }

 private:
  const DType type_;
  Scratch scratch_;
  char* data_ = nullptr;
  size_t filled_ = 0;
};

}  // namespace

double productRate(Isa isa, Pass pass, Rows rows, bool bfloat16) {
  thread_local Numbers halves(DType::bf16), floats(DType::f32);
  thread_local Scratch out;
  thread_local Pool pool(1);
  const Shape shape = shapeOf(rows, bfloat16);
  const DType type = bfloat16 ? DType::bf16 : DType::f32;
  const bool forward = pass == Pass::forward;
  const size_t k = forward ? shape.inputs : shape.outputs, n = forward ? shape.outputs : shape.inputs;
  const void* numbers = (bfloat16 ? halves : floats).first(std::max(shape.rows, n) * k);
  const Matrix a{numbers, type, shape.rows, k, k, 1};
  const Matrix b{numbers, type, k, n, forward ? 1 : n, forward ? k : 1};
  const MatrixOut c{out.reserve(shape.rows * n * 4), DType::f32, shape.rows, n, n};
  const auto begin = std::chrono::steady_clock::now();
  gemm(pool, isa, a, b, c, 1, 0, bfloat16);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return 2e-9 * double(shape.rows * n * k) / seconds;
}

}  // namespace glulam
