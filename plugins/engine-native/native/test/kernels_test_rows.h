// Reductions, rows by index, random numbers, the loss and the optimizer.
#pragma once
#include <algorithm>
#include <array>

#include "test/kernels_test_support.h"

namespace glulam {

inline void testReduce(const Bench& bench) {
  const size_t shapes[][3] = {{1, 1, 1}, {1, 0, 3}, {3, 17, 1}, {1, 40009, 1}, {5, 3, 300}, {2, 100, 129}, {7, 1, 11},
      {1, 1000003, 1}, {0, 3, 2}, {2000, 5, 1}};
  for (const auto& s : shapes) {
    auto x = randomFloats(11, s[0] * s[1] * s[2], 0.01, 1);  // of one sign, so that rounding would add up
    if (x.size() > 40) x[37] = NAN;
    for (const Reduction operation : {Reduction::sum, Reduction::max}) {
      if (operation == Reduction::sum && x.size() > 40) x[37] = 1;
      std::vector<double> wanted(s[0] * s[2], operation == Reduction::sum ? 0 : -INFINITY);
      for (size_t i = 0; i < x.size(); i++) {
        double& y = wanted[i / (s[1] * s[2]) * s[2] + i % s[2]];
        if (operation == Reduction::sum) y += x[i];
        else y = std::isnan(x[i]) || std::isnan(y) ? NAN : std::max(y, double(x[i]));
      }
      auto out = bench.run("reduce", {wanted.size() * 4}, [&](Pool& pool, auto& outputs) {
        bench.kernels.reduce(pool, operation, outputs[0].floats(), x.data(), s[0], s[1], s[2]);
      });
      bench.close(operation == Reduction::sum ? "sum" : "max", out[0].values(DType::f32), wanted,
                  operation == Reduction::sum ? 0x1p-24 : 0, 0);  // a sum is rounded once, even of a million terms
      if (x.size() > 40) x[37] = NAN;
    }
  }
}

inline void testGather(const Bench& bench) {
  const size_t rows = 23;
  for (const size_t width : {1, 67, 515}) {
    for (const size_t n : {0, 1, 41}) {
      Random random(n);
      std::vector<int32_t> indices(n);
      for (int32_t& index : indices) index = int32_t(random.below(n > 40 ? 5 : rows));
      for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
        const Stored table(randomFloats(12, rows * width), type, 1);
        std::vector<double> wanted;
        for (const int32_t index : indices) {
          for (size_t i = 0; i < width; i++) wanted.push_back(table.values()[size_t(index) * width + i]);
        }
        auto out = bench.run("gatherRows", {n * width * 4}, [&](Pool& pool, auto& outputs) {
          bench.kernels.gatherRows(pool, outputs[0].floats(), table.data(), type, rows, width, indices.data(), n);
        });
        bench.close("gatherRows", out[0].values(DType::f32), wanted, 0, 0);
      }
      const auto x = randomFloats(13, n * width), before = randomFloats(14, rows * width);
      std::vector<float> wanted = before;  // in float32 and in order: equal to the bit
      for (size_t i = 0; i < n * width; i++) wanted[size_t(indices[i / width]) * width + i % width] += x[i];
      auto out = bench.run("scatterAddRows", {before}, [&](Pool& pool, auto& outputs) {
        bench.kernels.scatterAddRows(pool, outputs[0].floats(), rows, width, x.data(), indices.data(), n);
      });
      bench.close("scatterAddRows", out[0].values(DType::f32), {wanted.begin(), wanted.end()}, 0, 0);
    }
  }
  float table[6] = {}, y[6];
  for (const int32_t bad : {-1, 3, INT32_MAX, INT32_MIN}) {
    const int32_t indices[] = {1, bad};
    bench.throws("gatherRows", "index " + std::to_string(bad) + "; expected 0 to 2",
                 [&](Pool& pool) { bench.kernels.gatherRows(pool, y, table, DType::f32, 3, 2, indices, 2); });
    bench.throws("scatterAddRows", "index " + std::to_string(bad) + "; expected 0 to 2",
                 [&](Pool& pool) { bench.kernels.scatterAddRows(pool, y, 3, 2, table, indices, 2); });
  }
}

inline void testArgmax(const Bench& bench) {
  for (const size_t n : {1, 5, 16, 97, 1000, 32003}) {
    const size_t rows = 13;
    auto x = randomFloats(15, rows * n);
    for (float& value : x) value = std::nearbyint(value * 50);  // equals are common
    x[2 * n + n / 2] = NAN;
    x[2 * n + n - 1] = NAN;
    x[3 * n + n / 3] = INFINITY;
    for (size_t i = 0; i < n; i++) x[4 * n + i] = -INFINITY;
    std::vector<double> wanted;
    for (size_t row = 0; row < rows; row++) {
      size_t best = 0;
      for (size_t i = 1; i < n; i++) {
        const float value = x[row * n + i], most = x[row * n + best];
        if (!std::isnan(most) && (std::isnan(value) || value > most)) best = i;
      }
      wanted.push_back(double(best));
    }
    auto out = bench.run("argmax", {rows * 4}, [&](Pool& pool, auto& outputs) {
      bench.kernels.argmax(pool, outputs[0].integers(), x.data(), rows, n);
    });
    bench.close("argmax", out[0].values(DType::i32), wanted, 0, 0);
  }
}

