// Products, and what goes along the rows and columns around them.
#include <algorithm>
#include <stdexcept>

#include "commands/command_groups.h"
#include "gemm/gemm.h"
#include "gemm/gemm_convert.h"

namespace glulam {
namespace {

constexpr size_t pieceElements = size_t(1) << 15;  // of work that is bound by memory: about an L2 cache's half

struct Floats {
  const float* data;
  float operator[](size_t i) const { return data[i]; }
};
struct Bfloats {
  const uint16_t* data;
  float operator[](size_t i) const { return widenBfloat16(data[i]); }
};

// Calls body with a view that reads x's elements as float.
template <class Body>
void reading(const Tensor& x, const Body& body) {
  if (x.type == DType::f32) {
    body(Floats{x.as<float>()});
  } else if (x.type == DType::bf16) {
    body(Bfloats{x.as<uint16_t>()});
  } else {
    throw std::invalid_argument("an operand is neither float32 nor bfloat16");
  }
}

void eachRows(Pool& pool, size_t rows, size_t columns, const std::function<void(size_t, size_t)>& body) {
  pool.forEach(rows, std::max<size_t>(1, pieceElements / std::max<size_t>(1, columns)), body);
}

void multiply(const Call& call, const Matrix& a, const Matrix& b, const MatrixOut& c, float alpha, float beta,
              bool bfloat16) {
  gemm(call.pool, call.choice.of(a, b, bfloat16), a, b, c, alpha, beta, bfloat16);
}

// Row-major [rows, columns], or with `turned` its transpose; the i-th of several that follow each other.
Matrix matrixOf(const Tensor& x, size_t i, size_t rows, size_t columns, bool turned) {
  if (x.encoded) {
    const size_t storedRows = turned ? columns : rows, storedColumns = turned ? rows : columns;
    if (i > 0 || x.encoded->rows != storedRows || x.encoded->columns != storedColumns) {
      throw std::logic_error("an encoded weight of " + std::to_string(x.encoded->rows) + " x " +
                             std::to_string(x.encoded->columns) + " was asked for as " + std::to_string(storedRows) +
                             " x " + std::to_string(storedColumns));
    }
  }
  const char* data = x.encoded ? nullptr : x.as<char>() + i * rows * columns * bytesOf(x.type);
  return {data, x.type, rows, columns, turned ? 1 : columns, turned ? rows : 1, x.encoded.get(), turned};
}

// [c, a, b] [batch, m, n, k, transposeA, transposeB, alpha, beta, bf16, type, exists, offset, elements]
void product(const Call& call) {
  const size_t batch = call.size(0), m = call.size(1), n = call.size(2), k = call.size(3);
  const Tensor a = call.weight(1, batch * m * k), b = call.weight(2, batch * k * n);
  const size_t offset = call.size(11), elements = call.size(12);
  if (offset + batch * m * n > elements) throw std::logic_error("the result reaches beyond its tensor");
  const Tensor& c = call.flag(10) ? call.own(0, elements) : call.make(0, call.type(9), elements);
  const bool turnA = call.flag(4), turnB = call.flag(5);
  for (size_t i = 0; i < batch; i++) {
    const Matrix left = matrixOf(a, i, m, k, turnA), right = matrixOf(b, i, k, n, turnB);
    const MatrixOut out{c.as<char>() + (offset + i * m * n) * bytesOf(c.type), c.type, m, n, n};
    multiply(call, left, right, out, float(call.number(6)), float(call.number(7)), call.flag(8));
  }
}

// [y, z?, x, w, u?, b?, scale?, bias?, v?, a?] [m, n, k, forward, rank, factor, bf16, type, type of z]: with w [n, k] and
// b [n, rank] where `forward`, else w [k, n] and b [rank, n], z = x w + factor u b and y = z * scale + bias; with v [m, k] and
// a [rank, k], u = v a is made first
void adaptedLinear(const Call& call) {
  const size_t m = call.size(0), n = call.size(1), k = call.size(2), rank = call.size(4);
  const bool forward = call.flag(3);
  const Tensor x = call.in(2, m * k), w = call.weight(3, k * n);
  if (call.has(9)) {
    const Tensor v = call.in(8, m * k), a = call.in(9, rank * k);
    const Tensor u = call.make(4, DType::f32, m * rank);
    multiply(call, {v.data, v.type, m, k, k, 1}, {a.data, a.type, k, rank, 1, k}, {u.data, u.type, m, rank, rank}, 1, 0,
             false);
  }
  Finish finish;
  if (call.has(4)) {
    finish.u = call.floats(4, m * rank);
    finish.b = call.floats(5, rank * n);
    finish.rank = rank;
    finish.turned = forward;
    finish.factor = float(call.number(5));
  }
  finish.scale = call.optional(6, n);
  finish.bias = call.optional(7, n);
  const Tensor y = call.make(0, call.type(7), m * n);
  MatrixOut unscaled{};
  if (call.has(1)) {
    const Tensor z = call.make(1, call.type(8), m * n);
    unscaled = {z.data, z.type, m, n, n};
    finish.unscaled = &unscaled;
  }
  const Matrix left{x.data, x.type, m, k, k, 1}, right = matrixOf(w, 0, k, n, forward);
  const bool bfloat16 = call.flag(6);
  gemm(call.pool, call.choice.of(left, right, bfloat16), left, right, {y.data, y.type, m, n, n}, finish, bfloat16);
}

// [y, x, scale?, bias?] [rows, columns, type]: y = x * scale + bias
void scaleColumns(const Call& call) {
  const size_t rows = call.size(0), columns = call.size(1);
  const Tensor x = call.in(1, rows * columns);
  const float *scale = call.optional(2, columns), *bias = call.optional(3, columns);
  const Tensor& y = call.make(0, call.type(2), rows * columns);
  reading(x, [&](auto from) {
    eachRows(call.pool, rows, columns, [&](size_t begin, size_t end) {
      for (size_t row = begin; row < end; row++) {
        const size_t at = row * columns;
        const auto value = [&](size_t j) {
          const float scaled = scale ? from[at + j] * scale[j] : from[at + j];
          return bias ? scaled + bias[j] : scaled;
        };
        if (y.type == DType::f32) {
          for (size_t j = 0; j < columns; j++) y.as<float>()[at + j] = value(j);
        } else {
          for (size_t j = 0; j < columns; j++) y.as<uint16_t>()[at + j] = roundToBfloat16(value(j));
        }
      }
    });
  });
}

// [y, x, factors] [rows, columns]: each row of x times its factor
void scaleRows(const Call& call) {
  const size_t rows = call.size(0), columns = call.size(1);
  const float *x = call.floats(1, rows * columns), *factors = call.floats(2, rows);
  float* y = call.make(0, DType::f32, rows * columns).as<float>();
  eachRows(call.pool, rows, columns, [&](size_t begin, size_t end) {
    for (size_t row = begin; row < end; row++) {
      for (size_t j = 0; j < columns; j++) y[row * columns + j] = x[row * columns + j] * factors[row];
    }
  });
}

// [sums, x, y?] [rows, columns]: of x, or of x * y, down each column, in double and row by row
void columnSums(const Call& call) {
  constexpr size_t block = 128;
  const size_t rows = call.size(0), columns = call.size(1);
  const float* x = call.floats(1, rows * columns);
  float* sums = call.make(0, DType::f32, columns).as<float>();
  const auto sum = [&](auto value) {
    call.pool.forEach(columns, block, [&](size_t begin, size_t end) {
      double totals[block] = {};
      for (size_t row = 0; row < rows; row++) {
        for (size_t j = begin; j < end; j++) totals[j - begin] += double(value(row * columns + j));
      }
      for (size_t j = begin; j < end; j++) sums[j] = float(totals[j - begin]);
    });
  };
  if (!call.has(2)) return sum([&](size_t i) { return x[i]; });
  reading(call.in(2, rows * columns), [&](auto y) { sum([&](size_t i) { return x[i] * y[i]; }); });
}

// [target, x] [elements]: target += x
void accumulate(const Call& call) {
  const size_t elements = call.size(0);
  float* target = call.own(0, elements, DType::f32).as<float>();
  const float* x = call.floats(1, elements);
  call.kernels.accumulate(call.pool, target, x, elements);
}

}  // namespace

std::vector<Operation> linearOperations() {
  // A product is told by whose it is.
  return {
      {"matmul", product},           {"frozenLinear", product}, {"tokenLosses", product}, {"adaptedLinear", adaptedLinear},
      {"scaleColumns", scaleColumns}, {"scaleRows", scaleRows}, {"columnSums", columnSums}, {"accumulate", accumulate},
  };
}

}  // namespace glulam
