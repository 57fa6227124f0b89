// The named operations of a decoder layer, of the loss and of the optimizer.
#include <cstring>
#include <memory>
#include <stdexcept>

#include "commands/command_groups.h"

namespace glulam {
namespace {

Values valuesOf(const Tensor& x) {
  if (x.type != DType::f32 && x.type != DType::bf16) throw std::invalid_argument("expected float32 or bfloat16");
  return {x.data, x.type};
}
ValuesOut outOf(const Tensor& y) { return {y.data, y.type}; }

// A tensor's elements as float32, in memory of its own where they are stored otherwise.
class Widened {
 public:
  Widened(const Call& call, const Tensor& x) : data_(x.as<float>()) {
    if (x.type == DType::f32) return;
    copy_.reset(new float[x.elements]);
    convert(call, x, 0, x.elements, copy_.get(), DType::f32);
    data_ = copy_.get();
  }
  const float* data() const { return data_; }

 private:
  std::unique_ptr<float[]> copy_;
  const float* data_;
};

// [y, rstd, x, weight] [rows, width, epsilon, type]
void rmsNorm(const Call& call) {
  const size_t rows = call.size(0), width = call.size(1);
  const Widened x(call, call.in(2, rows * width));
  const float* weight = call.floats(3, width);
  const Tensor y = call.make(0, call.type(3), rows * width);
  float* rstd = call.make(1, DType::f32, rows).as<float>();
  call.kernels.rmsNorm(call.pool, outOf(y), rstd, x.data(), weight, rows, width, float(call.number(2)));
}

// [dx, dWeight?, dy, x, weight, rstd] [rows, width]
void rmsNormBackward(const Call& call) {
  const size_t rows = call.size(0), width = call.size(1);
  const float* dy = call.floats(2, rows * width);
  const Widened x(call, call.in(3, rows * width));
  const float *weight = call.floats(4, width), *rstd = call.floats(5, rows);
  float* dx = call.make(0, DType::f32, rows * width).as<float>();
  float* dWeight = call.has(1) ? call.make(1, DType::f32, width).as<float>() : nullptr;
  call.kernels.rmsNormBackward(call.pool, dx, dWeight, dy, x.data(), weight, rstd, rows, width);
}

// [y, x, cos, sin] [rows, heads, headSize, type, inverse]
void rope(const Call& call) {
  const size_t rows = call.size(0), heads = call.size(1), headSize = call.size(2);
  const Tensor x = call.in(1, rows * heads * headSize);
  const float *cos = call.floats(2, rows * (headSize / 2)), *sin = call.floats(3, rows * (headSize / 2));
  const Tensor y = call.make(0, call.type(3), x.elements);
  call.kernels.rope(call.pool, outOf(y), valuesOf(x), cos, sin, rows, heads, headSize, call.flag(4));
}

// [queries, keys, heads, keyValueHeads, headSize, window, scale, type, segments: queryStart, queryLength, keyStart, keyLength]
struct AttentionParams {
  size_t queries, keys, width, keyWidth, covered = 0;
  std::vector<Segment> segments;
  Attention shape;

