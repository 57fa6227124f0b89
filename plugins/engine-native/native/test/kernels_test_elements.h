// Conversions, elementwise operations, copies.
#pragma once
#include <algorithm>

#include "test/kernels_test_support.h"

namespace glulam {

inline const size_t oddSizes[] = {0, 1, 7, 16, 67, 1009, 16384, 40009};

// A walk and operands that repeat along some of its axes.
struct Broadcast {
  Walk walk{};
  std::vector<Strides> strides;
  std::vector<size_t> sizes;

  // `repeats[k]` has a bit for each axis along which operand k is repeated.
  Broadcast(const std::vector<size_t>& shape, const std::vector<unsigned>& repeats) {
    walk.rank = int(shape.size());
    std::copy(shape.begin(), shape.end(), walk.shape);
    for (const unsigned mask : repeats) {
      Strides operand{};
      size_t step = 1;
      for (int axis = walk.rank - 1; axis >= 0; axis--) {
        const bool repeated = mask >> axis & 1;
        operand.of[axis] = repeated ? 0 : step;
        if (!repeated) step *= shape[axis];
      }
      strides.push_back(operand);
      sizes.push_back(step);
    }
  }

  size_t size() const {
    size_t n = 1;
    for (int axis = 0; axis < walk.rank; axis++) n *= walk.shape[axis];
    return n;
  }

