// Attention and its gradients, against a full matrix of scores in double.
#pragma once
#include <algorithm>

#include "test/kernels_test_support.h"

namespace glulam {

struct AttentionCase {
  const char* name;
  size_t heads, keyValueHeads, size, window;
  size_t queries, keys;
  std::vector<Segment> segments;
  DType type = DType::f32;  // of q, k, v and out
  size_t gap = 0;           // between rows of q, k, v and out
  float softCap = 0;

  size_t queryStride() const { return heads * size + gap; }
  size_t keyStride() const { return keyValueHeads * size + gap; }
  Attention attention() const {
    return {heads, keyValueHeads, size, window, float(1 / std::sqrt(double(size))), softCap, segments.data(),
            segments.size()};
  }
};

struct AttentionReference {
  std::vector<double> out, lse, dq, dk, dv;

  // Gradients are of sum(out * dOut).
  AttentionReference(const AttentionCase& c, const std::vector<double>& q, const std::vector<double>& k,
                     const std::vector<double>& v, const std::vector<double>& dOut)
      // What is in no segment stays as it is: NaN.
      : out(c.queries * c.queryStride(), NAN), lse(c.queries * c.heads, NAN), dq(c.queries * c.heads * c.size, NAN),
        dk(c.keys * c.keyValueHeads * c.size, NAN), dv(dk) {
    const size_t size = c.size;
    const double scale = c.attention().scale, cap = c.softCap;
    for (const Segment& s : c.segments) {
      const auto zero = [&](std::vector<double>& x, size_t width, size_t first, size_t count) {
        std::fill_n(x.begin() + long(first * width), count * width, 0.0);
      };
      zero(dq, c.heads * size, s.queryStart, s.queryLength);
      for (auto* x : {&dk, &dv}) zero(*x, c.keyValueHeads * size, s.keyStart, s.keyLength);
      for (size_t i = 0; i < s.queryLength; i++) {
        for (size_t head = 0; head < c.heads; head++) {
          const size_t row = s.queryStart + i, position = s.keyLength - s.queryLength + i,
              group = head / (c.heads / c.keyValueHeads);
          const size_t begin = c.window == 0 || position < c.window ? 0 : position - c.window + 1;
          const double* query = q.data() + row * c.queryStride() + head * size;
          const auto keyRow = [&](size_t j) { return (s.keyStart + j) * c.keyStride() + group * size; };
          const auto flat = [&](size_t j) { return ((s.keyStart + j) * c.keyValueHeads + group) * size; };
          std::vector<double> scores;
          double most = -INFINITY, total = 0;
          for (size_t j = begin; j <= position; j++) {
            double score = 0;
            for (size_t d = 0; d < size; d++) score += scale * query[d] * k[keyRow(j) + d];
            if (cap != 0) score = cap * std::tanh(score / cap);
            scores.push_back(score);
            most = std::max(most, score);
          }
          for (const double score : scores) total += std::exp(score - most);
          const double sumLog = most + std::log(total);
          lse[row * c.heads + head] = sumLog;
          double* mixed = out.data() + row * c.queryStride() + head * size;
          std::fill_n(mixed, size, 0.0);
          for (size_t j = begin; j <= position; j++) {
            for (size_t d = 0; d < size; d++) mixed[d] += std::exp(scores[j - begin] - sumLog) * v[keyRow(j) + d];
          }
          const double* g = dOut.data() + (row * c.heads + head) * size;
          double inner = 0;
          for (size_t d = 0; d < size; d++) inner += g[d] * mixed[d];
          for (size_t j = begin; j <= position; j++) {
            const double share = std::exp(scores[j - begin] - sumLog);
            double dShare = 0;
            for (size_t d = 0; d < size; d++) dShare += g[d] * v[keyRow(j) + d];
            const double tangent = cap == 0 ? 0 : scores[j - begin] / cap;
            const double dScore = share * (dShare - inner) * scale * (1 - tangent * tangent);
            for (size_t d = 0; d < size; d++) {
              dv[flat(j) + d] += share * g[d];
              dk[flat(j) + d] += dScore * query[d];
              dq[(row * c.heads + head) * size + d] += dScore * k[keyRow(j) + d];
            }
          }
        }
      }
    }
  }
};

inline void testAttentionCase(const Bench& bench, const AttentionCase& c) {
  const std::string what = std::string("attention, ") + c.name;
  const Stored q(randomFloats(50, c.queries * c.queryStride(), 2), c.type),
      k(randomFloats(51, c.keys * c.keyStride(), 2), c.type);
  const Stored v(randomFloats(52, c.keys * c.keyStride()), c.type);
  const auto dOut = randomFloats(53, c.queries * c.heads * c.size);
  const AttentionReference wanted(c, q.values(), k.values(), v.values(), {dOut.begin(), dOut.end()});
  const Attention p = c.attention();
  const size_t queryGap = c.gap ? c.queryStride() : 0, keyGap = c.gap ? c.keyStride() : 0;
  auto out = bench.run(what, {c.queries * c.queryStride() * bytesOf(c.type), c.queries * c.heads * 4},
      [&](Pool& pool, auto& outputs) {
    bench.kernels.attention(pool, {outputs[0].data(), c.type, queryGap}, outputs[1].floats(), q.in(queryGap),
        k.in(keyGap), v.in(keyGap), p);
  });
  std::vector<double> mixed = wanted.out;
  for (size_t i = 0; i < mixed.size(); i++) {
    if (i % c.queryStride() >= c.heads * c.size) mixed[i] = NAN;
  }
  bench.close(what, out[0].values(c.type), mixed, c.type == DType::f32 ? 0 : halfUlpBf16, 2e-6);
  bench.close(what + ": lse", out[1].values(DType::f32), wanted.lse, 1e-6, 1e-6);
  // From what the kernel gave; a rounded `out` moves the gradients a little.
  const double tolerance = c.type == DType::f32 ? 1e-5 : 2e-2;
  auto gradients = bench.run(what + ": backward", {wanted.dq.size() * 4, wanted.dk.size() * 4, wanted.dv.size() * 4},
      [&](Pool& pool, auto& outputs) {
    bench.kernels.attentionBackward(pool, outputs[0].floats(), outputs[1].floats(), outputs[2].floats(), dOut.data(),
                                    {out[0].data(), c.type, queryGap}, out[1].floats(), q.in(queryGap), k.in(keyGap),
                                    v.in(keyGap), p);
  });
  bench.close(what + ": dq", gradients[0].values(DType::f32), wanted.dq, tolerance, tolerance);
  bench.close(what + ": dk", gradients[1].values(DType::f32), wanted.dk, tolerance, tolerance);
  bench.close(what + ": dv", gradients[2].values(DType::f32), wanted.dv, tolerance, tolerance);
}

// The reference's own gradients against differences of its outputs.
inline void testAttentionReference(float softCap) {
  const AttentionCase c = {"differences", 4, 2, 3, 3, 7, 9, {{0, 3, 0, 5}, {3, 4, 5, 4}}, DType::f32, 0, softCap};
  const auto floats = [](uint64_t seed, size_t n) {
    const auto x = randomFloats(seed, n);
    return std::vector<double>(x.begin(), x.end());
  };
  std::vector<double> inputs[3] = {floats(60, 7 * 12), floats(61, 9 * 6), floats(62, 9 * 6)};
  const auto dOut = floats(63, 7 * 12);
  const AttentionReference reference(c, inputs[0], inputs[1], inputs[2], dOut);
  const std::vector<double>* gradients[3] = {&reference.dq, &reference.dk, &reference.dv};
  double worst = 0;
  for (int operand = 0; operand < 3; operand++) {
    for (size_t i = 0; i < inputs[operand].size(); i++) {
      double loss[2];
      for (int side = 0; side < 2; side++) {
        auto moved = inputs[operand];
        moved[i] += side ? 1e-5 : -1e-5;
        const AttentionReference at(c, operand == 0 ? moved : inputs[0], operand == 1 ? moved : inputs[1],
            operand == 2 ? moved : inputs[2], dOut);
        loss[side] = 0;
        for (size_t j = 0; j < dOut.size(); j++) loss[side] += at.out[j] * dOut[j];
      }
      worst = std::max(worst, std::fabs((loss[1] - loss[0]) / 2e-5 - (*gradients[operand])[i]));
    }
  }
  expect(worst < 1e-8, "attention's reference against differences: " + std::to_string(worst));
}

// A prompt in chunks, and token by token, gives what the whole gives.
inline void testAttentionChunks(const Bench& bench) {
  const size_t length = 203, heads = 6, keyValueHeads = 2, size = 40;
  for (const size_t window : {0, 50}) {
    const auto q = randomFloats(70, length * heads * size, 2), k = randomFloats(71, length * keyValueHeads * size, 2),
        v = randomFloats(72, length * keyValueHeads * size);
    const auto run = [&](size_t chunk) {
      return bench.run("attention in chunks", {q.size() * 4, length * heads * 4}, [&](Pool& pool, auto& outputs) {
        for (size_t first = 0; first < length; first += chunk) {
          const size_t count = std::min(chunk, length - first);
          const Segment segment = {0, count, 0, first + count};
          const Attention p = {heads, keyValueHeads, size, window, 0.15f, 0, &segment, 1};
          bench.kernels.attention(pool, {outputs[0].floats() + first * heads * size, DType::f32},
                                  outputs[1].floats() + first * heads, {q.data() + first * heads * size, DType::f32},
                                  {k.data(), DType::f32}, {v.data(), DType::f32}, p);
        }
      });
    };
    auto whole = run(length);
    for (const size_t chunk : {1, 2, 37, 64, 100}) {
      auto parts = run(chunk);
      bench.close("attention in chunks of " + std::to_string(chunk), parts[0].values(DType::f32),
          whole[0].values(DType::f32), 0, 2e-6);
      bench.close("attention's lse in chunks", parts[1].values(DType::f32), whole[1].values(DType::f32), 1e-6, 1e-6);
    }
  }
}

inline void testAttention(const Bench& bench) {
  const DType bf16 = DType::bf16;
  const AttentionCase cases[] = {
      {"one token", 1, 1, 8, 0, 1, 1, {{0, 1, 0, 1}}},
      {"heads of 12", 4, 4, 12, 0, 37, 37, {{0, 37, 0, 37}}},
      {"grouped, a prime length", 8, 2, 32, 0, 151, 151, {{0, 151, 0, 151}}},
      {"one key-value head", 9, 1, 20, 0, 67, 67, {{0, 67, 0, 67}}},
      {"heads of 128", 4, 1, 128, 0, 130, 130, {{0, 130, 0, 130}}},
      {"heads of 80, no groups", 2, 2, 80, 0, 129, 129, {{0, 129, 0, 129}}},
      {"heads of 1", 3, 3, 1, 0, 20, 20, {{0, 20, 0, 20}}},
      {"window of 1", 4, 2, 16, 1, 70, 70, {{0, 70, 0, 70}}},
      {"window of 7", 4, 2, 16, 7, 200, 200, {{0, 200, 0, 200}}},
      {"window of a block", 4, 4, 16, 64, 200, 200, {{0, 200, 0, 200}}},
      {"window as long as the text", 4, 2, 16, 90, 90, 90, {{0, 90, 0, 90}}},
      {"packed, with a gap", 4, 2, 32, 0, 150, 160, {{2, 33, 0, 33}, {35, 1, 40, 1}, {40, 105, 50, 105}}},
      {"packed, window", 4, 2, 32, 20, 150, 150, {{0, 33, 0, 33}, {33, 1, 33, 1}, {34, 110, 34, 110}}},
      {"a chunk of a prompt", 4, 2, 64, 0, 45, 170, {{0, 45, 0, 170}}},
      {"a chunk of a prompt, window", 4, 2, 24, 30, 45, 170, {{0, 45, 0, 170}}},
      {"next tokens", 8, 2, 64, 0, 3, 460, {{0, 1, 0, 201}, {1, 1, 201, 1}, {2, 1, 202, 258}}},
      {"next tokens, window", 7, 1, 48, 65, 2, 460, {{0, 1, 0, 201}, {1, 1, 201, 259}}},
      {"bfloat16", 8, 2, 64, 0, 100, 100, {{0, 100, 0, 100}}, bf16},
      {"bfloat16, strided", 4, 2, 24, 33, 90, 95, {{0, 90, 0, 95}}, bf16, 7},
      {"strided", 6, 3, 40, 0, 90, 95, {{0, 20, 0, 20}, {20, 70, 20, 75}}, DType::f32, 9},
      {"bfloat16, odd rows, no groups", 3, 3, 80, 0, 129, 129, {{0, 129, 0, 129}}, bf16},
      {"capped", 4, 2, 32, 0, 100, 100, {{0, 100, 0, 100}}, DType::f32, 0, 1.5f},
      {"capped, a next token", 8, 2, 64, 0, 1, 201, {{0, 1, 0, 201}}, DType::f32, 0, 1.5f},
      {"capped, packed, bfloat16, window", 6, 2, 40, 20, 150, 160, {{2, 33, 0, 33}, {35, 1, 40, 1}, {40, 105, 50, 105}}, bf16, 0, 2},
      {"bfloat16, heads of 1", 3, 1, 1, 0, 23, 23, {{0, 23, 0, 23}}, bf16},
      {"bfloat16, packed, window", 6, 2, 40, 20, 150, 160, {{2, 33, 0, 33}, {35, 1, 40, 1}, {40, 105, 50, 105}}, bf16},
      {"bfloat16, a chunk of a prompt", 4, 2, 64, 0, 45, 170, {{0, 45, 0, 170}}, bf16},
      {"bfloat16, next token", 8, 2, 128, 0, 1, 300, {{0, 1, 0, 300}}, bf16},
      {"no segments", 2, 1, 8, 0, 3, 3, {}},
  };
  for (const AttentionCase& c : cases) testAttentionCase(bench, c);
  for (const float softCap : {0.0f, 0.8f}) testAttentionReference(softCap);
  testAttentionChunks(bench);
}

}  // namespace glulam