  explicit AttentionParams(const Call& call) : queries(call.size(0)), keys(call.size(1)) {
    shape = {call.size(2), call.size(3), call.size(4), call.size(5), float(call.number(6)), nullptr, 0};
    width = shape.heads * shape.headSize;
    keyWidth = shape.keyValueHeads * shape.headSize;
    for (size_t i = 8; i < call.paramCount(); i += 4) {
      const Segment segment{call.size(i), call.size(i + 1), call.size(i + 2), call.size(i + 3)};
      if (segment.queryStart + segment.queryLength > queries || segment.keyStart + segment.keyLength > keys ||
          segment.queryLength > segment.keyLength) {
        throw std::invalid_argument("a segment reaches beyond its queries or keys");
      }
      covered += segment.queryLength;
      segments.push_back(segment);
    }
    if (shape.keyValueHeads == 0 || shape.heads % shape.keyValueHeads != 0) {
      throw std::invalid_argument("heads are no multiple of the key and value heads");
    }
    shape.segments = segments.data();
    shape.segmentCount = segments.size();
  }
};

// [out, lse, q, k, v]
void attention(const Call& call) {
  const AttentionParams params(call);
  const Tensor q = call.in(2, params.queries * params.width);
  const Tensor k = call.in(3, params.keys * params.keyWidth), v = call.in(4, params.keys * params.keyWidth);
  const Tensor out = call.make(0, call.type(7), q.elements);
  float* lse = call.make(1, DType::f32, params.queries * params.shape.heads).as<float>();
  if (params.covered < params.queries) {  // rows of padding
    std::memset(out.data, 0, out.elements * bytesOf(out.type));
    std::memset(lse, 0, params.queries * params.shape.heads * sizeof(float));
  }
  call.kernels.attention(call.pool, outOf(out), lse, valuesOf(q), valuesOf(k), valuesOf(v), params.shape);
}

// [dq, dk, dv, dOut, q, k, v, out, lse]
void attentionBackward(const Call& call) {
  const AttentionParams params(call);
  const size_t elements = params.queries * params.width, keyElements = params.keys * params.keyWidth;
  const float* dOut = call.floats(3, elements);
  const Tensor q = call.in(4, elements), k = call.in(5, keyElements), v = call.in(6, keyElements);
  const Tensor out = call.in(7, elements);
  const float* lse = call.floats(8, params.queries * params.shape.heads);
  float* gradients[3];
  for (size_t i = 0; i < 3; i++) {
    const size_t size = i == 0 ? elements : keyElements;
    gradients[i] = call.make(i, DType::f32, size).as<float>();
    call.kernels.fill(call.pool, gradients[i], 0, size);
  }
  call.kernels.attentionBackward(call.pool, gradients[0], gradients[1], gradients[2], dOut, valuesOf(out), lse,
                                 valuesOf(q), valuesOf(k), valuesOf(v), params.shape);
}

// [y, gate, up] [elements, type]
void swiglu(const Call& call) {
  const Tensor gate = call.in(1, call.size(0)), up = call.in(2, call.size(0));
  const Tensor y = call.make(0, call.type(1), call.size(0));
  call.kernels.swiglu(call.pool, outOf(y), valuesOf(gate), valuesOf(up), call.size(0));
}

// [dGate, dUp, dy, gate, up] [elements]
void swigluBackward(const Call& call) {
  const size_t elements = call.size(0);
  const float* dy = call.floats(2, elements);
  const Tensor gate = call.in(3, elements), up = call.in(4, elements);
  float* dGate = call.make(0, DType::f32, elements).as<float>();
  float* dUp = call.make(1, DType::f32, elements).as<float>();
  call.kernels.swigluBackward(call.pool, dGate, dUp, dy, valuesOf(gate), valuesOf(up), elements);
}

// [y, x] [elements, rate, key]
void dropout(const Call& call) {
  const Tensor x = call.in(1, call.size(0));
  const Tensor y = call.make(0, DType::f32, call.size(0));
  call.kernels.dropout(call.pool, outOf(y), valuesOf(x), call.size(0), float(call.number(1)), keyAt(call, 2));
}

// [losses, logits, targets] [rows, vocabulary, first, elements of losses, gradient]: to losses from `first` on
void crossEntropy(const Call& call) {
  const size_t rows = call.size(0), vocabulary = call.size(1), first = call.size(2);
  float* losses = call.own(0, call.size(3), DType::f32).as<float>();
  if (first + rows > call.size(3)) throw std::logic_error("losses reach beyond their tensor");
  float* logits = call.own(1, rows * vocabulary, DType::f32).as<float>();
  const int32_t* targets = call.in(2, rows, DType::i32).as<int32_t>();
  call.kernels.crossEntropy(call.pool, losses + first, logits, targets, rows, vocabulary, call.flag(4));
}

// [parameter, gradient, mean, variance]... [beta1, beta2, epsilon, step, gradientScale, (elements, rate, decay)...]
void adamW(const Call& call) {
  std::vector<AdamWTensor> tensors;
  for (size_t i = 0; i < call.idCount(); i += 4) {
    const size_t at = 5 + i / 4 * 3, elements = call.size(at);
    const auto changed = [&](size_t operand) { return call.own(operand, elements, DType::f32).as<float>(); };
    tensors.push_back({changed(i), call.floats(i + 1, elements), changed(i + 2), changed(i + 3), elements,
                       float(call.number(at + 1)), float(call.number(at + 2))});
  }
  const AdamWStep step{call.number(0), call.number(1), call.number(2), call.number(4), int64_t(call.number(3))};
  call.kernels.adamW(call.pool, tensors.data(), tensors.size(), step);
}

// [sum, tensors...] [elements of each]
void sumOfSquares(const Call& call) {
  std::vector<FloatSpan> spans;
  for (size_t i = 1; i < call.idCount(); i++) spans.push_back({call.floats(i, call.size(i - 1)), call.size(i - 1)});
  const double sum = call.kernels.sumOfSquares(call.pool, spans.data(), spans.size());
  *call.make(0, DType::f32, 1).as<float>() = float(sum);
}

}  // namespace

std::vector<Operation> fusedOperations() {
  return {
      {"rmsNorm", rmsNorm},     {"rmsNormBackward", rmsNormBackward},     {"rope", rope},
      {"attention", attention}, {"attentionBackward", attentionBackward}, {"swiglu", swiglu},
      {"swigluBackward", swigluBackward}, {"dropout", dropout},           {"crossEntropy", crossEntropy},
      {"adamW", adamW},         {"sumOfSquares", sumOfSquares},
  };
}

}  // namespace glulam