// Philox4x32-10 as the paper states it.
inline std::array<uint32_t, 4> philoxReference(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; round++) {
    const uint64_t first = uint64_t(0xD2511F53) * counter[0], second = uint64_t(0xCD9E8D57) * counter[2];
    counter = {uint32_t(second >> 32) ^ counter[1] ^ key[0], uint32_t(second),
        uint32_t(first >> 32) ^ counter[3] ^ key[1], uint32_t(first)};
    key = {key[0] + 0x9E3779B9, key[1] + 0xBB67AE85};
  }
  return counter;
}

inline std::vector<double> uniformReference(size_t n, const RandomKey& key) {
  std::vector<double> result;
  for (size_t i = 0; i < n; i++) {
    const auto words = philoxReference({uint32_t(i / 4), uint32_t(uint64_t(i / 4) >> 32), key.stream0, key.stream1},
        {key.seed0, key.seed1});
    result.push_back(double(words[i % 4] >> 8) * 0x1p-24);
  }
  return result;
}

inline void testRandom(const Bench& bench) {
  // The known answers of Random123 (kat_vectors).
  const uint32_t all = 0xffffffff;
  using Four = std::array<uint32_t, 4>;
  expect(philoxReference({0, 0, 0, 0}, {0, 0}) == Four{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
      "philox of zeros");
  expect(philoxReference({all, all, all, all}, {all, all}) == Four{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
      "philox of ones");
  expect(philoxReference({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
             Four{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}, "philox of pi");
  for (const RandomKey& key : {RandomKey{0, 0, 0, 0}, RandomKey{1, 2, 3, 4},
      RandomKey{0xa4093822, 0x299f31d0, 0xffffffff, 0x80000000}}) {
    for (const size_t n : {0, 1, 3, 63, 64, 65, 1021, 50021}) {
      const auto draws = uniformReference(n, key);
      auto out = bench.run("random", {n * 4}, [&](Pool& pool, auto& outputs) { bench.kernels.random(pool,
          outputs[0].floats(), n, key); });
      bench.close("random", out[0].values(DType::f32), draws, 0, 0);
      for (const float rate : {0.0f, 0.1f, 0.5f, 0.9f}) {
        for (const DType from : {DType::f32, DType::bf16}) {
          for (const DType to : {DType::f32, DType::bf16}) {
            if (n > 2000 && (from != to || rate != 0.1f)) continue;
            const Stored x(randomFloats(16, n), from);
            std::vector<double> wanted;
            for (size_t i = 0; i < n; i++) wanted.push_back(draws[i] >= rate ? x.values()[i] / (1 - double(rate)) : 0);
            auto kept = bench.run("dropout", {n * bytesOf(to)}, [&](Pool& pool, auto& outputs) {
              bench.kernels.dropout(pool, {outputs[0].data(), to}, x.in(), n, rate, key);
            });
            bench.close("dropout", kept[0].values(to), wanted, to == DType::f32 ? 0x1p-22 : halfUlpBf16, 0);
          }
        }
      }
    }
  }
}

inline void testCrossEntropy(const Bench& bench, float softCap) {
  for (const size_t rows : {1, 7}) {
    for (const size_t vocabulary : {1, 2, 17, 1024, 1031, 32003}) {
      auto logits = randomFloats(17, rows * vocabulary, 12);
      if (vocabulary > 100) {
        logits[3] = 700;  // the others are nothing beside it
        if (rows > 1) logits[vocabulary + 5] = -INFINITY;
        if (rows > 2) logits[2 * vocabulary + 7] = NAN;
      }
      Random random(rows);
      std::vector<int32_t> targets(rows);
      for (int32_t& target : targets) target = int32_t(random.below(vocabulary));
      std::vector<double> nll, shares;
      for (size_t row = 0; row < rows; row++) {
        std::vector<double> z(logits.begin() + long(row * vocabulary), logits.begin() + long((row + 1) * vocabulary));
        for (double& each : z) each = softCap == 0 ? each : softCap * std::tanh(each / softCap);
        double most = -INFINITY, total = 0;
        for (size_t i = 0; i < vocabulary; i++) most = std::isnan(z[i]) || std::isnan(most) ? NAN
            : std::max(most, z[i]);
        for (size_t i = 0; i < vocabulary; i++) total += std::exp(z[i] - most);
        nll.push_back(std::log(total) + most - z[targets[row]]);
        for (size_t i = 0; i < vocabulary; i++) {
          const double tangent = softCap == 0 ? 0 : z[i] / softCap;
          shares.push_back((std::exp(z[i] - most) / total - (int32_t(i) == targets[row])) * (1 - tangent * tangent));
        }
      }
      for (const bool gradient : {false, true}) {
        auto out = bench.run("crossEntropy", {rows * 4, logits}, [&](Pool& pool, auto& outputs) {
          bench.kernels.crossEntropy(pool, outputs[0].floats(), outputs[1].floats(), targets.data(), rows, vocabulary,
              softCap, gradient);
        });
        bench.close("crossEntropy", out[0].values(DType::f32), nll, 3e-7, 2e-6);
        if (gradient) bench.close("crossEntropy gradient", out[1].values(DType::f32), shares, 2e-6, 2e-7);
        else if (softCap == 0) expect(out[1].same(logits), bench.isa + " crossEntropy changed the logits");
      }
    }
  }
  float logits[6] = {}, nll[2];
  for (const int32_t bad : {-100, 3}) {
    const int32_t targets[] = {0, bad};
    bench.throws("crossEntropy", "index " + std::to_string(bad) + "; expected 0 to 2",
                 [&](Pool& pool) { bench.kernels.crossEntropy(pool, nll, logits, targets, 2, 3, softCap, true); });
  }
}

inline void testOptimizer(const Bench& bench) {
  // torch.optim.AdamW, _single_tensor_adamw, in double.
  const std::vector<size_t> sizes = {1, 40009, 0, 17, 16384};
  const float rates[] = {1e-3f, 2e-4f, 1e-3f, 0.1f, 0}, decays[] = {0.01f, 0, 0.01f, 0.5f, 0.1f};
  const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, scale = 0.25;
  std::vector<Output> initial;
  std::vector<std::vector<double>> wanted;
  std::vector<std::vector<float>> gradients;
  std::vector<FloatSpan> spans;
  double squares = 0;
  for (size_t k = 0; k < sizes.size(); k++) {
    const auto parameter = randomFloats(20 + k, sizes[k]);
    gradients.push_back(randomFloats(30 + k, sizes[k]));
    for (const float value : gradients[k]) squares += double(value) * value;
    for (const auto& values : {parameter, std::vector<float>(sizes[k]), std::vector<float>(sizes[k])}) {
      initial.emplace_back(values);
      wanted.emplace_back(values.begin(), values.end());
    }
  }
  for (const auto& gradient : gradients) spans.push_back({gradient.data(), gradient.size()});
  const int steps = 4;
  for (int step = 1; step <= steps; step++) {
    for (size_t k = 0; k < sizes.size(); k++) {
      for (size_t i = 0; i < sizes[k]; i++) {
        double &p = wanted[3 * k][i], &m = wanted[3 * k + 1][i], &v = wanted[3 * k + 2][i];
        const double g = gradients[k][i] * scale / step;
        p *= 1 - double(rates[k]) * decays[k];
        m = beta1 * m + (1 - beta1) * g;
        v = beta2 * v + (1 - beta2) * g * g;
        p -= rates[k] / (1 - std::pow(beta1, step)) * m / (std::sqrt(v) / std::sqrt(1 - std::pow(beta2,
            step)) + epsilon);
      }
    }
  }
  auto out = bench.run("adamW", initial, [&](Pool& pool, auto& outputs) {
    std::vector<AdamWTensor> tensors;
    for (size_t k = 0; k < sizes.size(); k++) {
      tensors.push_back({outputs[3 * k].floats(), gradients[k].data(), outputs[3 * k + 1].floats(),
          outputs[3 * k + 2].floats(), sizes[k], rates[k], decays[k]});
    }
    for (int step = 1; step <= steps; step++) {
      bench.kernels.adamW(pool, tensors.data(), tensors.size(), {beta1, beta2, epsilon, scale / step, step});
    }
  });
  for (size_t i = 0; i < wanted.size(); i++) bench.close("adamW", out[i].values(DType::f32), wanted[i], 1e-6,
      i % 3 == 0 ? 1e-6 : 1e-9);
  auto sum = bench.run("sumOfSquares", {sizeof(double)}, [&](Pool& pool, auto& outputs) {
    const double result = bench.kernels.sumOfSquares(pool, spans.data(), spans.size());
    std::memcpy(outputs[0].data(), &result, sizeof result);
  });
  double got;
  std::memcpy(&got, sum[0].data(), sizeof got);
  bench.close("sumOfSquares", {got, bench.kernels.sumOfSquares(*bench.pools[0], nullptr, 0)}, {squares, 0}, 1e-13, 0);
}

inline void testRows(const Bench& bench) {
  testReduce(bench);
  testGather(bench);
  testArgmax(bench);
  testRandom(bench);
  for (const float softCap : {0.0f, 9.0f}) testCrossEntropy(bench, softCap);
  testOptimizer(bench);
}

}  // namespace glulam