  static size_t offset(const Walk& walk, const Strides& strides, size_t i) {
    size_t at = 0;
    for (int axis = walk.rank - 1; axis >= 0; axis--) {
      at += i % walk.shape[axis] * strides.of[axis];
      i /= walk.shape[axis];
    }
    return at;
  }
};

inline std::vector<Broadcast> broadcasts(size_t operands) {
  std::vector<Broadcast> all;
  const unsigned no = 0, rows = 1, columns = 2;
  for (const auto& masks : {std::vector<unsigned>{no, no, no}, {no, rows, columns}, {columns, no, rows}, {3, no, 3},
      {rows, columns, no}, {3, 3, 3}}) {
    const std::vector<unsigned> some(masks.begin(), masks.begin() + long(operands));
    all.emplace_back(std::vector<size_t>{37, 1009}, some);
    all.emplace_back(std::vector<size_t>{1, 20011}, some);
    all.emplace_back(std::vector<size_t>{9001, 3}, some);
  }
  Random random(5);
  for (int i = 0; i < 40; i++) {
    std::vector<size_t> shape(1 + random.below(maxRank));
    for (size_t& length : shape) length = random.below(30) == 0 ? 0 : 1 + random.below(5);
    std::vector<unsigned> masks;
    for (size_t k = 0; k < operands; k++) masks.push_back(unsigned(random.next() & random.next() & 63));
    all.emplace_back(shape, masks);
  }
  return all;
}

inline std::vector<float> specials() {
  const float inf = INFINITY, least = std::numeric_limits<float>::denorm_min();
  return {0.0f, -0.0f, 1, -1, inf, -inf, NAN, least, -least, 3e-8f, 6e-8f, 6.2e-5f, 65504, 65519.996f, 65520, -65536,
          1e30f, 3.4e38f, 3.3961e38f, 1.17549435e-38f, 2147483520.0f, 2147483648.0f, -2147483648.0f, -2147483904.0f,
          0.5f, -1.9f, 16777216.0f};
}

inline void testConvert(const Bench& bench) {
  const Kernels& k = bench.kernels;
  std::vector<float> x = specials();
  Random random(1);
  for (size_t i = 0; i < 30000; i++) {  // any bits, then halves of units in the last place of f16
    const uint32_t bits = i % 2 ? uint32_t(random.next()) : (uint32_t(random.next()) & 0x0fffffff) + 0x32000000;
    const uint32_t tied = i % 3 ? bits : bits & 0xfffff000;
    float value;
    std::memcpy(&value, &tied, 4);
    x.push_back(value);
  }
  for (const DType type : {DType::f32, DType::bf16, DType::f16, DType::i32}) {
    std::vector<double> wanted;
    for (const float value : x) {
      const double whole = std::isnan(value) ? 0 : std::clamp(std::trunc(double(value)), -0x1p31, 0x1p31 - 1);
      wanted.push_back(type == DType::bf16  ? asBf16(value)
                       : type == DType::f16 ? asF16(value)
                       : type == DType::i32 ? whole
                                            : value);
    }
    auto out = bench.run("convert", {x.size() * bytesOf(type)}, [&](Pool& pool, auto& outputs) {
      k.convert(pool, outputs[0].data(), type, x.data(), DType::f32, x.size());
    });
    bench.close("convert from float32 to type " + std::to_string(int(type)), out[0].values(type), wanted, 0, 0);
  }
  for (const DType type : {DType::bf16, DType::f16}) {  // every number there is, at an odd address
    std::vector<char> bytes(1 + 2 * 65536);
    std::vector<double> wanted;
    for (uint32_t bits = 0; bits < 65536; bits++) {
      std::memcpy(bytes.data() + 1 + 2 * bits, &bits, 2);
      wanted.push_back(decode(uint16_t(bits), type == DType::f16 ? 5 : 8));
    }
    for (const DType to : {DType::f32, type}) {
      auto out = bench.run("convert", {65536 * bytesOf(to)}, [&](Pool& pool, auto& outputs) {
        k.convert(pool, outputs[0].data(), to, bytes.data() + 1, type, 65536);
      });
      bench.close("convert from type " + std::to_string(int(type)), out[0].values(to), wanted, 0, 0);
    }
  }
  const std::vector<int32_t> whole = {0, 1, -1, 16777217, INT32_MAX, INT32_MIN, 300, -70000};
  std::vector<double> wanted, halves;
  for (const int32_t value : whole) {
    wanted.push_back(float(value));
    halves.push_back(asF16(value));
  }
  auto out = bench.run("convert", {whole.size() * 4, whole.size() * 2}, [&](Pool& pool, auto& outputs) {
    k.convert(pool, outputs[0].data(), DType::f32, whole.data(), DType::i32, whole.size());
    k.convert(pool, outputs[1].data(), DType::f16, whole.data(), DType::i32, whole.size());
  });
  bench.close("convert from int32", out[0].values(DType::f32), wanted, 0, 0);
  bench.close("convert from int32 to float16", out[1].values(DType::f16), halves, 0, 0);
}

inline void testUnary(const Bench& bench) {
  struct Case {
    Unary operation;
    const char* name;
    double (*reference)(double);
    double relative, absolute;
  };
  const double one = 0x1p-24;  // half a unit in the last place: rounded once
  const Case cases[] = {
      {Unary::neg, "neg", [](double x) { return -x; }, 0, 0},
      {Unary::sqrt, "sqrt", [](double x) { return double(float(std::sqrt(x))); }, 0, 0},
      {Unary::rsqrt, "rsqrt", [](double x) { return 1 / std::sqrt(x); }, 2.1 * one, 0},
      {Unary::log, "log", [](double x) { return std::log(x); }, 2 * one, 0},
      // 2 units; below the normal numbers 0
      {Unary::exp, "exp", [](double x) { return x > 88.7228391 ? INFINITY : std::exp(x); }, 4 * one, 1.2e-38},
      {Unary::sigmoid, "sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }, 6 * one, 1.2e-38},
  };
  for (const Case& c : cases) {
    std::vector<std::vector<float>> inputs;
    for (const size_t n : oddSizes) inputs.push_back(randomFloats(n, n, n % 2 ? 4 : 100));
    inputs.push_back(specials());
    std::vector<float> sweep;
    for (int i = 0; i < 30000; i++) sweep.push_back(float(-110 + i * (220.0 / 30000)));
    inputs.push_back(sweep);
    for (const auto& x : inputs) {
      std::vector<double> wanted;
      for (const float value : x) wanted.push_back(c.reference(value));
      auto out = bench.run(c.name, {x.size() * 4}, [&](Pool& pool, auto& outputs) {
        bench.kernels.unary(pool, c.operation, outputs[0].floats(), x.data(), x.size());
      });
      bench.close(c.name, out[0].values(DType::f32), wanted, c.relative, c.absolute);
    }
  }
}

inline void testBinary(const Bench& bench) {
  struct Case {
    Binary operation;
    const char* name;
    float (*reference)(float, float);
  };
  const Case cases[] = {
      {Binary::add, "add", [](float x, float y) { return x + y; }},
      {Binary::sub, "sub", [](float x, float y) { return x - y; }},
      {Binary::mul, "mul", [](float x, float y) { return x * y; }},
      {Binary::div, "div", [](float x, float y) { return x / y; }},
      {Binary::max, "max", [](float x, float y) { return x != x || y != y ? NAN : std::max(x, y); }},
      {Binary::greaterEqual, "greaterEqual", [](float x, float y) { return float(x >= y); }},
  };
  const auto walks = broadcasts(2);
  for (const Case& c : cases) {
    for (const Broadcast& b : walks) {
      std::vector<float> x = randomFloats(1, b.sizes[0], 3), y = randomFloats(2, b.sizes[1], 3);
      for (auto* operand : {&x, &y}) {
        for (float& value : *operand) value = value > 2.9f ? NAN : std::nearbyint(value * 4) / 4;  // some are equal
      }
      std::vector<double> wanted;
      for (size_t i = 0; i < b.size(); i++) {
        wanted.push_back(c.reference(x[Broadcast::offset(b.walk, b.strides[0], i)],
            y[Broadcast::offset(b.walk, b.strides[1], i)]));
      }
      auto out = bench.run(c.name, {b.size() * 4}, [&](Pool& pool, auto& outputs) {
        bench.kernels.binary(pool, c.operation, outputs[0].floats(), x.data(), y.data(), b.walk, b.strides[0],
            b.strides[1]);
      });
      bench.close(c.name, out[0].values(DType::f32), wanted, 0, 0);
    }
  }
}

inline void testSelect(const Bench& bench) {
  for (const Broadcast& b : broadcasts(3)) {
    std::vector<float> condition = randomFloats(3, b.sizes[0]);
    for (float& value : condition) value = value < 0 ? 0 : value;
    const auto x = randomFloats(4, b.sizes[1]), y = randomFloats(5, b.sizes[2]);
    std::vector<double> wanted;
    for (size_t i = 0; i < b.size(); i++) {
      const auto at = [&](size_t k) { return Broadcast::offset(b.walk, b.strides[k], i); };
      wanted.push_back(condition[at(0)] != 0 ? x[at(1)] : y[at(2)]);
    }
    auto out = bench.run("select", {b.size() * 4}, [&](Pool& pool, auto& outputs) {
      bench.kernels.select(pool, outputs[0].floats(), condition.data(), x.data(), y.data(), b.walk, b.strides[0],
          b.strides[1], b.strides[2]);
    });
    bench.close("select", out[0].values(DType::f32), wanted, 0, 0);
  }
}

inline void testLinear(const Bench& bench) {
  for (const size_t n : oddSizes) {
    const auto x = randomFloats(6, n), y = randomFloats(7, n);
    std::vector<double> scaled, sum;
    for (size_t i = 0; i < n; i++) {
      scaled.push_back(double(x[i]) * 2.5 - 0.75);
      sum.push_back(x[i] + y[i]);
    }
    auto out = bench.run("affine, accumulate, fill", {n * 4, Output(y), n * 4}, [&](Pool& pool, auto& outputs) {
      bench.kernels.affine(pool, outputs[0].floats(), x.data(), 2.5f, -0.75f, n);
      bench.kernels.accumulate(pool, outputs[1].floats(), x.data(), n);
      bench.kernels.fill(pool, outputs[2].floats(), 1.5f, n);
    });
    bench.close("affine", out[0].values(DType::f32), scaled, 0x1p-24, 0x1p-23);  // with or without fused rounding
    bench.close("accumulate", out[1].values(DType::f32), sum, 0, 0);
    bench.close("fill", out[2].values(DType::f32), std::vector<double>(n, 1.5), 0, 0);
  }
}

inline void testCopy(const Bench& bench) {
  Random random(9);
  std::vector<std::vector<size_t>> shapes = {{70, 130}, {1, 400}, {3, 65, 33}, {129, 2, 40}, {300, 257}};
  for (int i = 0; i < 60; i++) {
    std::vector<size_t> shape(1 + random.below(maxRank));
    for (size_t& length : shape) length = 1 + random.below(6);
    shapes.push_back(shape);
  }
  for (const auto& shape : shapes) {
    for (const size_t bytes : {2, 4}) {
      // A region of each side, whose axes lie there in an order of their own and with room around.
      const size_t rank = shape.size();
      Walk walk{int(rank), {}};
      std::copy(shape.begin(), shape.end(), walk.shape);
      Strides strides[2]{};
      size_t sizes[2], first[2] = {0, 0};
      for (int side = 0; side < 2; side++) {
        std::vector<size_t> order(rank);
        for (size_t axis = 0; axis < rank; axis++) order[axis] = axis;
        for (size_t axis = rank; axis > 1; axis--) std::swap(order[axis - 1], order[random.below(axis)]);
        size_t step = random.below(5) == 0 ? 2 : 1;
        for (const size_t axis : order) {
          const size_t before = random.below(3), after = random.below(3);
          strides[side].of[axis] = step;
          first[side] += before * step;
          step *= before + shape[axis] + after;
        }
        sizes[side] = step;
      }
      std::vector<char> from(sizes[1] * bytes), wanted(sizes[0] * bytes);
      for (char& byte : from) byte = char(random.next());
      for (char& byte : wanted) byte = char(random.next());
      const Output before(wanted);
      size_t n = 1;
      for (const size_t length : shape) n *= length;
      for (size_t i = 0; i < n; i++) {
        const size_t to = first[0] + Broadcast::offset(walk, strides[0], i),
            at = first[1] + Broadcast::offset(walk, strides[1], i);
        std::memcpy(wanted.data() + to * bytes, from.data() + at * bytes, bytes);
      }
      auto out = bench.run("stridedCopy", {before}, [&](Pool& pool, auto& outputs) {
        bench.kernels.stridedCopy(pool, outputs[0].data() + first[0] * bytes, from.data() + first[1] * bytes, bytes,
            walk, strides[0], strides[1]);
      });
      expect(out[0].same(Output(wanted)), bench.isa + " stridedCopy of rank " + std::to_string(rank));
    }
  }
}

inline void testElements(const Bench& bench) {
  testConvert(bench);
  testUnary(bench);
  testBinary(bench);
  testSelect(bench);
  testLinear(bench);
  testCopy(bench);
}

}  // namespace glulam
