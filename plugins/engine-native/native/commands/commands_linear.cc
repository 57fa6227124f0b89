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

void product(const Call& call) {
  const ProductArguments given(call);
  const size_t batch = given.batch, m = given.m, n = given.n, k = given.k;
  const Tensor a = call.weight(given.a, batch * m * k), b = call.weight(given.b, batch * k * n);
  if (given.offset + batch * m * n > given.elements) throw std::logic_error("the result reaches beyond its tensor");
  const Tensor& c = given.exists ? call.own(given.c, given.elements) : call.make(given.c, given.type, given.elements);
  for (size_t i = 0; i < batch; i++) {
    const Matrix left = matrixOf(a, i, m, k, given.transposeA), right = matrixOf(b, i, k, n, given.transposeB);
    const MatrixOut out{c.as<char>() + (given.offset + i * m * n) * bytesOf(c.type), c.type, m, n, n};
    multiply(call, left, right, out, float(given.alpha), float(given.beta), given.bfloat16);
  }
}

void adaptedLinear(const Call& call) {
  const AdaptedLinearArguments given(call);
  const size_t m = given.m, n = given.n, k = given.k, rank = given.rank;
  const Tensor x = call.in(given.x, m * k), w = call.weight(given.w, k * n);
  if (call.has(given.a)) {
    const Tensor v = call.in(given.v, m * k), a = call.in(given.a, rank * k);
    const Tensor u = call.make(given.u, DType::f32, m * rank);
    multiply(call, {v.data, v.type, m, k, k, 1}, {a.data, a.type, k, rank, 1, k}, {u.data, u.type, m, rank, rank}, 1, 0,
             false);
  }
  Finish finish;
  if (call.has(given.u)) {
    finish.u = call.floats(given.u, m * rank);
    finish.b = call.floats(given.b, rank * n);
    finish.rank = rank;
    finish.turned = given.forward;
    finish.factor = float(given.factor);
  }
  finish.scale = call.optional(given.outScale, n);
  finish.bias = call.optional(given.bias, n);
  const Tensor y = call.make(given.y, given.type, m * n);
  MatrixOut unscaled{};
  if (call.has(given.z)) {
    const Tensor z = call.make(given.z, given.typeOfZ, m * n);
    unscaled = {z.data, z.type, m, n, n};
    finish.unscaled = &unscaled;
  }
  const Matrix left{x.data, x.type, m, k, k, 1}, right = matrixOf(w, 0, k, n, given.forward);
  gemm(call.pool, call.choice.of(left, right, given.bfloat16), left, right, {y.data, y.type, m, n, n}, finish,
       given.bfloat16);
}

void scaleColumns(const Call& call) {
  const ScaleColumnsArguments given(call);
  const size_t rows = given.rows, columns = given.columns;
  const Tensor x = call.in(given.x, rows * columns);
  const float *scale = call.optional(given.scale, columns), *bias = call.optional(given.bias, columns);
  const Tensor& y = call.make(given.y, given.type, rows * columns);
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

void scaleRows(const Call& call) {
  const ScaleRowsArguments given(call);
  const size_t rows = given.rows, columns = given.columns;
  const float *x = call.floats(given.x, rows * columns), *factors = call.floats(given.factors, rows);
  float* y = call.make(given.y, DType::f32, rows * columns).as<float>();
  eachRows(call.pool, rows, columns, [&](size_t begin, size_t end) {
    for (size_t row = begin; row < end; row++) {
      for (size_t j = 0; j < columns; j++) y[row * columns + j] = x[row * columns + j] * factors[row];
    }
  });
}

// In double and row by row.
void columnSums(const Call& call) {
  constexpr size_t block = 128;
  const ColumnSumsArguments given(call);
  const size_t rows = given.rows, columns = given.columns;
  const float* x = call.floats(given.x, rows * columns);
  float* sums = call.make(given.sums, DType::f32, columns).as<float>();
  const auto sum = [&](auto value) {
    call.pool.forEach(columns, block, [&](size_t begin, size_t end) {
      double totals[block] = {};
      for (size_t row = 0; row < rows; row++) {
        for (size_t j = begin; j < end; j++) totals[j - begin] += double(value(row * columns + j));
      }
      for (size_t j = begin; j < end; j++) sums[j] = float(totals[j - begin]);
    });
  };
  if (!call.has(given.y)) return sum([&](size_t i) { return x[i]; });
  reading(call.in(given.y, rows * columns), [&](auto y) { sum([&](size_t i) { return x[i] * y[i]; }); });
}

void accumulate(const Call& call) {
  const AccumulateArguments given(call);
  float* target = call.own(given.target, given.elements, DType::f32).as<float>();
  const float* x = call.floats(given.x, given.elements);
  call.kernels.accumulate(call.pool, target, x, given.elements);
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
