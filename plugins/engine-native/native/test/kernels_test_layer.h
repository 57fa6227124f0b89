// Norm, rotary positions, the gated unit.
#pragma once
#include "test/kernels_test_support.h"

namespace glulam {

inline void testRmsNorm(const Bench& bench) {
  const float epsilon = 1e-5f;
  for (const size_t rows : {1, 5, 41}) {
    for (const size_t width : {1, 17, 64, 1031, 4096}) {
      const auto x = randomFloats(40, rows * width, 3), weight = randomFloats(41, width, 1, 1),
          dy = randomFloats(42, rows * width);
      std::vector<double> y, rstd, dx, dWeight(width);
      for (size_t row = 0; row < rows; row++) {
        const float *in = x.data() + row * width, *g = dy.data() + row * width;
        double squares = 0, inner = 0;
        for (size_t i = 0; i < width; i++) squares += double(in[i]) * in[i];
        const double r = 1 / std::sqrt(squares / double(width) + epsilon);
        rstd.push_back(r);
        for (size_t i = 0; i < width; i++) {
          y.push_back(in[i] * r * weight[i]);
          inner += double(g[i]) * weight[i] * in[i] * r;
          dWeight[i] += double(g[i]) * in[i] * r;
        }
        for (size_t i = 0; i < width; i++) {
          dx.push_back(r * (double(g[i]) * weight[i] - in[i] * r * inner / double(width)));
        }
      }
      const std::vector<float> given(rstd.begin(), rstd.end());
      for (const DType type : {DType::f32, DType::bf16}) {
        auto out = bench.run("rmsNorm", {y.size() * bytesOf(type), rows * 4}, [&](Pool& pool, auto& outputs) {
          bench.kernels.rmsNorm(pool, {outputs[0].data(), type}, outputs[1].floats(), x.data(), weight.data(), rows,
              width, epsilon);
        });
        bench.close("rmsNorm", out[0].values(type), y, type == DType::f32 ? 1e-6 : halfUlpBf16 * 1.001, 0);
        bench.close("rmsNorm's rstd", out[1].values(DType::f32), rstd, 1e-6, 0);
      }
      auto out = bench.run("rmsNormBackward", {dx.size() * 4, width * 4}, [&](Pool& pool, auto& outputs) {
        bench.kernels.rmsNormBackward(pool, outputs[0].floats(), outputs[1].floats(), dy.data(), x.data(),
            weight.data(), given.data(), rows, width);
      });
      bench.close("rmsNormBackward's dx", out[0].values(DType::f32), dx, 2e-6, 2e-6);
      bench.close("rmsNormBackward's dWeight", out[1].values(DType::f32), dWeight, 2e-6, 4e-6);
      auto one = bench.run("rmsNormBackward", {dx.size() * 4, width * 4}, [&](Pool& pool, auto& outputs) {
        bench.kernels.rmsNormBackward(pool, outputs[0].floats(), nullptr, dy.data(), x.data(), weight.data(),
            given.data(), rows, width);
        bench.kernels.rmsNormBackward(pool, nullptr, outputs[1].floats(), dy.data(), x.data(), weight.data(),
            given.data(), rows, width);
      });
      expect(one[0].same(out[0]) && one[1].same(out[1]), bench.isa + " rmsNormBackward of one gradient alone");
    }
  }
}

inline void testRope(const Bench& bench) {
  for (const size_t rows : {1, 19}) {
    for (const size_t heads : {1, 3}) {
      for (const size_t size : {2, 8, 12, 34, 128}) {
        for (const size_t half : {size / 2, (size + 2) / 4}) {
          const size_t width = heads * size, stride = width + 5;
          std::vector<float> cos, sin;
          for (size_t i = 0; i < rows * half; i++) {
            cos.push_back(float(std::cos(0.7 * double(i))));
            sin.push_back(float(std::sin(0.7 * double(i))));
          }
          for (const DType from : {DType::f32, DType::bf16}) {
            for (const DType to : {DType::f32, DType::bf16}) {
              for (const bool inverse : {false, true}) {
                const Stored x(randomFloats(43, rows * stride), from);
                const auto at = [&](size_t row, size_t head, size_t i) {
                  return x.values()[row * stride + head * size + i];
                };
                // What lies between the rows stays: NaN.
                std::vector<double> wanted(rows * stride, NAN);
                for (size_t row = 0; row < rows; row++) {
                  for (size_t head = 0; head < heads; head++) {
                    for (size_t i = 0; i < half; i++) {
                      const double c = cos[row * half + i], s = sin[row * half + i] * (inverse ? -1.0 : 1.0);
                      double* y = wanted.data() + row * stride + head * size + i;
                      y[0] = at(row, head, i) * c - at(row, head, i + half) * s;
                      y[half] = at(row, head, i + half) * c + at(row, head, i) * s;
                    }
                    for (size_t i = 2 * half; i < size; i++) wanted[row * stride + head * size + i] = at(row, head, i);
                  }
                }
                auto out = bench.run("rope", {wanted.size() * bytesOf(to)}, [&](Pool& pool, auto& outputs) {
                  bench.kernels.rope(pool, {outputs[0].data(), to, stride}, x.in(stride), cos.data(), sin.data(), rows,
                      heads, size, half, inverse);
                });
                bench.close("rope", out[0].values(to), wanted, to == DType::f32 ? 0 : halfUlpBf16, 2e-7);
              }
            }
          }
          const auto x = randomFloats(44, rows * width);
          auto back = bench.run("rope", {x.size() * 4, x.size() * 4}, [&](Pool& pool, auto& outputs) {
            bench.kernels.rope(pool, {outputs[0].data(), DType::f32}, {x.data(), DType::f32}, cos.data(), sin.data(),
                rows, heads, size, half, false);
            bench.kernels.rope(pool, {outputs[1].data(), DType::f32}, {outputs[0].data(), DType::f32}, cos.data(),
                sin.data(), rows, heads, size, half, true);
          });
          bench.close("rope there and back", back[1].values(DType::f32), {x.begin(), x.end()}, 0, 4e-7);
        }
      }
    }
  }
}

// sigmoid of what multiplies the gate, and its slope.
struct GateValue {
  double sigmoid, slope;
};
inline GateValue swigluGate(double g) { return {1 / (1 + std::exp(-g)), 1}; }
inline GateValue geluTanhGate(double g) {
  const double twice = 2 * std::sqrt(2 / std::acos(-1.0));
  return {1 / (1 + std::exp(-twice * (g + 0.044715 * g * g * g))), twice * (1 + 3 * 0.044715 * g * g)};
}

template <class Forward, class Backward>
void testGated(const Bench& bench, const std::string& name, double absolute, GateValue (*gateValue)(double),
               Forward forward, Backward backward) {
  for (const size_t n : {0, 1, 31, 1024, 1031, 40009}) {
    for (const DType a : {DType::f32, DType::bf16}) {
      for (const DType b : {DType::f32, DType::bf16}) {
        auto given = randomFloats(45, n, 8);
        if (n > 20) {
          given[3] = 200;
          given[4] = -200;
        }
        const Stored gate(given, a), up(randomFloats(46, n, 2), b);
        const auto dy = randomFloats(47, n);
        std::vector<double> y, dGate, dUp;
        for (size_t i = 0; i < n; i++) {
          const double g = gate.values()[i], u = up.values()[i];
          const auto [s, slope] = gateValue(g);
          y.push_back(g * s * u);
          dGate.push_back(dy[i] * u * s * (1 + g * (1 - s) * slope));
          dUp.push_back(dy[i] * g * s);
        }
        for (const DType type : {DType::f32, DType::bf16}) {
          auto out = bench.run(name, {n * bytesOf(type)}, [&](Pool& pool, auto& outputs) {
            (bench.kernels.*forward)(pool, {outputs[0].data(), type}, gate.in(), up.in(), n);
          });
          bench.close(name, out[0].values(type), y, type == DType::f32 ? 6e-7 : halfUlpBf16 * 1.001, absolute);
        }
        auto out = bench.run(name + "Backward", {n * 4, n * 4}, [&](Pool& pool, auto& outputs) {
          (bench.kernels.*backward)(pool, outputs[0].floats(), outputs[1].floats(), dy.data(), gate.in(), up.in(), n);
        });
        bench.close(name + "Backward's dGate", out[0].values(DType::f32), dGate, 1e-6 + absolute, 1e-6 + absolute);
        bench.close(name + "Backward's dUp", out[1].values(DType::f32), dUp, 6e-7, absolute);
      }
    }
  }
}

inline void testLayer(const Bench& bench) {
  testRmsNorm(bench);
  testRope(bench);
  testGated(bench, "swiglu", 1e-35, swigluGate, &Kernels::swiglu, &Kernels::swigluBackward);
  // The argument of gelu's sigmoid grows with the third power of the gate, and so does its rounding: it shows where e^x is small.
  testGated(bench, "gegluTanh", 2e-6, geluTanhGate, &Kernels::gegluTanh, &Kernels::gegluTanhBackward);
}

}  // namespace glulam
